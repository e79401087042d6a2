/// Run control among the numbers that checkpoints keep.
extension RunControl {
    private enum Key {
        static let prefix = "control."
        static let validated = prefix + "validated"
        static let bestStep = prefix + "best.step"
        static let bestLoss = prefix + "best.loss"
        static let lostBest = prefix + "best.lost"
        static let lossToBeat = prefix + "early_stopping.best"
        static let waited = prefix + "early_stopping.waited"
        static let endStep = prefix + "end.step"
        static let endCause = prefix + "end.cause"
        static let stageStart = prefix + "guard.stage_start"
        static let anchor = prefix + "guard.anchor"
        static let target = prefix + "rolled_back.target"
        static let divergedStep = prefix + "rolled_back.step"
        static let cause = prefix + "rolled_back.cause"
        static let loss = prefix + "rolled_back.loss"
        static let level = prefix + "rolled_back.level"
        // A turn's number follows.
        static let mean = prefix + "guard.level."
        static let count = prefix + "guard.count."
        static let streak = prefix + "guard.streak."
        /// Of earlier versions: one for all turns.
        static let commonStreak = prefix + "guard.streak"
    }

    /// Its state by names; what there is none of has no name.
    var values: [String: Double] {
        var all: [String: Double?] = [
            Key.validated: Double(validated),
            Key.bestStep: best.map { Double($0.step) },
            Key.bestLoss: best?.loss,
            Key.lostBest: lostBest.map(Double.init),
            Key.lossToBeat: earlyStopping.best,
            Key.waited: Double(earlyStopping.waited),
            Key.endStep: end.map { Double($0.step) },
            Key.endCause: end.map { Double($0.cause.rawValue) },
            Key.stageStart: Double(divergence.stageStart),
            Key.anchor: Double(anchor),
            Key.target: rollBack.map { Double($0.target) },
            Key.divergedStep: rollBack.map { Double($0.divergence.step) },
            Key.cause: rollBack.map { Double($0.divergence.cause.rawValue) },
            Key.loss: rollBack?.divergence.loss,
            Key.level: rollBack?.divergence.level,
        ]
        for (turn, level) in divergence.levels {
            all["\(Key.mean)\(turn)"] = level.mean
            all["\(Key.count)\(turn)"] = Double(level.count)
            all["\(Key.streak)\(turn)"] = Double(level.streak)
        }
        return all.compactMapValues(\.self)
    }

    /// Reads what ``values`` wrote; a checkpoint of a version before has nothing of it, and begins anew.
    init(_ rules: Rules, values: [String: Double]) {
        func whole(_ key: String) -> Int? { values[key].flatMap { Int(exactly: $0) } }
        self.init(rules)
        validated = whole(Key.validated) ?? 0
        if let step = whole(Key.bestStep), let loss = values[Key.bestLoss] {
            best = Judged(step: step, loss: loss)
        }
        lostBest = whole(Key.lostBest)
        earlyStopping.best = values[Key.lossToBeat]
        earlyStopping.waited = whole(Key.waited) ?? 0
        if let step = whole(Key.endStep),
            let cause = whole(Key.endCause).flatMap(EarlyStopping.Cause.init)
        {
            end = EarlyEnd(step: step, cause: cause)
        }
        divergence.stageStart = whole(Key.stageStart) ?? 0
        anchor = whole(Key.anchor) ?? 0
        if let target = whole(Key.target), let step = whole(Key.divergedStep),
            let cause = whole(Key.cause).flatMap(Divergence.Cause.init)
        {
            rollBack = RollBack(
                divergence: Divergence(
                    step: step,
                    cause: cause,
                    loss: values[Key.loss],
                    level: values[Key.level]
                ),
                target: target
            )
        }
        for (key, mean) in values where key.hasPrefix(Key.mean) {
            guard let turn = Int(key.dropFirst(Key.mean.count)),
                let count = whole("\(Key.count)\(turn)")
            else { continue }
            divergence.levels[turn] = .init(
                mean: mean,
                count: count,
                streak: whole("\(Key.streak)\(turn)") ?? 0
            )
        }
        if let common = whole(Key.commonStreak), common > 0 {
            // So many steps, which took the turns one after the other.
            let turns = max(divergence.levels.count, 1)
            for turn in divergence.levels.keys {
                divergence.levels[turn]?.streak = (common + turns - 1) / turns
            }
        }
    }

    /// Those of a checkpoint's values that are none of it.
    static func others(in values: [String: Double]) -> [String: Double] {
        values.filter { !$0.key.hasPrefix(Key.prefix) }
    }
}
