internal import Testing

@testable internal import TrainService

/// How a run goes on: metrics in, decisions out, without a model.
@Suite struct RunControlTests {
    private static func rules(
        keepsBest: Bool = false,
        earlyStopping: EarlyStopping.Rule? = nil,
        divergence: DivergenceGuard.Rule? = .init(lossFactor: 2, patience: 3)
    ) -> RunControl.Rules {
        RunControl.Rules(
            totalSteps: 100,
            validationInterval: 10,
            checkpointInterval: 25,
            keepsBest: keepsBest,
            earlyStopping: earlyStopping,
            divergence: divergence
        )
    }

    /// A run whose losses were those, of one turn and stage.
    private static func run(_ losses: [Double], _ rules: RunControl.Rules) -> (
        RunControl, Divergence?
    ) {
        var control = RunControl(rules)
        for (index, loss) in losses.enumerated() {
            if let found = control.take(loss, step: index + 1, turn: 0, stageStart: 0) {
                return (control, found)
            }
        }
        return (control, nil)
    }

    // MARK: The best validation

    /// The next validation is the best of what is there; a lost anchor gives way to the checkpoint without it.
    @Test func aRunGoesOnWithoutWhatIsDamaged() {
        var control = RunControl(Self.rules(keepsBest: true))
        for (step, loss) in [(10, 1.5), (20, 1.9)] { _ = control.validate(loss, step: step) }
        control.lose(.best, for: 20)
        #expect(control.best == nil && control.lostBest == 10)
        #expect(control.companions(of: 25).isEmpty && control.exportedStep(of: 25) == 25)
        #expect(control.validate(1.8, step: 30) && control.best?.step == 30)
        control.anchor = 25
        control.lose(.anchor, for: 40)
        let spike = Divergence(step: 50, cause: .spike, loss: 9, level: 1)
        #expect(control.remedy(for: spike) == .goBack(.init(divergence: spike, target: 40)))
    }

    @Test func theLowestLossIsTheBest() {
        var control = RunControl(Self.rules(keepsBest: true))
        let found = [(10, 2.0), (20, 1.5), (30, 1.5), (40, 1.6), (50, 1.4)].map {
            control.validate($0.1, step: $0.0)
        }
        #expect(found == [true, true, false, false, true])
        #expect(control.best == .init(step: 50, loss: 1.4) && control.validated == 50)
        #expect(control.exportedStep(of: 100) == 50)
        var last = RunControl(Self.rules())
        _ = last.validate(1, step: 10)
        #expect(last.best?.step == 10 && last.exportedStep(of: 100) == 100)
        #expect(RunControl(Self.rules(keepsBest: true)).exportedStep(of: 7) == 7)
    }

    /// Every interval; the last step only where validations decide on something: its export is validated
    /// anyway.
    @Test func validationsAreDueAtIntervals() {
        func due(_ rules: RunControl.Rules) -> [Int] {
            (0...100).filter(rules.isValidationDue)
        }
        let between = Array(stride(from: 10, to: 100, by: 10))
        #expect(due(Self.rules()) == between)
        #expect(due(Self.rules(keepsBest: true)) == between + [100])
        let stopping = EarlyStopping.Rule(patience: 1, minimumDelta: 0)
        #expect(due(Self.rules(earlyStopping: stopping)) == between + [100])
        var control = RunControl(Self.rules())
        #expect(control.lacksValidation(at: 10) && !control.lacksValidation(at: 11))
        _ = control.validate(1, step: 10)
        #expect(!control.lacksValidation(at: 10) && control.lacksValidation(at: 20))
    }

    // MARK: Early stopping

