/// How the layers of a family of decoders compute, apart from their sizes: plain data, from which the
/// parameters and the one pass follow.
///
/// The defaults are Llama's: RMSNorm before attention and MLP, a gated MLP with SiLU, no biases.
public struct Architecture: Sendable, Codable, Equatable {
    /// What a norm computes.
    public enum Norm: String, Sendable, Codable {
        /// `x / rms(x) · w`.
        case rms
        /// `x / rms(x) · (1 + w)`: Gemma.
        case rmsOnePlus
        /// `(x - mean(x)) / deviation(x) · (1 + w) + b`: Nemotron's LayerNorm1P.
        case layerOnePlus

        /// Added to the stored weight.
        public var weightOffset: Float {
            switch self {
            case .rms: 0
            case .rmsOnePlus, .layerOnePlus: 1
            }
        }
        /// Whether the mean is subtracted and a bias added.
        public var isCentered: Bool {
            switch self {
            case .rms, .rmsOnePlus: false
            case .layerOnePlus: true
            }
        }
    }

    /// Where a layer's norms stand.
    public enum NormPlacement: String, Sendable, Codable {
        /// On the inputs of attention and MLP.
        case before
        /// On their outputs, before these are added to the residual stream: OLMo 2.
        case after
        /// On both: Gemma 2 and 3.
        case beforeAndAfter

        /// Whether norms stand on inputs.
        var isOnInputs: Bool {
            switch self {
            case .before, .beforeAndAfter: true
            case .after: false
            }
        }
        /// Whether norms stand on outputs.
        var isOnOutputs: Bool {
            switch self {
            case .after, .beforeAndAfter: true
            case .before: false
            }
        }
    }

    /// What is normalized between the projections and the rotary embedding.
    public enum QueryKeyNorm: String, Sendable, Codable {
        /// Nothing.
        case none
        /// Each head of queries and keys, by weights that the heads share: Qwen 3, Gemma 3.
        case perHead
        /// Queries and keys over their full width: OLMo 2.
        case fullWidth
    }

    /// The MLP's nonlinearity, under Hugging Face's meanings.
    public enum Activation: String, Sendable, Codable, CaseIterable {
        /// `x · sigmoid(x)`.
        case silu
        /// `x · Φ(x)`, by the error function.
        case gelu
        /// GELU's approximation by the hyperbolic tangent.
        case geluTanh
        /// `max(x, 0)`.
        case relu
        /// `max(x, 0)²`.
        case reluSquared

        /// `k` of `f(a · x) = aᵏ · f(x)` for positive `a`; nil where there is none.
        public var homogeneity: Int? {
            switch self {
            case .relu: 1
            case .reluSquared: 2
            case .silu, .gelu, .geluTanh: nil
            }
        }
    }

    /// The family's name, as in `llama` or `gemma2`.
    public var family: String
    /// The MLP's nonlinearity.
    public var activation: Activation = .silu
    /// Whether the MLP is `down(f(gate(x)) · up(x))` rather than `down(f(up(x)))`.
    public var hasGate = true
    /// What norms compute.
    public var norm: Norm = .rms
    /// Where a layer's norms stand.
    public var normPlacement: NormPlacement = .before
    /// What is normalized before the rotary embedding.
    public var queryKeyNorm: QueryKeyNorm = .none
    /// Linear modules that add a bias to their output.
    public var biasedModules: Set<LinearModule> = []
    /// Modules whose rows one tensor of a checkpoint holds, one after the other: Phi-3.
    public var fusedModules: [FusedModule] = []
    /// Multiplies the embedding: √hidden in Gemma.
    public var embeddingMultiplier: Float = 1
    /// Multiplies what a layer adds to the residual stream: Granite.
    public var residualMultiplier: Float = 1
    /// Multiplies the products of queries and keys; nil for `1 / √headDimension`.
    public var attentionScale: Float?
    /// Bounds those products to `±cap` by `cap · tanh(x / cap)`: Gemma 2.
    public var attentionSoftCap: Float?
    /// Multiplies the logits: Granite's `1 / logits_scaling`.
    public var logitMultiplier: Float = 1
    /// Bounds the logits likewise.
    public var logitSoftCap: Float?

    /// A family's architecture with Llama's computation.
    public init(family: String) { self.family = family }

    /// Llama's.
    public static let llama = Architecture(family: "llama")
}

/// Modules that a checkpoint stores as one tensor, one after the other by rows.
public struct FusedModule: Sendable, Codable, Equatable {
    /// The stored module's name within its layer, as in `self_attn.qkv_proj`.
    public var suffix: String
    /// Its parts, first rows first.
    public var parts: [LinearModule]

    /// A fused module.
    public init(suffix: String, parts: [LinearModule]) {
        self.suffix = suffix
        self.parts = parts
    }
}

/// What one layer's attention sees, where layers differ.
public struct LayerAttention: Sendable, Codable, Equatable {
    /// Which rotary embedding a layer uses.
    public enum Rotation: String, Sendable, Codable {
        /// None: SmolLM3's layers without positions.
        case none
        /// The model's.
        case global
        /// Its second one: Gemma 3's layers with windows.
        case local
    }

    /// A query sees the last `window` positions, itself included; nil for all before it.
    public var window: Int?
    /// How queries and keys are rotated.
    public var rotation: Rotation

    /// A layer's attention; the defaults see and rotate everything.
    public init(window: Int? = nil, rotation: Rotation = .global) {
        self.window = window
        self.rotation = rotation
    }
}
