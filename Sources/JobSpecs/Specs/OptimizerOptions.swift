/// The `optim` section of a training job: the optimizer and its learning rate.
public struct OptimizerOptions: Sendable, Equatable {
    /// The optimizer.
    public enum Name: String, Sendable, CaseIterable {
        /// By the first moment over the root of the second.
        case adamW = "adamw"
        /// By the sign of the only moment, mixed with the gradient.
        case lion
    }

    /// The course of the learning rate.
    public enum ScheduleName: String, Sendable, CaseIterable {
        /// A linear warm-up, then the same rate to the end.
        case constant
        /// A linear warm-up, a cosine down to the minimum, a constant tail.
        case cosineAnnealing = "CosineAnnealing"
    }

    /// What the optimizer's moments are kept as.
    public enum Moments: String, Sendable, CaseIterable {
        /// Single precision.
        case float32
        /// The upper half of it.
        case bfloat16
        /// Codes of one byte, with a scale per block.
        case int8
    }

    /// What becomes of moments where a schedule's next stage begins.
    public enum StageMoments: String, Sendable, CaseIterable {
        /// They stay.
        case keep
        /// They begin at zero again.
        case reset
    }

    /// The optimizer.
    public var name: Name
    /// The rate after the warm-up.
    public var learningRate: Double
    /// Decoupled weight decay.
    public var weightDecay: Double
    /// Decay of the first moment; of Lion, the moment's share of the direction.
    public var beta1: Double
    /// Decay of the second moment; of Lion, that of its only one.
    public var beta2: Double
    /// Added to the root of the second moment.
    public var epsilon: Double
    /// What the moments are kept as.
    public var moments: Moments
    /// The course of the learning rate.
    public var schedule: ScheduleName
    /// Steps of the warm-up.
    public var warmupSteps: Int
    /// Steps at the end that stay at the minimum.
    public var constantSteps: Int
    /// The rate at the end; for a constant schedule the same as ``learningRate``.
    public var minimumLearningRate: Double
    /// What becomes of the moments where the next stage begins.
    public var stageMoments: StageMoments
    /// Steps in which the rate climbs again in each stage after the first; nil for the usual.
    public var stageWarmupSteps: Int?

    init(_ reader: ObjectReader) {
        let sched = reader.object("sched")
        let rate = reader.number("lr")
        name = reader.choice("name")
        let betas =
            reader.value("betas")?.arrayValue?.compactMap(\.doubleValue)
            ?? (name == .lion ? [0.9, 0.99] : [0.9, 0.95])
        precondition(betas.count == 2, "the schema lets \(betas.count) betas pass")
        learningRate = rate
        weightDecay = reader.number("weight_decay")
        beta1 = betas[0]
        beta2 = betas[1]
        epsilon = reader.number("eps")
        moments = reader.choice("moments")
        schedule = sched.choice("name")
        warmupSteps = sched.integer("warmup_steps")
        constantSteps = sched.integer("constant_steps")
        let change = reader.object("stage_change")
        stageMoments = change.choice("moments")
        stageWarmupSteps = change.optionalInteger("warmup_steps")
        minimumLearningRate = schedule == .constant ? rate : sched.number("min_lr")
    }
}
