internal import Transformer

/// A family of models: how its configuration is spelled in Hugging Face folders and in GGUF files.
///
/// What most families share, the protocol's extensions read and write; a family adds what is its own.
protocol ModelFamily: Sendable {
    /// The architecture before anything is read: what all models of the family compute.
    var architecture: Architecture { get }
    /// Its names and defaults in config.json.
    var huggingFace: HuggingFaceTraits { get }
    /// How llama.cpp has it.
    var gguf: GGUFTraits { get }

    /// Takes the family's own keys of config.json; sizes, rotary embedding, norms and tokens are in
    /// `model`.
    func read(
        _ keys: inout ConfigurationKeys,
        into model: inout ModelConfiguration
    ) throws(ModelFileError)

    /// Adds the family's own keys.
    func write(_ model: ModelConfiguration, into keys: inout [String: Any])

    /// Takes the keys of the rotary embedding, and of the second one if layers have different ones.
    func rotaries(
        _ keys: inout ConfigurationKeys,
        _ model: ModelConfiguration
    ) throws(ModelFileError) -> (global: RotaryEmbedding, local: RotaryEmbedding?)

    /// Adds the keys of the rotary embeddings.
    func writeRotary(_ model: ModelConfiguration, into keys: inout [String: Any])

    /// Takes the family's own keys of GGUF metadata, or what llama.cpp computes without them.
    func read(
        _ keys: inout GGUFKeys,
        into model: inout ModelConfiguration
    ) throws(ModelFileError)

    /// Adds the family's own keys of GGUF metadata.
    func write(_ model: ModelConfiguration, into metadata: inout GGUFMetadata)
}

extension ModelFamily {
    /// The family's name, as in `llama`.
    var name: String { architecture.family }

    func read(
        _ keys: inout ConfigurationKeys,
        into model: inout ModelConfiguration
    ) throws(ModelFileError) {}

    func write(_ model: ModelConfiguration, into keys: inout [String: Any]) {}

    func read(
        _ keys: inout GGUFKeys,
        into model: inout ModelConfiguration
    ) throws(ModelFileError) {}

    func write(_ model: ModelConfiguration, into metadata: inout GGUFMetadata) {}
}

/// A family's names and defaults in config.json.
///
/// - SeeAlso: Hugging Face Transformers, `models/*/configuration_*.py`.
struct HuggingFaceTraits: Sendable {
    /// `model_type`.
    var modelType: String
    /// The class that generates text.
    var className: String
    /// The key of the MLP's activation.
    var activationKey = "hidden_act"
    /// The key of the norms' epsilon.
    var normEpsilonKey = "rms_norm_eps"
    /// What is taken where a key is missing.
    var normEpsilon: Float = 1e-6
    /// See ``normEpsilon``.
    var theta = 10_000.0
    /// See ``normEpsilon``.
    var maximumPositions = 2048
    /// See ``normEpsilon``.
    var tiedEmbeddings = false
    /// See ``normEpsilon``; nil for hidden_size / num_attention_heads.
    var headDimension: Int?
    /// See ``normEpsilon``; nil for as many as query heads.
    var keyValueHeadCount: Int?
    /// The part of a head's dimensions that turns where the key is missing; nil of families where all
    /// of them do.
    var partialRotaryFactor: Double?
    /// `original_max_position_embeddings` where the key is missing; nil of families that do not have
    /// it beside their other keys.
    var originalPositions: Int?
    /// Other names of scalings of the rotary embedding, which go before those that all families have.
    var scalingSynonyms: [String: String] = [:]

    init(modelType: String, className: String) {
        self.modelType = modelType
        self.className = className
    }
}

/// All families, and what is said of models of others.
enum ModelFamilies {
    /// Those that are read and written; to add one, add it here.
    static let all: [any ModelFamily] = [
        LlamaFamily(), MistralFamily(), Qwen2Family(), Qwen3Family(), SmolLM3Family(), Phi3Family(),
        GemmaFamily(), Gemma2Family(), Gemma3Family(), OLMo2Family(), GraniteFamily(),
        NemotronFamily(),
    ]

    /// Parts of names of models that route tokens to experts.
    private static let mixtures = ["mixtral", "moe", "mixture", "phimoe", "deepseek"]

    static func named(_ name: String) -> (any ModelFamily)? { all.first { $0.name == name } }

    /// The family that config.json names.
    ///
    /// - Throws: ``ModelFileError`` (`unsupported`), naming the model's type.
    static func family(
        of keys: inout ConfigurationKeys
    ) throws(ModelFileError) -> any ModelFamily {
        let type = try keys.text("model_type")
        let classes = try keys.texts("architectures") ?? []
        for key in ["vision_config", "audio_config", "text_config", "llm_config"]
        where keys.hasValue(key) {
            throw keys.refusal(
                key,
                "a model of more than text; give a folder of the text model alone"
            )
        }
        let found = all.first { family in
            type.map { $0 == family.huggingFace.modelType }
                ?? classes.contains(family.huggingFace.className)
        }
        let names = all.map(\.huggingFace.modelType).joined(separator: ", ")
        guard let found else {
            let key = type == nil ? "architectures" : "model_type"
            throw keys.refusal(
                key,
                reason(type ?? classes.first ?? "") + "; supported are \(names)"
            )
        }
        let name = found.huggingFace.className
        guard classes.isEmpty || classes.contains(name) else {
            throw keys.refusal("architectures", "\(name) is what \(found.name) models are read as")
        }
        return found
    }

    /// The family of a GGUF file's `general.architecture`.
    ///
    /// - Throws: ``ModelFileError`` (`unsupported`), naming the architecture.
    static func family(
        gguf architecture: String,
        path: String
    ) throws(ModelFileError) -> any ModelFamily {
        if let found = all.first(where: { $0.gguf.architecture == architecture }) { return found }
        throw ModelFileError(
            .unsupported,
            """
            \(path): architecture \(architecture): \(reason(architecture)); supported are \
            \(ggufNames.joined(separator: ", "))
            """
        )
    }

    /// llama.cpp's names, each once.
    static var ggufNames: [String] {
        let names = all.map(\.gguf.architecture)
        return names.indices.filter { !names[..<$0].contains(names[$0]) }.map { names[$0] }
    }

    private static func reason(_ name: String) -> String {
        let name = name.lowercased()
        return mixtures.contains { name.contains($0) }
            ? "mixtures of experts are not computed" : "this architecture is not computed"
    }
}
