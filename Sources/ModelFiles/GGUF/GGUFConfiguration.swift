internal import Transformer

/// The model that a GGUF file describes.
struct GGUFConfiguration {
    /// What of a file's tensors says something of the model, too.
    struct Tensors {
        /// Rows of the embedding.
        var vocabularySize: Int
        /// Names of all tensors.
        var names: Set<String>
        /// The values of the rotary embedding's factors, by name.
        var factors: [String: [Float]] = [:]
    }

    let family: any ModelFamily
    let model: ModelConfiguration

    /// Our files say which of the families that share an architecture theirs is.
    static let familyKey = "qat.family"

    /// Reads the metadata.
    ///
    /// - Throws: ``ModelFileError``, naming the key: one that is missing or out of range, one with a
    ///   value that is not computed, or one of the architecture that is not known.
    init(_ gguf: GGUFFile) throws(ModelFileError) {
        let path = gguf.file.path
        guard let rows = gguf.tensors["token_embd.weight"]?.shape.first else {
            throw ModelFileError(.malformed, "\(path): tensor token_embd.weight is missing")
        }
        var tensors = Tensors(vocabularySize: rows, names: Set(gguf.tensors.keys))
        for name in GGUFLayout.factorTensors {
            guard let tensor = gguf.tensors[name] else { continue }
            guard tensor.type == .f32, tensor.shape.count == 1, tensor.shape[0] <= 4096 else {
                throw ModelFileError(
                    .malformed,
                    "\(path): tensor \(name) is \(tensor.type) of shape \(tensor.shape), no FP32 list"
                )
            }
            tensors.factors[name] = tensor.floats
        }
        try Self.checkFile(gguf)
        let architecture = gguf.text("general.architecture") ?? "?"
        let family = try Self.family(of: gguf, architecture)
        self.family = family
        var keys = GGUFKeys(gguf.metadata, architecture: architecture, path: path)
        var model = try family.configuration(from: &keys, tensors)
        model.bosToken = try gguf.token(.beginning)
        model.padToken = try gguf.token(.padding)
        for role in TokenRole.ends {
            guard let token = try gguf.token(role), !model.eosTokens.contains(token) else {
                continue
            }
            model.eosTokens.append(token)
        }
        self.model = model
    }

    /// The family that a file of ours names, or else the architecture's: of those that share it the
    /// one that has windows where the file has.
    private static func family(
        of gguf: GGUFFile,
        _ architecture: String
    ) throws(ModelFileError) -> any ModelFamily {
        let path = gguf.file.path
        let family = try ModelFamilies.family(gguf: architecture, path: path)
        if gguf.metadata[familyKey] != nil {
            guard let name = gguf.text(familyKey), let own = ModelFamilies.named(name),
                own.gguf.architecture == architecture
            else {
                let value = gguf.metadata[familyKey]?.excerpt ?? ""
                throw ModelFileError(
                    .unsupported,
                    "\(path): metadata \(familyKey) is \(value), no family of \(architecture) models"
                )
            }
            return own
        }
        let hasWindows = gguf.metadata["\(architecture).attention.sliding_window"] != nil
        guard hasWindows, family.gguf.windows == .none else { return family }
        let others = ModelFamilies.all.filter { $0.gguf.architecture == architecture }
        return others.first { $0.gguf.windows != .none } ?? family
    }

    /// Refuses files that are no model, or not all of one.
    private static func checkFile(_ gguf: GGUFFile) throws(ModelFileError) {
        let path = gguf.file.path
        if let type = gguf.text("general.type"), type != "model" {
            throw ModelFileError(
                .unsupported,
                "\(path): metadata general.type is \"\(type)\": only models are read"
            )
        }
        if let count = gguf.integer("split.count"), count > 1 {
            throw ModelFileError(
                .unsupported,
                "\(path): metadata split.count is \(count): join the files by llama-gguf-split first"
            )
        }
    }
}

extension GGUFFile {
    /// A token's number; nil if the key is absent.
    fileprivate func token(_ role: TokenRole) throws(ModelFileError) -> Int? {
        let key = role.ggufKey
        guard let value = metadata[key] else { return nil }
        guard case .integer(let token) = value else {
            throw ModelFileError(
                .malformed,
                "\(file.path): metadata \(key) is \(value.excerpt), no token's number"
            )
        }
        return token
    }
}

extension GGUFFile.Tensor {
    /// The values of a tensor in FP32.
    fileprivate var floats: [Float] {
        (0..<bytes.count / 4).map {
            let bits = bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)
            return Float(bitPattern: UInt32(littleEndian: bits))
        }
    }
}

/// What GGUF metadata says in all families.
extension ModelFamily {
    /// The key of the norms' epsilon after the architecture's name.
    var ggufEpsilonKey: String {
        architecture.norm.isCentered
            ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon"
    }

    func configuration(
        from keys: inout GGUFKeys,
        _ tensors: GGUFConfiguration.Tensors
    ) throws(ModelFileError) -> ModelConfiguration {
        let heads = try keys.required("attention.head_count")
        var model = ModelConfiguration(
            vocabularySize: tensors.vocabularySize,
            hiddenSize: try keys.required("embedding_length"),
            intermediateSize: try keys.required("feed_forward_length"),
            layerCount: try keys.required("block_count"),
            headCount: heads,
            keyValueHeadCount: try keys.integer("attention.head_count_kv") ?? heads,
            headDimension: try keys.integer("attention.key_length"),
            normEpsilon: Float(try keys.number(ggufEpsilonKey) ?? 1e-5),
            maximumPositions: try keys.required("context_length"),
            tiedEmbeddings: !tensors.names.contains("output.weight")
        )
        try validate(model, place: keys.path)
        model.architecture = architecture
        // Biases stand beside the weights, and no key speaks of them.
        model.architecture.biasedModules = Set(
            model.linearModules.filter {
                tensors.names.contains(GGUFLayout.biasName(of: $0, layer: 0))
            }
        )
        model.rotary = try rotary(&keys, tensors, model)
        if gguf.windows == .carried { model.layerAttention = try windows(&keys, model) }
        try read(&keys, into: &model)
        try expectNeutral(&keys, model)
        try keys.refuseRest()
        try validate(model, place: keys.path)
        return model
    }

    private func expectNeutral(
        _ keys: inout GGUFKeys,
        _ model: ModelConfiguration
    ) throws(ModelFileError) {
        try keys.expect("vocab_size", .integer(model.vocabularySize))
        try keys.expect("attention.value_length", .integer(model.headDimension))
        try keys.expect("attention.causal", .boolean(true))
        try keys.expect("use_parallel_residual", .boolean(false))
        try keys.expect("tensor_data_layout", .text("Meta AI original pth"))
        try keys.expect("expert_count", .integer(0))
        try keys.expect("expert_used_count", .integer(0))
        // Converters write both epsilons for some models, and llama.cpp reads one.
        keys.ignore([
            "attention.layer_norm_epsilon", "attention.layer_norm_rms_epsilon",
            "rope.scaling.finetuned", "pooling_type",
        ])
    }

    private func windows(
        _ keys: inout GGUFKeys,
        _ model: ModelConfiguration
    ) throws(ModelFileError) -> [LayerAttention] {
        let window = try keys.integer("attention.sliding_window") ?? 0
        let sliding = try keys.slidingLayers(count: model.layerCount) { count, period in
            (0..<count).map { period == nil || ($0 + 1) % (period ?? 1) != 0 }
        }
        guard window > 0 else { return [] }
        return sliding.map { LayerAttention(window: $0 ? window : nil) }.orEmptyIfUniform
    }
}
