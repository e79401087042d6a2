internal import Transformer

/// What a model says of itself beside its weights, to be passed on: configuration, tokenizer, chat
/// templates, licence, model card.
///
/// Files are not read before they are needed; they must stay where they are until then.
public struct SourceFiles: Sendable {
    /// Where the bytes of a file are.
    enum Content: Sendable {
        case file(path: String)
        case bytes([UInt8])

        /// What is read of one file at most.
        static let limit = 256 << 20

        /// How many bytes ``read()`` returns.
        func byteCount() throws(ModelFileError) -> Int {
            switch self {
            case .file(let path):
                let file = try MappedFile(path: path)
                return withExtendedLifetime(file) {
                    file.bytes.count - (Self.isMarked(path, file.bytes) ? 3 : 0)
                }
            case .bytes(let bytes): return bytes.count
            }
        }

        /// Whether a byte order mark is left out: Hugging Face's own readers refuse it.
        private static func isMarked(_ path: String, _ bytes: some Collection<UInt8>) -> Bool {
            path.hasSuffix(".json") && bytes.starts(with: JSONScanner.byteOrderMark)
        }

        /// Reads it.
        func read() throws(ModelFileError) -> [UInt8] {
            switch self {
            case .file(let path):
                let bytes = try FileSystem.read(path, limit: Self.limit)
                return Self.isMarked(path, bytes) ? Array(bytes.dropFirst(3)) : bytes
            case .bytes(let bytes): return bytes
            }
        }
    }

    /// What kind of source it is.
    enum Origin: Sendable {
        /// A Hugging Face folder: its config.json, and the model that it describes.
        case folder(HuggingFaceOrigin)
        /// A GGUF file: the metadata that goes over into another one.
        case gguf(GGUFOrigin)
        /// A model made in memory.
        case memory
    }

    /// What the model is called where nothing else names it: the file's or folder's name.
    public var name: String
    /// What is not carried over, and why.
    public internal(set) var notes: [String] = []
    /// Whether config.json names code beside it, which is not carried over.
    var hasCode = false
    let origin: Origin
    /// Files of a Hugging Face folder by name, as they are.
    var files: [String: Content] = [:]
    /// The chat templates.
    var chatTemplates = ChatTemplates()

    init(name: String, origin: Origin) {
        self.name = name
        self.origin = origin
    }

    /// The files of a model made in memory.
    public init(tokenizerJSON: [UInt8]? = nil, chatTemplate: String? = nil) {
        self.init(name: "qat", origin: .memory)
        files["tokenizer.json"] = tokenizerJSON.map { .bytes($0) }
        chatTemplates.main = chatTemplate
    }

    /// What a GGUF file says.
    init(_ gguf: GGUFFile) {
        let origin = GGUFOrigin(gguf)
        let file = gguf.file.path.split(separator: "/").last.map(String.init) ?? "model"
        self.init(
            name: file.hasSuffix(".gguf") ? String(file.dropLast(5)) : file,
            origin: .gguf(origin)
        )
        chatTemplates = ChatTemplates(origin)
    }

    /// The tokenizer.json, if there is one.
    public var tokenizerJSON: [UInt8]? {
        // One that cannot be read is no tokenizer.json; reading the tokenizer says why.
        files["tokenizer.json"].flatMap { try? $0.read() }
    }

    /// The chat template, if any; of several, the default one.
    public var chatTemplate: String? { chatTemplates.main }

    /// The files of a Hugging Face folder that exports carry over: paths below it.
    public static func names(in folder: String) -> [String] { SourceFolder.names(in: folder) }

    /// Takes the name from what a job calls its model: a path; other references name nothing.
    public mutating func rename(reference: String) {
        let isPath = !reference.hasPrefix("job:") && !reference.hasPrefix("sha256:")
        let parts = reference.split(separator: "/").filter { $0 != "." && $0 != ".." }
        guard isPath, let last = parts.last else { return name = "model" }
        name = last.hasSuffix(".gguf") ? String(last.dropLast(5)) : String(last)
    }

    /// Reads the tokenizer.
    ///
    /// - Throws: ``ModelFileError``.
    func tokenizer() throws(ModelFileError) -> Tokenizer {
        switch origin {
        case .folder(let origin): return try TokenizerFolder.read(origin.path)
        case .gguf(let origin): return try Tokenizer(gguf: try GGUFFile(path: origin.file.path))
        case .memory:
            guard let content = files["tokenizer.json"] else {
                throw ModelFileError(.malformed, "\(name): the model has no tokenizer")
            }
            return try Tokenizer(tokenizerJSON: try content.read())
        }
    }
}

/// config.json of a Hugging Face folder.
struct HuggingFaceOrigin: Sendable {
    /// The folder.
    let path: String
    /// config.json as it stands.
    let config: JSONMembers
    /// The model that config.json alone describes.
    let configuration: ModelConfiguration
}

/// The metadata of a GGUF file.
struct GGUFOrigin: Sendable {
    /// A key with its place in the file.
    struct Pair: Sendable {
        let key: String
        /// The type and the value.
        let value: Range<Int>
    }

    let file: MappedFile
    /// The keys that another file takes over, in order.
    let pairs: [Pair]
    /// Their values, without long lists.
    let values: [String: GGUFFile.Value]
    let tokenCount: Int

    init(_ gguf: GGUFFile) {
        file = gguf.file
        pairs = gguf.pairs.filter { Self.isCarried($0.key) }
        if case .texts(let tokens) = gguf.metadata["tokenizer.ggml.tokens"] {
            tokenCount = tokens.count
        } else {
            tokenCount = 0
        }
        values = gguf.metadata.filter { key, value in
            guard Self.isCarried(key) else { return false }
            return switch value {
            case .texts(let texts): texts.count <= 256
            case .integers, .flags, .floats, .other: false
            default: true
            }
        }
    }

    /// What says of the weights how they are stored is the writer's to say.
    private static func isCarried(_ key: String) -> Bool {
        let own = [
            "general.architecture", "general.file_type", "general.quantization_version",
            "general.alignment",
        ]
        return (key.hasPrefix("general.") || key.hasPrefix("tokenizer.")) && !own.contains(key)
    }

    /// The type and the value of a pair, as they stand.
    func bytes(of pair: Pair) -> [UInt8] { Array(file.bytes[pair.value]) }

    func text(_ key: String) -> String? {
        if case .text(let text) = values[key] { return text }
        return nil
    }

    func texts(_ key: String) -> [String] {
        switch values[key] {
        case .texts(let texts): texts
        case .text(let text): [text]
        default: []
        }
    }

    func integer(_ key: String) -> Int? {
        if case .integer(let number) = values[key] { return number }
        return nil
    }
}
