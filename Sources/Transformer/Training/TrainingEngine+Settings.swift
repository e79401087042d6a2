internal import Devices
public import Formats
public import Kernels

extension TrainingEngine {
    /// What a run is like, beside its model.
    public struct Settings: Sendable {
        /// How weights and inputs are rounded as the run goes.
        public var recipe: QuantizationRecipe
        /// What is lowered.
        public var objective: TrainingObjective
        /// The optimizer's constants.
        public var optimizer: OptimizerConfiguration
        /// What becomes of moments where a stage begins.
        public var stageMoments: StageChange.Moments
        /// The decay of the weights' moving average, above 0 and below 1; nil for none.
        public var averageDecay: Double?
        /// The weight, at the run's end, of weights' squared distance from what they are rounded to; 0 for
        /// none.
        public var damping: Double
        /// When weights that flip are frozen; nil for never.
        public var freezing: FlipRule?
        /// Windows per micro-batch; at least 1.
        public var batchSize: Int
        /// Micro-batches per step; at least 1.
        public var accumulation: Int
        /// Tokens per window; at least 2.
        public var length: Int
        /// Whether of each layer only its input is kept, and the rest computed again in the backward
        /// pass: the same bits for less memory and a third more work.
        public var checkpointsActivations: Bool
        /// Whether block scales of the parameters' ``Parameters/fixedScales`` are trained beside them.
        public var learnsScales: Bool
        /// What weights are rounded up or down by at random, step by step; nil rounds to nearest.
        public var roundingSeed: UInt64?
        /// Where the scales of inputs come from; others than dynamic ones take effect with
        /// ``TrainingEngine/clipInputs(at:)``.
        public var inputScales: InputScaleSource
        /// What of the squares of learned thresholds, relative to the calibrated ones, is added to the loss.
        public var clipRegularization: Double
        /// The adapters that are trained in place of all parameters; nil for none.
        public var adapters: AdapterConfiguration?
        /// What begins anew where a document ends, for student and teacher; nil for nothing.
        public var documents: DocumentRules?
        /// Gradients that ranks send at once.
        var bucketCount = GradientReduction.bucketCount

        /// Settings; the defaults are cross-entropy, the product's AdamW and one micro-batch a step.
        public init(
            recipe: QuantizationRecipe,
            objective: TrainingObjective = .crossEntropy,
            optimizer: OptimizerConfiguration = OptimizerConfiguration(),
            stageMoments: StageChange.Moments = StageChange().moments,
            averageDecay: Double? = nil,
            damping: Double = 0,
            batchSize: Int,
            accumulation: Int = 1,
            length: Int,
            checkpointsActivations: Bool = false,
            learnsScales: Bool = false,
            roundingSeed: UInt64? = nil,
            adapters: AdapterConfiguration? = nil,
            inputScales: InputScaleSource = .dynamic,
            clipRegularization: Double = 0,
            freezing: FlipRule? = nil,
            documents: DocumentRules? = nil
        ) {
            self.documents = documents
            self.freezing = freezing
            self.inputScales = inputScales
            self.clipRegularization = clipRegularization
            self.adapters = adapters
            self.roundingSeed = roundingSeed
            self.learnsScales = learnsScales
            self.checkpointsActivations = checkpointsActivations
            self.stageMoments = stageMoments
            self.averageDecay = averageDecay
            self.damping = damping
            self.recipe = recipe
            self.objective = objective
            self.optimizer = optimizer
            self.batchSize = batchSize
            self.accumulation = accumulation
            self.length = length
        }

        /// Tokens per micro-batch.
        var rows: Int { batchSize * length }

        func kept(as type: ElementType) -> KeptActivations {
            checkpointsActivations ? .inputs : type == .bfloat16 ? .halves : .all
        }
    }
}
