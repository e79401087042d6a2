/// A job that keeps a model loaded and answers requests with it.
///
/// Jobs of one owner under one name are replicas of one model.
public struct ServeSpec: Sendable, Equatable {
    /// How keys and values are kept.
    public enum CacheFormat: String, Sendable, CaseIterable {
        /// As they are computed.
        case float32
        /// With 8 bits of significand.
        case bfloat16
        /// In 8 bits, by one scale for all of a token's heads.
        case fp8
        /// In 4 bits, by a power of two for 32 elements.
        case mxfp4
        /// In 4 bits, by an FP8 scale for 16 elements.
        case nvfp4
    }

    /// What requests name the model by; nil for the model's file or folder, see ``servedName(job:)``.
    public var name: String?
    /// The model: a path, `job:ID[/output]` or `sha256:DIGEST`.
    public var model: String
    /// Replicas; 1 in this version.
    public var replicas: Int
    /// Tokens of a prompt at most; nil for as many as ``length`` allows.
    public var maximumInputLength: Int?
    /// Tokens of an answer at most; nil for as many as ``length`` allows.
    public var maximumOutputLength: Int?
    /// Texts at once.
    public var maximumBatchSize: Int
    /// How keys and values are kept.
    public var cache: CacheFormat
    /// Tokens whose keys and values are kept, of all texts together; nil for all texts at their full length.
    public var cacheTokens: Int?
    /// How activations are rounded.
    public var activations: EvaluateSpec.Activations

    init(_ reader: ObjectReader) {
        name = reader.optionalText("name")
        model = reader.text("model")
        replicas = reader.integer("replicas")
        maximumInputLength = reader.optionalInteger("max_input_len")
        maximumOutputLength = reader.optionalInteger("max_output_len")
        maximumBatchSize = reader.integer("max_batch_size")
        cache = reader.choice("kv_cache")
        cacheTokens = reader.optionalInteger("kv_cache_tokens")
        activations = reader.choice("activations")
    }

    /// Tokens of a prompt and its answer together; nil if the job does not say.
    public var length: Int? {
        guard let input = maximumInputLength, let output = maximumOutputLength else { return nil }
        return input + output
    }

    /// The longest text, with its prompt, unless the job says otherwise: memory goes by it.
    private static let usualLength = 8192

    /// Tokens of a prompt and its answer together, of a model that takes so many.
    public func length(within longest: Int) -> Int {
        length ?? min(longest, Self.usualLength)
    }

    /// What the job asks for and no engine of this version does.
    public var unsupported: [UnsupportedFeature] {
        guard replicas > 1 else { return [] }
        return [
            UnsupportedFeature(
                "$.replicas",
                "\(replicas) is not in this version; submit the job \(replicas) times under one name: jobs "
                    + "of one owner under one name are replicas of one model"
            )
        ]
    }

    /// The inputs the job names.
    public var inputs: [InputReference] {
        [InputReference(pointer: "/model", text: model, role: .model)]
    }
}

extension ServeSpec {
    /// What requests name the model by.
    ///
    /// `job`: What the job is called, which stands in where the model's file has no name that tells.
    public func servedName(job: String) -> String {
        if let name { return name }
        guard case .path(let path)? = InputReference.Location(parsing: model),
            var last = path.split(separator: "/").last.map(String.init)
        else { return job }
        if last.lowercased().hasSuffix(".gguf") { last.removeLast(".gguf".count) }
        return last.isEmpty || last == "." || last == ".." ? job : last
    }
}
