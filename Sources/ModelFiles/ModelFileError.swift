/// What went wrong with a file.
public struct ModelFileError: Error, Sendable, CustomStringConvertible {
    /// Kinds of failure.
    public enum Code: String, Sendable {
        /// The file or folder cannot be opened, read or written.
        case inputOutput
        /// A file cannot be written: the disk, or what its user may fill of it, is full.
        case noSpace
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

    private static let messageLimit = 1000

    /// An error of a kind.
    ///
    /// Names out of files stand in messages, so control characters are escaped and a long message is
    /// cut: it stays one line.
    public init(_ code: Code, _ message: String) {
        self.code = code
        var line = String.UnicodeScalarView()
        for scalar in message.unicodeScalars.prefix(Self.messageLimit) {
            switch scalar.properties.generalCategory {
            case .control, .lineSeparator, .paragraphSeparator:
                line.append(contentsOf: scalar.escaped(asASCII: true).unicodeScalars)
            default: line.append(scalar)
            }
        }
        self.message = String(line)
    }

    /// The message.
    public var description: String { message }
}
