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
        allCases.filter { site in
            switch site {
            case .attentionInput, .mlpInput: architecture.normPlacement != .after
            case .attentionOutput, .mlpOutput: architecture.normPlacement != .before
            case .query, .key: architecture.queryKeyNorm != .none
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
            placement == .before ? "post_attention_layernorm" : "pre_feedforward_layernorm"
        case .mlpOutput: "post_feedforward_layernorm"
        }
    }

    /// Elements of the norm's weight.
    public func width(_ configuration: ModelConfiguration) -> Int {
        switch (self, configuration.architecture.queryKeyNorm) {
        case (.query, .fullWidth): configuration.queryWidth
        case (.key, .fullWidth): configuration.keyValueWidth
        case (.query, _), (.key, _): configuration.headDimension
        default: configuration.hiddenSize
        }
    }
}
