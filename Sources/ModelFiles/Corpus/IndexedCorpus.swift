internal import Foundation

/// A corpus as Megatron stores it: the tokens of all documents in `PREFIX.bin`, where each of them begins
/// in `PREFIX.idx`.
///
/// Both files are mapped; tokens are read where they are, as they are asked for.
public struct IndexedCorpus: Sendable {
    /// What messages call it: the prefix without its folder.
    public let name: String
    /// How tokens are stored.
    public var type: TokenType { index.type }
    /// Documents, of which some may be empty.
    public var documentCount: Int { index.count }
    /// Tokens of all documents.
    public var tokenCount: Int { index.tokenCount }
    private let index: CorpusIndex
    private let file: MappedFile

    /// The endings of the two files.
    public static let suffixes = [".bin", ".idx"]

    /// Opens a corpus, and checks its index against itself and against the size of the tokens.
    ///
    /// `path`: The prefix that both files share, or a folder that holds one corpus.
    ///
    /// - Throws: ``ModelFileError``, naming the file and the place.
    public init(path: String) throws(ModelFileError) {
        let prefix = try Self.prefix(path)
        let name = prefix.split(separator: "/").last.map(String.init) ?? prefix
        let index = try CorpusIndex(path: prefix + ".idx", name: name + ".idx")
        let file = try MappedFile(path: prefix + ".bin")
        self.name = name
        self.index = index
        self.file = file
        let size = index.tokenCount * index.type.byteCount
        guard file.bytes.count == size else {
            let what = file.bytes.count < size ? "truncated" : "too long"
            throw ModelFileError(
                .malformed,
                """
                \(name).bin: \(what): \(name).idx has \(index.tokenCount) tokens of \
                \(index.type.byteCount) bytes, which take \(size), the file has \(file.bytes.count); are both \
                of one corpus?
                """
            )
        }
    }

    /// The tokens of a document.
    public func length(of document: Int) -> Int { index.length(of: document) }

    /// How many tokens come before a document; ``documentCount`` asks for all.
    public func start(of document: Int) -> Int { index.start(of: document) }

    /// Copies tokens, counted through all documents.
    ///
    /// - Parameters:
    ///   - range: Within `0 ..< tokenCount`.
    ///   - target: Room for as many.
    ///   - vocabularySize: Of the model that reads them.
    /// - Throws: ``ModelFileError`` (`malformed`) for a token that the model has no row for, with its place.
    public func copy(
        _ range: Range<Int>,
        to target: UnsafeMutablePointer<Int32>,
        vocabularySize: Int
    ) throws(ModelFileError) {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= tokenCount,
            "copy: tokens \(range) of \(tokenCount)"
        )
        defer { withExtendedLifetime(file) {} }
        guard !range.isEmpty, let start = file.bytes.baseAddress else { return }
        let source = start + range.lowerBound * type.byteCount
        let found = type.copy(source, count: range.count, to: target, below: vocabularySize)
        if let found { throw outside(range.lowerBound + found, vocabularySize) }
    }

    /// Reads tokens, all of them in the end, and checks that a model has a row for each.
    ///
    /// `range`: Within `0 ..< tokenCount`.
    ///
    /// - Throws: ``ModelFileError`` (`malformed`) for the first one that it has not, with its place.
    public func check(_ range: Range<Int>, vocabularySize: Int) throws(ModelFileError) {
        defer { withExtendedLifetime(file) {} }
        guard let start = file.bytes.baseAddress else { return }
        let source = start + range.lowerBound * type.byteCount
        let found = type.firstOutside(source, count: range.count, below: vocabularySize)
        if let found { throw outside(range.lowerBound + found, vocabularySize) }
    }

    private func outside(_ place: Int, _ vocabularySize: Int) -> ModelFileError {
        defer { withExtendedLifetime(file) {} }
        let byte = place * type.byteCount
        let token = file.bytes.baseAddress.map { type.token(at: $0 + byte) } ?? -1
        let document = index.document(ofToken: place)
        return ModelFileError(
            .malformed,
            """
            \(name).bin: token \(token) at byte \(byte), token \(place - index.start(of: document)) of \
            document \(document), is outside of the model's vocabulary of \(vocabularySize); preprocess the \
            text with this model's tokenizer
            """
        )
    }

    /// The prefix that a path means.
    private static func prefix(_ path: String) throws(ModelFileError) -> String {
        let manager = FileManager.default
        var isFolder: ObjCBool = false
        guard !manager.fileExists(atPath: path + ".idx"),
            manager.fileExists(atPath: path, isDirectory: &isFolder)
        else { return path }
        guard isFolder.boolValue else {
            let name = path.split(separator: "/").last.map(String.init) ?? path
            throw ModelFileError(
                .unsupported,
                "\(name): one file; a corpus is two, of which the prefix is named: PREFIX.bin and PREFIX.idx"
            )
        }
        let names = (try? manager.contentsOfDirectory(atPath: path)) ?? []
        let prefixes = names.filter { $0.hasSuffix(".idx") }.map { String($0.dropLast(4)) }
            .filter { names.contains($0 + ".bin") }.sorted()
        guard prefixes.count == 1 else {
            throw ModelFileError(
                .unsupported,
                prefixes.isEmpty
                    ? "no corpus: there is no pair of .bin and .idx files"
                    : "\(prefixes.count) corpora, \(prefixes[0]) and \(prefixes[1]) among them; expected one"
            )
        }
        return path + "/" + prefixes[0]
    }
}
