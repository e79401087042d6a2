internal import Foundation

/// A file of UTF-8 text, checked: plain, or documents as the lines of a JSONL file.
///
/// Bytes are data: line ends stay as they are, CRLF among them; only a byte order mark is skipped.
public struct TextFile: Sendable {
    /// How the file holds its text.
    public enum Form: Sendable, Equatable {
        /// All of it is one document.
        case plain
        /// Each line is a JSON object with a document under this key.
        case jsonLines(key: String)
    }

    /// The key of JSONL files unless a job names another.
    public static let defaultKey = "text"

    /// What messages call it.
    public let name: String
    /// How it holds its text.
    public let form: Form
    /// What a user should know although the file is read.
    public let notes: [String]

    private let file: MappedFile
    /// How another key is named.
    private let keyOption: String
    /// Behind the byte order mark.
    private let start: Int

    static let byteLimit = 4 << 30

    /// Opens a file and checks all of its bytes.
    ///
    /// Its form goes by its name: `.jsonl`, `.ndjson` and `.json` are JSON lines.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - key: Where the objects of JSON lines hold their text.
    ///   - keyOption: How another key is named, for messages.
    /// - Throws: ``ModelFileError`` (`inputOutput`) if it cannot be read, (`malformed`) with the byte
    ///   offset if it is not UTF-8, (`unsupported`) with the command that converts it if it is
    ///   something else, (`tooShort`) if it is empty.
    public init(
        path: String,
        key: String = Self.defaultKey,
        keyOption: String = #"as "text_key""#
    ) throws(ModelFileError) {
        let file = try MappedFile(path: path)
        // Its bytes are gone with it, and it might go after its last use.
        defer { withExtendedLifetime(file) {} }
        let name = path.split(separator: "/").last.map(String.init) ?? path
        self.file = file
        self.name = name
        self.keyOption = keyOption
        let bytes = file.bytes
        guard bytes.count <= Self.byteLimit else {
            throw ModelFileError(
                .malformed,
                "\(name): \(bytes.count) bytes, more than the limit of \(Self.byteLimit); split it"
            )
        }
        if let refusal = TextForm.refusal(bytes, name: name, path: path) {
            throw ModelFileError(.unsupported, refusal)
        }
        let hasMark = bytes.starts(with: JSONScanner.byteOrderMark)
        start = hasMark ? 3 : 0
        guard bytes.count > start else { throw ModelFileError(.tooShort, "\(name) is empty") }
        let text = UnsafeRawBufferPointer(rebasing: bytes[start...])
        if let check = UTF8Check(text) {
            throw ModelFileError(
                .malformed,
                check.message(text, skipped: start, name: name, path: path)
            )
        }
        let isLines = Self.isJSONLines(name: name)
        form = isLines ? .jsonLines(key: key) : .plain
        var notes = hasMark ? ["\(name): the byte order mark at its start is skipped"] : []
        if !isLines, JSONLines.look(like: text) {
            notes.append(
                "\(name): its lines look like JSON, but are read as plain text; name it .jsonl to "
                    + "read the texts in it"
            )
        }
        self.notes = notes
    }

    /// Whether a file of a name is read as JSON lines.
    public static func isJSONLines(name: String) -> Bool {
        let lowered = name.lowercased()
        return [".jsonl", ".ndjson", ".json"].contains { lowered.hasSuffix($0) }
    }

    /// The file's size.
    public var byteCount: Int { file.bytes.count }

    /// The text's bytes, without a byte order mark.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: file.bytes[start...]) }

    /// Where the file first has some bytes; nil if nowhere.
    func offset(of text: String) -> Int? {
        defer { withExtendedLifetime(file) {} }
        let (bytes, wanted) = (file.bytes, Array(text.utf8))
        guard let first = wanted.first, let base = bytes.baseAddress else { return nil }
        var start = 0
        while bytes.count - start >= wanted.count,
            let found = memchr(base + start, Int32(first), bytes.count - start)
        {
            start = UnsafeRawPointer(found) - base
            if bytes[start...].starts(with: wanted) { return start }
            start += 1
        }
        return nil
    }

    /// Hands out the documents one after the other until `body` answers false.
    ///
    /// - Throws: ``ModelFileError`` (`malformed`) with the line that holds no document.
    func forEachDocument(_ body: (TextDocument) -> Bool) throws(ModelFileError) {
        defer { withExtendedLifetime(file) {} }
        switch form {
        case .plain: _ = body(.text(String(decoding: bytes, as: UTF8.self)))
        case .jsonLines(let key):
            try JSONLines(bytes, name: name, key: key, keyOption: keyOption).forEachDocument(body)
        }
    }

    /// Checks that every line of a JSONL file has its text.
    ///
    /// - Throws: ``ModelFileError`` (`malformed`) with the line that does not.
    public func checkDocuments() throws(ModelFileError) {
        if case .jsonLines = form { try forEachDocument { _ in true } }
    }
}
