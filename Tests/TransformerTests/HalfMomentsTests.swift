internal import Devices
internal import Formats
internal import Kernels
internal import Testing

@testable internal import Transformer

/// AdamW whose moments are kept as BF16.
struct HalfMomentsTests {
    private static func step(_ number: Int) -> AdamWStep {
        func remaining(_ beta: Double) -> Float {
            Float(1 - (0..<number).reduce(1) { value, _ in value * beta })
        }
        return AdamWStep(
            learningRate: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weightDecay: 0,
            biasCorrection1: remaining(0.9),
            biasCorrection2: remaining(0.999),
            gradientScale: 1,
            seed: UInt32(number)
        )
    }

    private static func value(_ half: UInt16) -> Double {
        Double(Float(bitPattern: UInt32(half) << 16))
    }

    /// A second moment that a step changes by less than BF16 resolves does not stand still: after 400
    /// steps of a constant gradient g it is (1 - 0.999^400) g² in the mean of 4,096 elements.
    @Test func nothingIsLostInTheMean() {
        let count = 4096
        let gradient = [Float](repeating: 0.37, count: count)
        var weights = [Float](repeating: 1, count: count)
        var first = [UInt16](repeating: 0, count: count)
        var second = first
        for number in 1...400 {
            OptimizerKernels.adamW(
                weights: &weights,
                firstMoment: &first,
                secondMoment: &second,
                gradient: gradient,
                count: count,
                first: 0,
                step: Self.step(number)
            )
        }
        let expected = (1 - (0..<400).reduce(1.0) { value, _ in value * 0.999 }) * 0.37 * 0.37
        let mean = second.map(Self.value).reduce(0, +) / Double(count)
        #expect(abs(mean / expected - 1) < 1e-3)
        // Each is near it, too: a rounding is off by 2^-8 at most in the mean of squares, and 400 of them
        // by 20 times that; none of 4,096 is beyond five times so much.
        #expect(second.allSatisfy { abs(Self.value($0) / expected - 1) < 5 * 20 / 256 })
        let moment = first.map(Self.value).reduce(0, +) / Double(count)
        #expect(abs(moment / 0.37 - 1) < 1e-3)
        // The gradient never changes: each step is the learning rate.
        let moved = weights.reduce(0.0) { $0 + 1 - Double($1) } / Double(count)
        #expect(abs(moved / 0.4 - 1) < 0.01)
    }

    private static func engine(
        _ moments: MomentPrecision,
        threads: Int = 2,
        copiesHost: Bool = false
    ) throws -> TrainingEngine {
        let device = CPUDevice(team: ThreadTeam(threadCount: threads))
        return try TrainingEngine(
            parameters: try Parameters.random(
                configuration: tinyConfiguration(),
                seed: 3,
                deviation: 0.1
            ),
            teacher: nil,
            settings: .init(
                recipe: QuantizationRecipe(defaultFormat: .mxfp4),
                optimizer: AdamWConfiguration(moments: moments),
                batchSize: 2,
                length: 16
            ),
            isFrozen: { _ in false },
            device: RecordingDevice(device, copiesHost: copiesHost)
        )
    }

    private static func train(_ engine: TrainingEngine, from first: Int, to last: Int) throws {
        for step in first..<last {
            let tokens = (0..<32).map { Int32(($0 * 7 + step) % 53) }
            _ = try engine.step(tokens: tokens, learningRate: 1e-3, progress: 0)
        }
    }

    @Test func threadsChangeNoBit() throws {
        let weights = try [1, 3].map { threads in
            let engine = try Self.engine(.bfloat16, threads: threads)
            try Self.train(engine, from: 0, to: 5)
            return Array(engine.parameters.storage.elements)
        }
        #expect(weights[0] == weights[1])
    }

    /// Weights stay near those of FP32 moments: within a fiftieth of what training moved.
    @Test func trainingIsNearThatOfFullMoments() throws {
        let start = Array(try Self.engine(.float32).parameters.storage.elements)
        let ends = try [MomentPrecision.float32, .bfloat16].map { moments in
            let engine = try Self.engine(moments)
            try Self.train(engine, from: 0, to: 20)
            return Array(engine.parameters.storage.elements)
        }
        func distance(_ a: [Float], _ b: [Float]) -> Double {
            zip(a, b).reduce(0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }.squareRoot()
        }
        #expect(distance(ends[0], ends[1]) < 0.02 * distance(ends[0], start))
    }

    @Test(arguments: [false, true])
    func resumedRunRepeatsTheUninterruptedOne(copiesHost: Bool) throws {
        let whole = try Self.engine(.bfloat16)
        try Self.train(whole, from: 0, to: 6)
        let first = try Self.engine(.bfloat16, copiesHost: copiesHost)
        try Self.train(first, from: 0, to: 3)
        let second = try Self.engine(.bfloat16, copiesHost: copiesHost)
        second.parameters.storage.pointer.update(
            from: first.parameters.storage.pointer,
            count: first.parameters.storage.count
        )
        for (target, source) in zip(second.optimizer.moments, first.optimizer.moments) {
            #expect(source.first.count == 2 * source.shape.reduce(1, *))
            target.first.copyMemory(from: UnsafeRawBufferPointer(source.first))
            target.second.copyMemory(from: UnsafeRawBufferPointer(source.second))
        }
        second.resume(atStep: 3)
        try Self.train(second, from: 3, to: 6)
        #expect(
            second.parameters.storage.elements.elementsEqual(whole.parameters.storage.elements)
        )
    }
}
