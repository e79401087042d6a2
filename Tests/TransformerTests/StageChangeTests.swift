internal import Devices
internal import Formats
internal import Kernels
internal import Testing

@testable internal import Transformer

/// What happens to the optimizer where a run's formats change.
struct StageChangeTests {
    private static let recipe = QuantizationRecipe(
        defaultFormat: .mxfp4,
        stages: [
            .init(until: 0.3, format: .mxfp8), .init(until: 0.7, format: .mxfp6E2M3),
            .init(until: 1, format: .mxfp4),
        ]
    )

    /// A stage holds while step / steps is below its end: 0.3 · 10 is step 3, though 0.3 is not 3/10 in
    /// binary; of five steps the third (2/5) and the fifth (4/5) are the first beyond.
    @Test(arguments: [
        (10, [3, 7]), (5, [2, 4]), (200, [60, 140]), (3, [1]), (2, [1]), (1, []),
        (1000, [300, 700]),
    ])
    func stagesBeginWhereTheirFormatsDo(steps: Int, starts: [Int]) {
        let found = StageChange.steps(of: Self.recipe, totalSteps: steps)
        // Of three steps the second is in the second stage and the third (2/3) still is; of two, too.
        #expect(found == starts)
        for step in 1..<max(steps, 2) where step < steps {
            let isNew =
                Self.recipe.stage(at: Double(step) / Double(steps))
                != Self.recipe.stage(at: Double(step - 1) / Double(steps))
            #expect(isNew == found.contains(step))
        }
    }

    @Test func ratesClimbAgainInEachStage() {
        let schedule = LearningRateSchedule(
            peak: 1,
            minimum: 1,
            warmupSteps: 2,
            constantSteps: 0,
            totalSteps: 20,
            stageStarts: [6, 14],
            stageChange: StageChange(warmupSteps: 3)
        )
        let rates = (0..<20).map { schedule.rate(step: $0) }
        let climb = [0.25, 0.5, 0.75]
        #expect(
            rates == [0.5, 1, 1, 1, 1, 1] + climb + [1, 1, 1, 1, 1] + climb + [1, 1, 1]
        )
        #expect([0, 5, 6, 13, 14, 19].map { schedule.stageStart(of: $0) } == [0, 0, 6, 6, 14, 14])
        let usual = StageChange(warmupSteps: nil)
        #expect([1, 5, 20, 99, 5000].map { usual.warmupSteps(of: $0) } == [1, 1, 2, 9, 10])
    }

    private static func engine(
        _ moments: StageChange.Moments,
        recipe: QuantizationRecipe = recipe,
        beta2: Double = 0.95
    ) throws -> TrainingEngine {
        let parameters = try Parameters.random(
            configuration: tinyConfiguration(),
            seed: 3,
            deviation: 0.3
        )
        return try TrainingEngine(
            parameters: parameters,
            teacher: try parameters.copy(),
            settings: .init(
                recipe: recipe,
                objective: .distillation(Distillation()),
                optimizer: OptimizerConfiguration(beta2: beta2),
                stageMoments: moments,
                batchSize: 2,
                length: 16
            ),
            isFrozen: { _ in false },
            device: CPUDevice(team: ThreadTeam(threadCount: 2))
        )
    }

    @discardableResult
    private static func train(
        _ engine: TrainingEngine,
        to end: Int,
        _ schedule: LearningRateSchedule
    ) throws -> [Double] {
        try (engine.stepCount..<end).map { step in
            let tokens = (0..<32).map { Int32(($0 * $0 * 7 + step * 11 + $0) % 53) }
            return try engine.step(
                tokens: tokens,
                learningRate: schedule.rate(step: step),
                progress: Double(step) / Double(schedule.totalSteps),
                stageStart: schedule.stageStart(of: step)
            ).loss
        }
    }

    private static func schedule(
        _ steps: Int,
        rate: Double,
        _ change: StageChange
    ) -> LearningRateSchedule {
        LearningRateSchedule(
            peak: rate,
            minimum: rate,
            warmupSteps: 0,
            constantSteps: 0,
            totalSteps: steps,
            stageStarts: StageChange.steps(of: recipe, totalSteps: steps),
            stageChange: change
        )
    }

    /// How far losses rise in the eight steps from each change on, relative to the first of them, which is of
    /// weights that no step under the new formats has moved: the worst of both changes.
    private static func leap(_ moments: StageChange.Moments, steps: Int, beta2: Double) throws
        -> Double
    {
        let usual = moments == .reset
        let change = StageChange(moments: moments, warmupSteps: usual ? nil : 0)
        let schedule = schedule(steps, rate: 1e-3, change)
        let losses = try train(engine(moments, beta2: beta2), to: steps, schedule)
        return schedule.stageStarts.map { start in
            (losses[start..<start + 8].max() ?? 0) / losses[start]
        }.max() ?? 0
    }

    /// What is usual against an optimizer that goes on as if nothing had changed: texts differ from step to
    /// step, and losses with them, by about a third.
    @Test(arguments: [(40, 0.95), (40, 0.999), (100, 0.95)])
    func lossesDoNotLeap(steps: Int, beta2: Double) throws {
        let usual = try Self.leap(.reset, steps: steps, beta2: beta2)
        let kept = try Self.leap(.keep, steps: steps, beta2: beta2)
        #expect(usual < 1.6 && usual < kept, "\(usual), kept \(kept)")
    }

    /// A run that resumes before, at or behind a change of stage does what it would have done.
    @Test(arguments: StageChange.Moments.allCases, [2, 3, 4, 7])
    func resumedRunsRepeatTheUninterruptedOne(moments: StageChange.Moments, pause: Int) throws {
        let schedule = Self.schedule(10, rate: 1e-3, StageChange(moments: moments))
        let whole = try Self.engine(moments)
        try Self.train(whole, to: 10, schedule)
        let first = try Self.engine(moments)
        try Self.train(first, to: pause, schedule)
        let second = try Self.engine(moments)
        second.parameters.storage.pointer.update(
            from: first.parameters.storage.pointer,
            count: first.parameters.storage.count
        )
        for (target, source) in zip(second.state, first.state) {
            target.bytes.copyMemory(from: UnsafeRawBufferPointer(source.bytes))
        }
        second.resume(atStep: pause)
        try Self.train(second, to: 10, schedule)
        #expect(
            MomentRuns.weights(second.parameters) == MomentRuns.weights(whole.parameters)
        )
    }

    /// Begun anew, the optimizer goes on as one does that starts from these weights.
    @Test func bothMomentsBeginAnew() throws {
        let schedule = Self.schedule(10, rate: 1e-3, StageChange(moments: .reset))
        let engine = try Self.engine(.reset)
        try Self.train(engine, to: 3, schedule)
        let fresh = try Self.engine(.keep, recipe: QuantizationRecipe(defaultFormat: .mxfp6E2M3))
        fresh.parameters.storage.pointer.update(
            from: engine.parameters.storage.pointer,
            count: engine.parameters.storage.count
        )
        fresh.resume(atStep: 0)
        for step in 3..<6 {
            let tokens = (0..<32).map { Int32(($0 * 5 + step) % 53) }
            _ = try engine.step(tokens: tokens, learningRate: 1e-3, progress: 0.5, stageStart: 3)
            _ = try fresh.step(tokens: tokens, learningRate: 1e-3, progress: 0.5)
        }
        #expect(
            MomentRuns.weights(engine.parameters) == MomentRuns.weights(fresh.parameters)
        )
    }
}
