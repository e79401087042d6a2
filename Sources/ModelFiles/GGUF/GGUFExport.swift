internal import Transformer

/// What a GGUF file says of a model, apart from its weights and its tokenizer.
struct GGUFExport {
    /// Metadata of the architecture.
    let metadata: GGUFMetadata
    /// Tensors that no parameter stands for: the rotary embedding's factors.
    let tensors: [(name: String, values: [Float])]
    /// What llama.cpp leaves out.
    let notes: [String]

    /// Describes a model.
    ///
    /// - Throws: ``ModelFileError`` (`unsupported`) if llama.cpp would compute another model, naming
    ///   the field.
    init(_ model: ModelConfiguration) throws(ModelFileError) {
        let name = model.architecture.family
        guard let family = ModelFamilies.named(name) else {
            throw ModelFileError(.unsupported, "gguf: llama.cpp has no \(name) models")
        }
        let traits = family.gguf
        let fused = model.architecture.fusedModules.map(\.suffix)
        if let suffix = fused.first(where: { traits.fusedNames[$0] == nil }) {
            throw ModelFileError(
                .unsupported,
                "gguf: llama.cpp's \(traits.architecture): no tensor is known to hold \(suffix)"
            )
        }
        var metadata = GGUFMetadata(architecture: traits.architecture)
        family.writeSizes(model, into: &metadata)
        tensors = family.writeRotary(model, into: &metadata)
        if traits.windows == .carried { family.writeWindows(model, into: &metadata) }
        family.write(model, into: &metadata)
        self.metadata = metadata
        notes = Self.notes(model, traits)
        if let obstacle = try Self.obstacle(model, family, metadata, tensors) {
            throw ModelFileError(
                .unsupported,
                "gguf: llama.cpp's \(traits.architecture): \(obstacle)"
            )
        }
    }

    /// What llama.cpp computes otherwise under some texts or settings.
    private static func notes(_ model: ModelConfiguration, _ traits: GGUFTraits) -> [String] {
        var notes: [String] = []
        if traits.windows == .carried, let window = model.layerAttention.compactMap(\.window).min()
        {
            notes.append(
                """
                llama.cpp computes \(model.architecture.family) without its window: texts of more than \
                \(window) tokens come out otherwise
                """
            )
        }
        if case .longRope(let scaling) = model.rotary.scaling,
            scaling.shortFactors != scaling.longFactors
        {
            notes.append(
                """
                llama.cpp chooses LongRoPE's factors by the size of its context, not by the length of a \
                text: in a context of more than \(scaling.originalPositions) tokens (-c) shorter texts \
                come out otherwise
                """
            )
        }
        return notes
    }

    /// A message without the name of the form, which remarks on exports stand under.
    static func withoutLabel(_ message: String) -> String {
        let label = "gguf: "
        return message.hasPrefix(label) ? String(message.dropFirst(label.count)) : message
    }

    /// Why llama.cpp would compute another model; nil if it would not.
    private static func obstacle(
        _ model: ModelConfiguration,
        _ family: any ModelFamily,
        _ metadata: GGUFMetadata,
        _ tensors: [(name: String, values: [Float])]
    ) throws(ModelFileError) -> String? {
        let traits = family.gguf
        switch (traits.head, model.tiedEmbeddings) {
        case (.embedding, false): return "the head is the embedding there, but not in this model"
        case (.own, true): return "the head is not the embedding there, but it is in this model"
        default: break
        }
        if traits.hasHeadsOfHiddenSize, model.queryWidth != model.hiddenSize {
            return """
                heads are of \(model.hiddenSize) dimensions together there, but of \
                \(model.queryWidth) in this model
                """
        }
        if let bias = model.architecture.biasedModules.subtracting(traits.biases).map(\.suffix)
            .min()
        {
            return "\(bias) has no bias there, but one in this model"
        }
        if let kind = Self.kind(of: model.rotary.scaling), !kind.among(traits.rotaryScalings) {
            return "\(kind.name) scaling of the rotary embedding is not computed there"
        }
        let layout = GGUFLayout(model)
        let names = layout.stored.map { layout.place(of: $0.parts[0]).name }
        var keys = GGUFKeys(metadata.values, architecture: traits.architecture, path: "gguf")
        var read = try family.configuration(
            from: &keys,
            GGUFConfiguration.Tensors(
                vocabularySize: model.vocabularySize,
                names: Set(names + tensors.map(\.name)),
                factors: Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0.values) })
            )
        )
        (read.bosToken, read.eosTokens) = (model.bosToken, model.eosTokens)
        read.padToken = model.padToken
        // Numbers are FP32 there; factors are read back as any scaling that makes them.
        var plain = model
        if case .llama3 = model.rotary.scaling {
            read.rotary.scaling = nil
            plain.rotary.scaling = nil
        }
        return ConfigurationDifference.first(
            read,
            plain,
            tolerance: 1e-6,
            family: family
        )
    }

    private struct Kind {
        let name: String
        let kinds: Set<GGUFTraits.RotaryScaling>

        func among(_ all: Set<GGUFTraits.RotaryScaling>) -> Bool { !kinds.isDisjoint(with: all) }
    }

    private static func kind(of scaling: RotaryEmbedding.Scaling?) -> Kind? {
        switch scaling {
        case nil: nil
        case .linear: Kind(name: "linear", kinds: [.linear])
        case .dynamic: Kind(name: "dynamic", kinds: [])
        case .llama3: Kind(name: "llama3", kinds: [.factors])
        case .yarn: Kind(name: "yarn", kinds: [.yarn])
        case .longRope(let scaling):
            Kind(
                name: "longrope",
                kinds: scaling.shortFactors == scaling.longFactors && scaling.attentionFactor == 1
                    ? [.factors, .longRope] : [.longRope]
            )
        }
    }
}

extension ModelFamily {
    fileprivate func writeSizes(_ model: ModelConfiguration, into metadata: inout GGUFMetadata) {
        metadata.set("block_count", model.layerCount)
        metadata.set("context_length", model.maximumPositions)
        metadata.set("embedding_length", model.hiddenSize)
        metadata.set("feed_forward_length", model.intermediateSize)
        metadata.set("attention.head_count", model.headCount)
        metadata.set("attention.head_count_kv", model.keyValueHeadCount)
        metadata.set(ggufEpsilonKey, model.normEpsilon)
        metadata.set("attention.key_length", model.headDimension)
        metadata.set("attention.value_length", model.headDimension)
        metadata.set("vocab_size", model.vocabularySize)
    }

    fileprivate func writeWindows(_ model: ModelConfiguration, into metadata: inout GGUFMetadata) {
        guard let window = model.layerAttention.lazy.compactMap(\.window).first else { return }
        metadata.set("attention.sliding_window", window)
        let sliding = model.layerAttention.map { $0.window != nil }
        if sliding.contains(false) { metadata.set("attention.sliding_window_pattern", sliding) }
    }
}
