/// The linear layers of one decoder layer, in the order of the forward pass; ``gate`` is missing where
/// the MLP has none.
public enum LinearModule: Int, Sendable, Codable, CaseIterable {
    /// Query projection.
    case query
    /// Key projection.
    case key
    /// Value projection.
    case value
    /// Attention's output projection.
    case output
    /// The MLP's gate.
    case gate
    /// The MLP's up projection.
    case up
    /// The MLP's down projection.
    case down

    /// The module's name within its layer.
    public var suffix: String {
        switch self {
        case .query: "self_attn.q_proj"
        case .key: "self_attn.k_proj"
        case .value: "self_attn.v_proj"
        case .output: "self_attn.o_proj"
        case .gate: "mlp.gate_proj"
        case .up: "mlp.up_proj"
        case .down: "mlp.down_proj"
        }
    }

    /// The full module name, as in `model.layers.0.self_attn.q_proj`.
    public func name(layer: Int) -> String { "model.layers.\(layer).\(suffix)" }

    /// Input features.
    public func inputWidth(_ configuration: ModelConfiguration) -> Int {
        switch self {
        case .query, .key, .value, .gate, .up: configuration.hiddenSize
        case .output: configuration.queryWidth
        case .down: configuration.intermediateSize
        }
    }

    /// Output features.
    public func outputWidth(_ configuration: ModelConfiguration) -> Int {
        switch self {
        case .query: configuration.queryWidth
        case .key, .value: configuration.keyValueWidth
        case .output, .down: configuration.hiddenSize
        case .gate, .up: configuration.intermediateSize
        }
    }
}

extension LinearModule {
    /// Where a layer's module stands among those of all layers, layer by layer, present or not.
    func place(inLayer layer: Int) -> Int { layer * Self.allCases.count + rawValue }
}