    /// The losses and the step are those of the documentation of Lightning's EarlyStopping: a run ends after
    /// `patience` checks without an improvement of more than `min_delta`.
    @Test(
        arguments: [
            ([3, 2, 2.5, 2.2, 2.1, 1], 3, 0, 50), ([3, 2, 2.5, 2.2, 1.9, 2, 2, 2], 3, 0, 80),
            ([3, 2.95, 2.91, 2.5, 2.45, 2.42, 2], 2, 0.1, 30), ([3, 2, 1, 0.5], 1, 0, nil),
            ([2, 2], 1, 0, 20), ([3, 2.9, 2.8, 2.7], 3, 0.25, nil),
        ] as [([Double], Int, Double, Int?)]
    )
    func aRunEndsWhenItGetsNoBetter(losses: [Double], patience: Int, delta: Double, end: Int?) {
        let rule = EarlyStopping.Rule(patience: patience, minimumDelta: delta)
        var control = RunControl(Self.rules(earlyStopping: rule))
        for (index, loss) in losses.enumerated() where control.end == nil {
            _ = control.validate(loss, step: (index + 1) * 10)
        }
        #expect(control.end?.step == end)
        #expect(control.end.map { $0.cause == .patience } ?? true)
        #expect(control.isOver(at: 90) == (end != nil) && control.isOver(at: 100))
    }

    @Test func aRunEndsBelowAThreshold() {
        let rule = EarlyStopping.Rule(patience: 5, minimumDelta: 0, threshold: 1.5)
        var control = RunControl(Self.rules(earlyStopping: rule))
        _ = control.validate(1.5, step: 10)
        #expect(control.end == nil)
        _ = control.validate(1.49, step: 20)
        #expect(control.end == .init(step: 20, cause: .threshold))
    }

    @Test func theLastStepEndsNothingEarly() {
        var control = RunControl(Self.rules(earlyStopping: .init(patience: 1, minimumDelta: 0)))
        _ = control.validate(1, step: 90)
        _ = control.validate(2, step: 100)
        #expect(control.end == nil && control.isOver(at: 100))
    }

    // MARK: The guard

    /// A level of 2 after twenty steps; then three in a row above 4.
    @Test func lossesThatStayAboveTheirLevelDiverge() {
        let level = [Double](repeating: 2, count: 20)
        let (_, found) = Self.run(level + [4.1, 5, 6], Self.rules())
        #expect(found == Divergence(step: 23, cause: .spike, loss: 6, level: 2))
        // Two, and one that is not; exactly twice; before anything is known; without a guard.
        #expect(Self.run(level + [5, 5, 3.9, 5, 5], Self.rules()).1 == nil)
        #expect(Self.run(level + [4, 4, 4, 4], Self.rules()).1 == nil)
        #expect(Self.run(level.dropLast() + [9, 9, 9], Self.rules()).1 == nil)
        #expect(Self.run(level + [50, 50, 50], Self.rules(divergence: nil)).1 == nil)
    }

    /// A loss of 0.01 that doubles has not diverged.
    @Test func smallLossesMayDouble() {
        let level = [Double](repeating: 0.01, count: 30)
        #expect(Self.run(level + [0.1, 0.1, 0.1, 0.1], Self.rules()).1 == nil)
        #expect(Self.run(level + [0.2, 0.2, 0.2], Self.rules()).1 != nil)
    }

    /// The mean of the first fifty, then an average that forgets; what is suspicious does not count.
    @Test func theLevelIsARunningMean() throws {
        let losses = (0..<60).map { 3 - 0.02 * Double($0) }
        let (control, _) = Self.run(losses + [9, 9], Self.rules())
        var expected = losses.prefix(50).reduce(0, +) / 50
        for loss in losses.suffix(10) { expected += (loss - expected) / 50 }
        let level = try #require(control.divergence.levels[0])
        #expect(abs(level.mean - expected) < 1e-12 && level.count == 60)
        #expect(level.streak == 2 && control.divergence.isSuspicious)
    }

    /// Seen: of conversations whose questions are long most steps learn nothing, and a run whose loss fell from 6 to
    /// 2 was failed as one that diverges, for their 0 made up the level.
    @Test func stepsThatLearnNothingSayNothing() {
        var control = RunControl(Self.rules())
        for step in 1...400 {
            let loss = step % 4 == 0 ? 6 - Double(step) / 100 : nil
            #expect(control.take(loss, step: step, turn: 0, stageStart: 0) == nil)
        }
        let level = control.divergence.levels[0]
        #expect(level?.count == 100 && (level?.mean ?? 0) > 2)
        // Between suspicious steps they end no row of these.
        var found: Divergence?
        for step in 401...420 where found == nil {
            found = control.take(step % 4 == 0 ? 90 : nil, step: step, turn: 0, stageStart: 0)
        }
        #expect(found?.step == 412 && found?.loss == 90)
    }

