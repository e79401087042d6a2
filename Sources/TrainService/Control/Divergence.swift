internal import Foundation

/// A run that is no good any more.
struct Divergence: Equatable {
    /// What showed it; raw values stand in checkpoints.
    enum Cause: Int {
        /// The loss or the gradient of a step.
        case step = 1
        /// Losses that stay far above their level.
        case spike = 2
        /// A validation's hidden states or logits.
        case validation = 3
    }

    /// The step (from 1) that showed it.
    var step: Int
    var cause: Cause
    /// Of a spike, the loss.
    var loss: Double? = nil
    /// Of a spike, the level that it is above.
    var level: Double? = nil

    /// Whether the weights after a step diverge by themselves, whatever the rate: the first loss after it is of them.
    func isOfWeights(ofStep step: Int) -> Bool { cause == .step && self.step == step + 1 }

    /// What happened, as a sentence's beginning: "step 57: the loss is not finite".
    var sentence: String {
        switch cause {
        case .step: "step \(step): the loss or the gradient is not finite"
        case .validation: "step \(step): the validation's loss is not finite"
        case .spike:
            String(
                format: "step %d: the loss of %.4g stays far above its level of %.4g",
                step,
                loss ?? .nan,
                level ?? .nan
            )
        }
    }
}

/// Why and where to a run went back.
///
/// It is thrown through the training, which begins again there: what comes after it is what an attempt does that
/// was killed, and so it is the same, bit for bit, whenever it is killed again.
struct RollBack: Error, Equatable {
    /// What the learning rate is multiplied by from then on.
    static let rateFactor = 0.5

    var divergence: Divergence
    /// The step of the checkpoint; 0 for the start.
    var target: Int

    /// Where to, in words.
    var place: String { target > 0 ? "the checkpoint of step \(target)" : "the start" }

    /// One sentence for the log, the results and the report.
    var sentence: String {
        "\(divergence.sentence): training went back to \(place), and on from there at "
            + "\(Self.rateFactor) times the learning rate"
    }
}
