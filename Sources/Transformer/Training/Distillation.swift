public import Kernels

/// What is learned from a teacher.
///
/// The loss is `(1 − crossEntropyWeight) · divergence + crossEntropyWeight · cross-entropy +
/// hiddenWeight · hidden error`, each a mean of its own: the divergence over all positions,
/// cross-entropy over those that a token follows, the hidden error over positions and layers.
public struct Distillation: Sendable, Equatable {
    /// How far the student's next-token distribution lies from the teacher's.
    public var divergence: Divergence
    /// The softmax temperature of both, above 0; cross-entropy has none.
    public var temperature: Double
    /// The share of the text's next token, from 0 to less than 1.
    public var crossEntropyWeight: Double
    /// The weight of the residual stream's error after each layer, 0 or more: its squared distance
    /// from the teacher's, relative to the square length of the teacher's, position by position.
    public var hiddenWeight: Double
    /// How many of the teacher's most likely tokens are told apart; nil for all.
    ///
    /// All others are one outcome then, and the divergence is one of `topCount + 1` outcomes.
    public var topCount: Int?

    /// By default KL(teacher ‖ student) at temperature 1, and nothing beside.
    public init(
        divergence: Divergence = .forward,
        temperature: Double = 1,
        crossEntropyWeight: Double = 0,
        hiddenWeight: Double = 0,
        topCount: Int? = nil
    ) {
        self.divergence = divergence
        self.temperature = temperature
        self.crossEntropyWeight = crossEntropyWeight
        self.hiddenWeight = hiddenWeight
        self.topCount = topCount
    }

    /// - Throws: ``TransformerError`` (`invalidRecipe`) if it cannot be of a vocabulary.
    func requireFit(vocabularySize: Int) throws(TransformerError) {
        guard let topCount else { return }
        let limit = min(TopOutcomes.limit, vocabularySize)
        guard topCount >= 1, topCount <= limit else {
            throw TransformerError(
                .invalidRecipe,
                "\(topCount) of a teacher's \(vocabularySize) tokens; from 1 to \(limit) can be kept"
            )
        }
        guard hiddenWeight == 0 else {
            throw TransformerError(
                .invalidRecipe,
                "a teacher of which the most likely tokens are kept has no hidden states to compare"
            )
        }
    }

    /// Whether the loss has parts beside the divergence.
    var hasParts: Bool { crossEntropyWeight > 0 || hiddenWeight > 0 }
}

/// The sums of a loss's parts.
struct LossParts {
    /// Of the divergence, or of cross-entropy where there is no teacher.
    var main = LossSum()
    /// Of cross-entropy beside a divergence.
    var crossEntropy = LossSum()
    /// Of the hidden error; a row for each position and layer.
    var hidden = LossSum()

    mutating func add(_ other: LossParts) {
        main.add(other.main)
        crossEntropy.add(other.crossEntropy)
        hidden.add(other.hidden)
    }

    /// The means and, of these, what the objective makes.
    func result(_ objective: TrainingObjective, targetCount: Int) -> StepResult {
        func mean(_ sum: LossSum) -> Double { sum.loss / Double(max(sum.rows, 1)) }
        var result = StepResult(loss: mean(main), targetCount: targetCount, gradientNorm: 0)
        guard case .distillation(let distillation) = objective, distillation.hasParts else {
            return result
        }
        result.divergence = result.loss
        let share = distillation.crossEntropyWeight
        if share > 0 {
            result.crossEntropy = mean(crossEntropy)
            result.loss = (1 - share) * result.loss + share * mean(crossEntropy)
        }
        if distillation.hiddenWeight > 0 {
            result.hiddenError = mean(hidden)
            result.loss += distillation.hiddenWeight * mean(hidden)
        }
        return result
    }
}
