/// What went wrong with a file.
public struct ModelFileError: Error, Sendable, CustomStringConvertible {
    /// Kinds of failure.
    public enum Code: String, Sendable {
        /// The file or folder cannot be opened, read or written.
        case inputOutput
        /// The file's bytes break its format.
        case malformed
        /// The file is well formed, but not something this version reads or writes.
        case unsupported
        /// The text is too short for what is asked.
        case tooShort
        /// A digest does not match.
        case corrupt
    }

    /// The kind.
    public let code: Code
    /// The file, the place in it, what was found and what was expected.
    public let message: String

    /// An error of a kind.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = Self.oneLine(message)
    }

    /// The message.
    public var description: String { message }

    /// Names come from files: what would break the line or the terminal is written as an escape, and
    /// what is longer than any honest name is cut.
    private static func oneLine(_ text: String) -> String {
        var output = ""
        for scalar in text.unicodeScalars.prefix(2000) {
            if scalar.properties.generalCategory == .control || scalar == "\u{2028}"
                || scalar == "\u{2029}"
            {
                output += "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                output.unicodeScalars.append(scalar)
            }
        }
        return output
    }
}
