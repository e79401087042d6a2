internal import Devices
public import Formats
public import Kernels

/// What a job holds in memory while it holds most, before any of it is allocated.
public struct MemoryPlan: Sendable, Equatable {
    /// What a job does one after the other, and what it holds then.
    public enum Phase: String, Sendable {
        /// A training's model is read, measured and rounded, or a checkpoint is read.
        case preparing = "before the first step"
        /// A training takes steps, and validates between them.
        case training = "while training"
        /// Weights are rounded on text.
        case rounding = "while rounding"
    }

    /// Memory of one purpose.
    public struct Part: Sendable, Equatable {
        /// What it holds, as in `gradients`.
        public let name: String
        /// Its size.
        public let byteCount: Int
    }

    /// The settings of a training that its memory depends on.
    public struct Training: Sendable {
        /// How weights and inputs are rounded.
        public var recipe: QuantizationRecipe
        /// What is learned from a teacher that runs beside the student; nil without one.
        public var distillation: Distillation?
        /// The teacher's shape, if it is not the model itself, unquantized.
        public var teacher: ModelConfiguration?
        /// Whether the student begins with the model's own embedding and head.
        public var startsAtModel: Bool
        /// Windows per micro-batch.
        public var batchSize: Int
        /// Tokens per window.
        public var length: Int
        /// Whether of each layer only its input is kept.
        public var checkpointsActivations: Bool
        /// What linear layers multiply.
        public var operands: OperandPrecision
        /// What the optimizer is.
        public var rule: OptimizerConfiguration.Rule
        /// What its moments are kept as.
        public var moments: MomentPrecision
        /// Whether a moving average of the weights is kept.
        public var averagesWeights: Bool
        /// Where the scales of weights come from.
        public var scales: ScaleSource
        /// Whether weights whose codes flip are found and frozen.
        public var freezesFlips: Bool
        /// The adapters that are trained in place of the weights; nil for none.
        public var adapters: AdapterConfiguration?
        /// Whether adapters are added to the model's weights as they came, which need no copy then.
        public var sharesBase: Bool
        /// Threads that compute.
        public var threads: Int

        /// Settings.
        public init(
            recipe: QuantizationRecipe,
            distillation: Distillation?,
            teacher: ModelConfiguration? = nil,
            startsAtModel: Bool = true,
            batchSize: Int,
            length: Int,
            checkpointsActivations: Bool = false,
            operands: OperandPrecision = .float32,
            rule: OptimizerConfiguration.Rule = .adamW,
            moments: MomentPrecision = .float32,
            averagesWeights: Bool = false,
            scales: ScaleSource = .followed,
            adapters: AdapterConfiguration? = nil,
            sharesBase: Bool = false,
            freezesFlips: Bool = false,
            threads: Int
        ) {
            self.freezesFlips = freezesFlips
            self.adapters = adapters
            self.sharesBase = sharesBase
            self.scales = scales
            self.checkpointsActivations = checkpointsActivations
            self.rule = rule
            self.averagesWeights = averagesWeights
            self.moments = moments
            self.recipe = recipe
            self.distillation = distillation
            self.teacher = teacher
            self.startsAtModel = startsAtModel
            self.batchSize = batchSize
            self.length = length
            self.operands = operands
            self.threads = threads
        }

        var kept: KeptActivations {
            guard !checkpointsActivations else { return .inputs }
            return CPUDevice.activationType(operands: operands) == .bfloat16 ? .halves : .all
        }
    }

    /// When that is.
    public let phase: Phase
    /// The parts that are not empty, as they are listed.
    public let parts: [Part]

    /// All of it.
    public var byteCount: Int { parts.reduce(0) { $0 + $1.byteCount } }

    /// What one phase takes, of words of single precision by purpose.
    init(_ phase: Phase, words: [(String, Int)]) {
        self.phase = phase
        parts = words.filter { $0.1 > 0 }
            .map { Part(name: $0.0, byteCount: $0.1 * MemoryLayout<Float>.stride) }
    }

    /// The one that takes most; the first of several.
    static func largest(of plans: [MemoryPlan]) -> MemoryPlan {
        var largest = plans[0]
        for plan in plans where plan.byteCount > largest.byteCount { largest = plan }
        return largest
    }
}
