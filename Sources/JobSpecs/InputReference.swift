internal import Jobs

/// A place in a job file that names an input: a model, a text, a corpus.
public struct InputReference: Sendable, Hashable {
    /// What may stand for an id where people write one.
    static let idRule =
        "For ID, submit takes the beginning of one, a job's name or latest, too, and says which job it is."

    /// What the input is for.
    public enum Role: String, Sendable {
        /// A GGUF file or a Hugging Face folder.
        case model
        /// A text file.
        case text
        /// The common prefix of a Megatron `.bin` and `.idx` pair.
        case corpus
    }

    /// Where the input comes from.
    public enum Location: Sendable, Hashable {
        /// An output of another job; without a name, the job's main one.
        case job(id: String, output: String?)
        /// Content the gateway already has, by the 64 hexadecimal digits of its SHA-256.
        case digest(String)
        /// A path, relative to the job file's folder unless it is absolute.
        case path(String)

        /// Reads `job:ID[/output]`, `sha256:DIGEST` or a path; nil if it is malformed or a URL.
        public init?(parsing text: String) {
            guard (1...4096).contains(text.utf8.count), !InputReference.isURL(text),
                text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F })
            else {
                return nil
            }
            if text.hasPrefix("job:") {
                let parts = text.dropFirst(4).split(
                    separator: "/",
                    maxSplits: 1,
                    omittingEmptySubsequences: false
                )
                guard let id = parts.first, Self.isIdentifier(id) else {
                    return nil
                }
                let output = parts.count > 1 ? String(parts[1]) : nil
                guard output.map(Self.isRelativeName) ?? true else {
                    return nil
                }
                self = .job(id: String(id), output: output)
            } else if text.hasPrefix("sha256:") {
                let digest = text.dropFirst(7)
                guard digest.utf8.count == 64, digest.allSatisfy(\.isHexDigit) else {
                    return nil
                }
                self = .digest(digest.lowercased())
            } else {
                self = .path(text)
            }
        }

        private static func isIdentifier(_ text: Substring) -> Bool {
            (1...128).contains(text.utf8.count)
                && text.unicodeScalars.allSatisfy { scalar in
                    scalar.isASCII
                        && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil
                            || scalar == "-" || scalar == "_")
                }
        }

        private static func isRelativeName(_ text: String) -> Bool {
            PlainText.parts(ofPath: text).allSatisfy {
                !$0.isEmpty && $0 != "." && $0 != ".."
            }
        }
    }

    /// The RFC 6901 pointer of the place, such as `/data/train/0`.
    public let pointer: String
    /// The text as it stands in the file.
    public let text: String
    /// What the input is for.
    public let role: Role
    /// Where it comes from.
    public let location: Location

    init(pointer: String, text: String, role: Role) {
        self.pointer = pointer
        self.text = text
        self.role = role
        self.location = Location(parsing: text) ?? .path(text)
    }
}
