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
            guard InputReference.textFault(in: text) == nil, !InputReference.isURL(text) else {
                return nil
            }
            switch InputSource(text) {
            case .job(let id, let output):
                guard Self.isIdentifier(id), Self.isRelativeName(output) else { return nil }
                self = .job(id: id, output: text.contains("/") ? output : nil)
            case .digest(let digits):
                guard digits.utf8.count == 64, digits.utf8.allSatisfy(Self.isHexDigit) else {
                    return nil
                }
                self = .digest(digits)
            case .local(let path):
                // Without an id.
                guard !path.hasPrefix("job:") else { return nil }
                self = .path(path)
            }
        }

        private static func isHexDigit(_ byte: UInt8) -> Bool {
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
        }

        private static func isIdentifier(_ text: String) -> Bool {
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

    /// Bytes of a text at most.
    private static let byteLimit = 4096

    /// What is wrong with any text of these bytes and characters; nil if nothing is.
    private static func textFault(in text: String) -> String? {
        guard !text.isEmpty else { return "it is empty" }
        guard text.utf8.count <= byteLimit else {
            return "it has \(text.utf8.count) bytes; the limit is \(byteLimit)"
        }
        guard let scalar = text.unicodeScalars.first(where: { $0.value < 0x20 || $0.value == 0x7F })
        else { return nil }
        let digits = String(scalar.value, radix: 16, uppercase: true)
        let code = "U+00\(digits.count < 2 ? "0" : "")\(digits)"
        return "it holds \(code), which does not print; rename the file"
    }

    /// Why a text names no input; nil of one that may.
    static func fault(in text: String) -> String? {
        if let fault = textFault(in: text) { return fault }
        guard Location(parsing: text) == nil else { return nil }
        switch InputSource(text) {
        case .digest(let digits):
            return "sha256: takes 64 hexadecimal digits, not "
                + (digits.utf8.count == 64 ? "others" : "\(digits.utf8.count)")
        case .job(_, let output):
            return PlainText.pathFault(in: output, byteLimit: byteLimit) == nil
                ? "an id has 1 to 128 letters, digits, - and _"
                : "an output is a plain relative path"
        case .local: return text.hasPrefix("job:") ? "the id is missing" : nil
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