    /// A format's losses are another's business, and so are a stage's.
    @Test func turnsAndStagesHaveLevelsOfTheirOwn() {
        var control = RunControl(Self.rules())
        for step in 1...60 {
            let loss = step.isMultiple(of: 2) ? 4.0 : 1.0
            let found = control.take(loss, step: step, turn: step % 2, stageStart: 0)
            #expect(found == nil)
        }
        #expect(control.divergence.levels.mapValues(\.mean) == [0: 4, 1: 1])
        for step in 61...90 {
            #expect(control.take(9, step: step, turn: step % 2, stageStart: 60) == nil)
        }
        #expect(control.divergence.levels.mapValues(\.mean) == [0: 9, 1: 9])
    }

    /// By hand: the twentieth loss of turn 1 is that of step 40; from then on its losses are 50, and the third of
    /// them is that of step 46, however good those of turn 0 are between them.
    @Test func aFormatThatDivergesIsFoundBesideAGoodOne() {
        var control = RunControl(Self.rules())
        var found: Divergence?
        var step = 0
        while found == nil, step < 1000 {
            step += 1
            let turn = (step - 1) % 2
            found = control.take(
                turn == 1 && step > 40 ? 50 : 2,
                step: step,
                turn: turn,
                stageStart: 0
            )
            if step == 43 {
                // The newest loss is good, the one before is not: nothing to go back to.
                control.noteCheckpoint(25, isBest: false)
                #expect(control.anchor == 0 && control.divergence.isSuspicious)
            }
        }
        #expect(found == Divergence(step: 46, cause: .spike, loss: 50, level: 2))
        #expect(control.divergence.levels[1]?.streak == 3)
    }

    // MARK: Going back

    @Test func aRunGoesBackOnce() {
        var control = RunControl(Self.rules())
        control.noteCheckpoint(25, isBest: false)
        control.noteCheckpoint(31, isBest: false)
        // Whether a run is stopped at step 31 must not matter.
        #expect(control.anchor == 25)
        let found = Divergence(step: 40, cause: .spike, loss: 9, level: 2)
        let rollBack = RollBack(divergence: found, target: 25)
        #expect(control.remedy(for: found) == .goBack(rollBack))
        #expect(control.rateFactor == 1)
        control.rollBack = rollBack
        #expect(control.rateFactor == 0.5)
        guard case .fail(let why) = control.remedy(for: found) else {
            return #expect(Bool(false), "it goes back again")
        }
        #expect(why.contains("went back to the checkpoint of step 25"))
        #expect(rollBack.sentence.contains("the checkpoint of step 25"))
        #expect(RollBack(divergence: found, target: 0).sentence.contains("the start"))
    }

    /// The loss of the first step after a checkpoint is of the weights there: no rate mends it.
    @Test(arguments: [0, 25])
    func whatACheckpointDoesAlreadyIsNotTriedAgain(anchor: Int) {
        var control = RunControl(Self.rules())
        control.anchor = anchor
        let first = control.remedy(for: Divergence(step: anchor + 1, cause: .step))
        let second = control.remedy(for: Divergence(step: anchor + 2, cause: .step))
        guard case .fail = first, case .goBack(let rollBack) = second else {
            return #expect(Bool(false), "\(first), \(second)")
        }
        #expect(rollBack.target == anchor)
        var unguarded = RunControl(Self.rules(divergence: nil))
        unguarded.anchor = anchor
        guard case .fail = unguarded.remedy(for: Divergence(step: anchor + 2, cause: .step)) else {
            return #expect(Bool(false), "there is no guard")
        }
    }

    /// What is suspicious, or lacks its validation, is nothing to go back to.
    @Test func onlyGoodCheckpointsAreGoneBackTo() {
        var (control, _) = Self.run([Double](repeating: 2, count: 24) + [9], Self.rules())
        control.noteCheckpoint(25, isBest: false)
        #expect(control.anchor == 0)
        control.divergence.levels[0]?.streak = 0
        control.noteCheckpoint(50, isBest: false)
        #expect(control.anchor == 0)
        _ = control.validate(1, step: 50)
        control.noteCheckpoint(50, isBest: false)
        #expect(control.anchor == 50)
    }

