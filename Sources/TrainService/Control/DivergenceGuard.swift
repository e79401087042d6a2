/// Watches the losses of a run's steps for those that stay far above their level.
///
/// The level is a moving average over the losses of one stage and, where steps take several formats in turn, one
/// format: the mean of the first ``window``, then one that forgets. A loss is suspicious when it is more than the
/// rule's factor times the level, and by more than ``minimumRise``; such losses do not count in the level. How many come
/// in a row is counted for each level, so that a format which diverges is found however good the others' losses are.
struct DivergenceGuard: Equatable {
    /// What counts as diverged.
    struct Rule: Equatable {
        /// How many times its level a loss must be.
        var lossFactor: Double
        /// Suspicious steps in a row, of those that a level is of.
        var patience: Int
    }

    /// A moving average, and what came since.
    struct Level: Equatable {
        var mean: Double
        /// Losses in it.
        var count: Int
        /// Suspicious steps in a row since the newest of them.
        var streak = 0
    }

    /// Losses that stayed above.
    struct Spike: Equatable {
        let loss: Double
        let level: Double
    }

    /// Steps over which the level forgets.
    static let window = 50
    /// Losses before any is judged.
    static let minimumCount = 20
    /// Nats: what rises by less is noise of a small loss, as of a distillation to eight bits.
    static let minimumRise = 0.1

    /// By turn.
    var levels: [Int: Level] = [:]
    /// The first step of the stage that the levels are of.
    var stageStart = 0

    /// Whether the newest loss of any level is far above it.
    var isSuspicious: Bool { levels.values.contains { $0.streak > 0 } }

    /// Takes a step's loss, which is finite; returns what diverged, if it is enough of it.
    mutating func take(
        _ loss: Double,
        turn: Int,
        stageStart: Int,
        by rule: Rule
    ) -> Spike? {
        if stageStart != self.stageStart {
            self = DivergenceGuard()
            self.stageStart = stageStart
        }
        var level = levels[turn] ?? Level(mean: 0, count: 0)
        if level.count >= Self.minimumCount, loss > rule.lossFactor * level.mean,
            loss > level.mean + Self.minimumRise
        {
            level.streak += 1
            levels[turn] = level
            guard level.streak >= rule.patience else { return nil }
            return Spike(loss: loss, level: level.mean)
        }
        level.streak = 0
        level.count += 1
        level.mean += (loss - level.mean) / Double(min(level.count, Self.window))
        levels[turn] = level
        return nil
    }
}
