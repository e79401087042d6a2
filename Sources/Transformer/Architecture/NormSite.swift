/// A norm of a decoder layer, in the order of the forward pass.
public enum NormSite: Int, Sendable, CaseIterable {
    /// On attention's input.
    case attentionInput
    /// On the queries.
    case query
    /// On the keys.
    case key
    /// On attention's output.
    case attentionOutput
    /// On the MLP's input.
    case mlpInput
    /// On the MLP's output.
    case mlpOutput

    /// The norms of a layer of an architecture.
    public static func sites(of architecture: Architecture) -> [NormSite] {
        allCases.filter { $0.isPresent(in: architecture) }
    }

    /// Whether layers of an architecture have a norm there; all who want to know ask here.
    public func isPresent(in architecture: Architecture) -> Bool {
        switch self {
        case .attentionInput, .mlpInput: architecture.normPlacement.isOnInputs
        case .attentionOutput, .mlpOutput: architecture.normPlacement.isOnOutputs
        case .query, .key:
            switch architecture.queryKeyNorm {
            case .none: false
            case .perHead, .fullWidth: true
            }
        }
    }

    /// Hugging Face's name within a layer.
    ///
    /// `post_attention_layernorm` is the norm on the MLP's input where no norm stands on attention's
    /// output, and that norm otherwise.
    public func suffix(_ placement: Architecture.NormPlacement) -> String {
        switch self {
        case .attentionInput: "input_layernorm"
        case .query: "self_attn.q_norm"
        case .key: "self_attn.k_norm"
        case .attentionOutput: "post_attention_layernorm"
        case .mlpInput:
            placement.isOnOutputs ? "pre_feedforward_layernorm" : "post_attention_layernorm"
        case .mlpOutput: "post_feedforward_layernorm"
        }
    }

    /// Elements of the norm's weight.
    public func width(_ configuration: ModelConfiguration) -> Int {
        switch self {
        case .attentionInput, .attentionOutput, .mlpInput, .mlpOutput: configuration.hiddenSize
        case .query: projectionWidth(configuration.queryWidth, configuration)
        case .key: projectionWidth(configuration.keyValueWidth, configuration)
        }
    }

    private func projectionWidth(_ full: Int, _ configuration: ModelConfiguration) -> Int {
        switch configuration.architecture.queryKeyNorm {
        case .fullWidth: full
        case .perHead, .none: configuration.headDimension
        }
    }
}
