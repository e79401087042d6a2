/// Which modules are quantized to which format, and when during a run.
///
/// Module names are Hugging Face's: `model.layers.0.self_attn.q_proj`. Without a rule that names
/// them, the embedding and the head are left alone, and every other linear layer takes the format
/// of the current stage. A rule names where a layer ends: in the stages before the last the layer
/// takes the more precise of the rule's format and the stage's (``FormatPrecision``).
public struct QuantizationRecipe: Sendable, Codable, Equatable {
    /// A pattern and the format of the modules it names; nil leaves them unquantized.
    public struct Rule: Sendable, Codable, Equatable {
        /// The modules' names.
        public var pattern: ModulePattern
        /// The format; nil for none.
        public var format: QuantizationFormat?

        /// A rule.
        public init(pattern: ModulePattern, format: QuantizationFormat?) {
            self.pattern = pattern
            self.format = format
        }
    }

    /// A stretch of a run, by progress.
    public struct Stage: Sendable, Codable, Equatable {
        /// The stage holds while progress is below this.
        public var until: Double
        /// The default format meanwhile; nil for none.
        public var format: QuantizationFormat?

        /// A stage.
        public init(until: Double, format: QuantizationFormat?) {
            self.until = until
            self.format = format
        }
    }

    /// The format of linear layers outside of stages; nil for none.
    public var defaultFormat: QuantizationFormat?
    /// Rules in order; the last that matches wins.
    public var rules: [Rule]
    /// The format of linear layers' inputs; nil leaves activations alone.
    public var activations: QuantizationFormat?
    /// The straight-through estimator.
    public var straightThrough: StraightThrough
    /// Progressive stages in order of `until`; after the last, the default format.
    public var stages: [Stage]
    /// What the default format is in turn, step by step, its own value first.
    ///
    /// Of a training that is for each of them; empty of a recipe for one, and not beside stages.
    public var alternation: [QuantizationFormat]

    /// A recipe.
    public init(
        defaultFormat: QuantizationFormat?,
        rules: [Rule] = [],
        activations: QuantizationFormat? = nil,
        straightThrough: StraightThrough = .identity,
        stages: [Stage] = [],
        alternation: [QuantizationFormat] = []
    ) {
        self.defaultFormat = defaultFormat
        self.rules = rules
        self.activations = activations
        self.straightThrough = straightThrough
        self.stages = stages
        self.alternation = alternation
    }

    /// The recipes for one format each that steps take in turn, step n (from 0) the one at n modulo their
    /// count; the recipe itself where there is no alternation.
    public var turns: [QuantizationRecipe] {
        guard !alternation.isEmpty else { return [self] }
        return alternation.map { format in
            var turn = self
            turn.defaultFormat = format
            turn.alternation = []
            return turn
        }
    }

    /// Nothing is quantized.
    public static let none = QuantizationRecipe(defaultFormat: nil)

    /// The stage at `progress` (0 ..< 1) of a run, or nil after the last.
    public func stage(at progress: Double) -> Stage? {
        stages.first { progress < $0.until }
    }

    /// The default format at `progress`.
    public func stageFormat(at progress: Double) -> QuantizationFormat? {
        guard !stages.isEmpty else {
            return defaultFormat
        }
        return stage(at: progress).map(\.format) ?? stages[stages.count - 1].format
    }

    /// Whether `progress` lies in the last stage, or beyond it; so it does where there are none.
    public func isInLastStage(_ progress: Double) -> Bool {
        stages.dropLast().allSatisfy { progress >= $0.until }
    }

    /// The format of a module's weight at `progress`; at 1 or beyond, the final one.
    public func format(forModule name: String, progress: Double) -> QuantizationFormat? {
        if let index = ruleIndex(forModule: name) {
            let end = rules[index].format
            return isInLastStage(progress)
                ? end : QuantizationFormat.morePrecise(end, stageFormat(at: progress))
        }
        return Self.isLeftAlone(name) ? nil : stageFormat(at: progress)
    }

    /// Whether a job that chooses formats within a budget may choose this module's: rules go before.
    public func mayChoose(forModule name: String) -> Bool {
        ruleIndex(forModule: name) == nil && !Self.isLeftAlone(name)
    }

    private static func isLeftAlone(_ name: String) -> Bool {
        name.hasSuffix("embed_tokens") || name.hasSuffix("lm_head")
    }

    /// The formats that weights may get, in no order.
    public var formats: Set<QuantizationFormat> {
        let named = [defaultFormat] + rules.map(\.format) + stages.map(\.format)
        return Set(named.compactMap(\.self) + alternation)
    }

    /// The position of the rule that decides about a module, or nil if none names it.
    public func ruleIndex(forModule name: String) -> Int? {
        rules.lastIndex { $0.pattern.matches(name) }
    }

    /// The stretches of a run in which formats stay: the stages, or all of the run without any.
    public var stretches: [Range<Double>] {
        let ends = boundaries + [1]
        return zip([0] + ends, ends).map { $0..<$1 }
    }

    /// The progress values at which formats change, ascending, 0 not included.
    public var boundaries: [Double] { stages.map(\.until).filter { $0 < 1 } }

    /// Whether a module's weight is rounded in any stage.
    public func rounds(module: String) -> Bool {
        ([0] + boundaries + [1]).contains { format(forModule: module, progress: $0) != nil }
    }
}