    @Test func earlierCheckpointsGoWithLaterOnes() {
        var control = RunControl(Self.rules(keepsBest: true))
        #expect(control.companions(of: 10).isEmpty)
        _ = control.validate(1, step: 30)
        #expect(
            control.isCheckpointDue(30, isBest: true) && !control.isCheckpointDue(31, isBest: false)
        )
        control.noteCheckpoint(30, isBest: true)
        #expect(control.companions(of: 30).isEmpty)
        let later = control.companions(of: 33)
        #expect(later.map(\.role) == [.best, .anchor] && later.map(\.step) == [30, 30])
        _ = control.validate(2, step: 50)
        control.noteCheckpoint(50, isBest: false)
        #expect(control.companions(of: 50).map(\.role) == [.best])
        control.rollBack = RollBack(divergence: .init(step: 60, cause: .step), target: 50)
        #expect(control.companions(of: 55).map(\.role) == [.best])
    }

    // MARK: Checkpoints

    /// What no test sets comes back from a checkpoint that forgot it: it is what it is without.
    private func expectAllSet(_ value: Any, beside usual: Any, _ path: String = "control") {
        let (mirror, plain) = (Mirror(reflecting: value), Mirror(reflecting: usual))
        guard mirror.displayStyle == .struct, !mirror.children.isEmpty else {
            #expect(String(describing: value) != String(describing: usual), "\(path)")
            return
        }
        for (child, other) in zip(mirror.children, plain.children) where child.label != "rules" {
            expectAllSet(child.value, beside: other.value, "\(path).\(child.label ?? "")")
        }
    }

    @Test func allOfItStandsInCheckpoints() {
        let rules = Self.rules(
            keepsBest: true,
            earlyStopping: .init(patience: 2, minimumDelta: 0.1),
            divergence: .init(lossFactor: 3, patience: 4)
        )
        #expect(RunControl(rules, values: [:]) == RunControl(rules))
        var control = RunControl(rules)
        for step in 101...140 {
            _ = control.take(1 / Double(step), step: step, turn: 1 + step % 2, stageStart: 100)
        }
        _ = control.take(9, step: 141, turn: 1, stageStart: 100)
        for (step, loss) in [(10, 2.0), (20, 1.95), (30, 1.97)] {
            _ = control.validate(loss, step: step)
        }
        control.anchor = 25
        control.lostBest = 5
        control.rollBack = RollBack(
            divergence: .init(step: 40, cause: .spike, loss: 9.5, level: 0.1),
            target: 25
        )
        #expect(control.divergence.levels.mapValues(\.streak) == [1: 1, 2: 0])
        expectAllSet(control, beside: RunControl(rules))
        let values = control.values.merging(["baseline": 4]) { $1 }
        #expect(RunControl(rules, values: values) == control)
        #expect(RunControl.others(in: values) == ["baseline": 4])
    }

    /// A version before had one count of suspicious steps for all turns.
    @Test func checkpointsOfBeforeAreStillRead() {
        let old: [String: Double] = [
            "control.guard.streak": 5, "control.guard.stage_start": 100,
            "control.guard.level.0": 2, "control.guard.count.0": 40, "control.guard.level.1": 3,
            "control.guard.count.1": 41,
        ]
        let found = RunControl(Self.rules(), values: old).divergence
        #expect(found.stageStart == 100 && found.isSuspicious)
        // Five steps of two turns: two of one, three of the other, or the reverse.
        #expect(
            found.levels == [
                0: .init(mean: 2, count: 40, streak: 3), 1: .init(mean: 3, count: 41, streak: 3),
            ]
        )
        let good = old.merging(["control.guard.streak": 0]) { $1 }
        #expect(!RunControl(Self.rules(), values: good).divergence.isSuspicious)
        #expect(
            !RunControl(Self.rules(), values: good).values.keys.contains("control.guard.streak")
        )
    }
}
