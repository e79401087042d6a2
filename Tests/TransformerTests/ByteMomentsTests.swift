internal import Devices
internal import Formats
internal import Kernels
internal import Testing

@testable internal import Transformer

/// Moments of one byte per element, with a scale for each 256.
struct ByteMomentsTests {
    /// AdamW on vectors, moments in bytes.
    private struct Run {
        static let beta1 = 0.9
        static let beta2 = 0.95
        var weights: [Float]
        var first: [UInt8]
        var second: [UInt8]
        var firstScales: [Float]
        var secondScales: [Float]

        init(count: Int) {
            weights = [Float](repeating: 0, count: count)
            first = [UInt8](repeating: 0, count: count)
            second = first
            firstScales = [Float](repeating: 0, count: (count + 255) / 256)
            secondScales = firstScales
        }

        static func step(_ number: Int) -> AdamWStep {
            func remaining(_ beta: Double) -> Float {
                Float(1 - (0..<number).reduce(1) { value, _ in value * beta })
            }
            return AdamWStep(
                learningRate: 1e-3,
                beta1: Float(beta1),
                beta2: Float(beta2),
                epsilon: 1e-12,
                weightDecay: 0,
                biasCorrection1: remaining(beta1),
                biasCorrection2: remaining(beta2),
                gradientScale: 1,
                seed: UInt32(number)
            )
        }

        mutating func update(_ gradient: [Float], _ number: Int) {
            firstScales.withUnsafeMutableBufferPointer { firstScales in
                secondScales.withUnsafeMutableBufferPointer { secondScales in
                    first.withUnsafeMutableBufferPointer { first in
                        second.withUnsafeMutableBufferPointer { second in
                            guard let m = first.baseAddress, let ms = firstScales.baseAddress,
                                let v = second.baseAddress, let vs = secondScales.baseAddress
                            else { return }
                            OptimizerKernels.adamW(
                                weights: &weights,
                                firstMoment: BlockMoment(codes: m, scales: ms),
                                secondMoment: BlockMoment(codes: v, scales: vs),
                                gradient: gradient,
                                count: gradient.count,
                                first: 0,
                                step: Self.step(number)
                            )
                        }
                    }
                }
            }
        }

        /// The definition of the codes, from the header: exponent and mantissa, even below exponent 1.
        static func value(_ code: UInt8, exponents: Int) -> Double {
            let mantissa = Double(code % 8)
            let exponent = Int(code / 8) % (exponents + 1)
            func power(_ n: Int) -> Double { Double(sign: .plus, exponent: n, significand: 1) }
            return exponent == 0
                ? mantissa * power(1 - exponents - 3)
                : (8 + mantissa) * power(exponent - exponents - 3)
        }

        var firstValues: [Double] {
            first.enumerated().map { index, code in
                Self.value(code & 127, exponents: 15) * (code > 127 ? -1 : 1)
                    * Double(firstScales[index / 256])
            }
        }
        var secondValues: [Double] {
            second.enumerated().map { index, code in
                Self.value(code, exponents: 31) * Double(secondScales[index / 256])
            }
        }
    }

    /// 300 steps whose gradients differ a thousandfold within each block, beside FP32 moments.
    ///
    /// A rounding of x is off by at most x/8, right in the mean, with a variance of at most (x/16)²: after
    /// many steps that of a moment with decay β is at most (x/16)² / (1 - β²). The mean of n elements is
    /// within five deviations.
    @Test func momentsAreThoseOfFullPrecisionInTheMean() {
        let count = 8192
        let sizes = [1, 0.1, 0.01, 0.001]
        let gradient = (0..<count).map { Float(sizes[$0 % 4]) * ($0 % 8 < 4 ? 1 : -1) }
        var run = Run(count: count)
        for number in 1...300 { run.update(gradient, number) }
        let (first, second) = (run.firstValues, run.secondValues)
        let elements = Double(count / 4)
        for (group, size) in sizes.enumerated() {
            let places = stride(from: group, to: count, by: 4)
            func mean(_ value: (Int) -> Double) -> Double {
                places.reduce(0) { $0 + value($1) } / elements
            }
            func bound(_ beta: Double) -> Double { 5 / 16 / (1 - beta * beta).squareRoot() }
            let sign = { (place: Int) in place % 8 < 4 ? 1.0 : -1 }
            let m = mean { first[$0] * sign($0) } / size
            #expect(abs(m - 1) < bound(Run.beta1) / elements.squareRoot(), "first of \(size): \(m)")
            let v = mean { second[$0] } / (size * size)
            #expect(
                abs(v - 1) < bound(Run.beta2) / elements.squareRoot(),
                "second of \(size): \(v)"
            )
            // Each is within the bound of its own deviation, too; of 16,384 none is beyond five.
            for place in places {
                #expect(abs(first[place] * sign(place) / size - 1) < bound(Run.beta1))
                #expect(abs(second[place] / (size * size) - 1) < bound(Run.beta2))
            }
            // Each step is the rate but for noise, by which 1/√v is 3/8 of its variance too large.
            let moved = mean { Double(-run.weights[$0]) * sign($0) } / (300 * 1e-3)
            let variance = 1 / 256 / (1 - Run.beta2 * Run.beta2)
            #expect(moved > 0.99 && moved < 1 + variance, "steps of \(size): \(moved)")
        }
    }

    /// Below the smallest code a second moment is the smallest code: an update gets smaller, never larger
    /// than the rate, and never nothing for good.
    @Test func gradientsBelowTheCodesRangeMoveWeightsLess() {
        let count = 256
        var gradient = [Float](repeating: 1e-6, count: count)
        gradient[0] = 1
        var run = Run(count: count)
        for number in 1...400 {
            let before = run.weights
            run.update(gradient, number)
            for (old, new) in zip(before, run.weights).dropFirst() {
                #expect(abs(new - old) <= 1.3e-3)
            }
        }
        #expect(run.second.dropFirst().allSatisfy { $0 == 1 })
        // v is 2^-33 / 1.875 where it should be 10^-12: √v is 7.9 times too large.
        let moved = run.weights.dropFirst().reduce(0.0) { $0 - Double($1) } / 255 / (400 * 1e-3)
        #expect(moved > 0.8 / 7.9 && moved < 1.2 / 7.9, "\(moved)")
        // A gradient of nothing at all has no moments and moves nothing.
        var still = Run(count: 300)
        still.update([Float](repeating: 0, count: 300), 1)
        #expect(still.second.allSatisfy { $0 == 0 } && still.weights.allSatisfy { $0 == 0 })
    }

    private static let optimizers = OptimizerConfiguration.Rule.allCases.flatMap { rule in
        [MomentPrecision.bfloat16, .int8].map { OptimizerConfiguration(rule, moments: $0) }
    }

    @Test(arguments: optimizers)
    func threadsChangeNoBit(optimizer: OptimizerConfiguration) throws {
        let weights = try [1, 3].map { threads in
            let engine = try MomentRuns.engine(optimizer, threads: threads)
            try MomentRuns.train(engine, from: 0, to: 5)
            return MomentRuns.weights(engine.parameters)
        }
        #expect(weights[0] == weights[1])
    }

    @Test(arguments: optimizers + [OptimizerConfiguration(.lion)], [false, true])
    func resumedRunRepeatsTheUninterruptedOne(
        optimizer: OptimizerConfiguration,
        copiesHost: Bool
    ) throws {
        let whole = try MomentRuns.engine(optimizer)
        try MomentRuns.train(whole, from: 0, to: 6)
        let first = try MomentRuns.engine(optimizer, copiesHost: copiesHost)
        try MomentRuns.train(first, from: 0, to: 3)
        let second = try MomentRuns.engine(optimizer, copiesHost: copiesHost)
        MomentRuns.restore(second, from: first)
        try MomentRuns.train(second, from: 3, to: 6)
        #expect(
            MomentRuns.weights(second.parameters) == MomentRuns.weights(whole.parameters)
        )
    }

    /// What the plan says of moments is what a checkpoint has of them, but for parameters' padding.
    @Test(arguments: OptimizerConfiguration.Rule.allCases, MomentPrecision.allCases)
    func memoryIsThePlans(rule: OptimizerConfiguration.Rule, moments: MomentPrecision) throws {
        let configuration = ModelConfiguration.smolLM2With135MParameters
        let plan = MemoryPlan(
            training: configuration,
            .init(
                recipe: .none,
                distillation: nil,
                batchSize: 1,
                length: 16,
                rule: rule,
                moments: moments,
                threads: 1
            ),
            isFrozen: { _ in false }
        )
        let planned = try #require(plan.parts.first { $0.name == "moments" }).byteCount
        let count = ParameterLayout(configuration: configuration).totalCount
        let bytes: Double =
            switch moments {
            case .float32: 4
            case .bfloat16: 2
            case .int8: 1 + 4.0 / 256
            }
        let expected = bytes * Double(count) * (rule == .adamW ? 2 : 1)
        #expect(abs(Double(planned) / expected - 1) < 1e-4)
        let engine = try MomentRuns.engine(.init(rule, moments: moments))
        let parts = engine.parameters.layout.entries.count * (moments == .int8 ? 2 : 1)
        #expect(engine.state.count == parts * (rule == .adamW ? 2 : 1))
    }

    /// Training with bytes is near that with full moments: within a tenth of what it moved.
    @Test(arguments: [MomentPrecision.bfloat16, .int8])
    func trainingIsNearThatOfFullMoments(moments: MomentPrecision) throws {
        let start = MomentRuns.weights(try MomentRuns.engine(.init()).parameters)
        let ends = try [MomentPrecision.float32, moments].map { moments in
            let engine = try MomentRuns.engine(.init(moments: moments))
            try MomentRuns.train(engine, from: 0, to: 20)
            return MomentRuns.weights(engine.parameters)
        }
        func distance(_ a: [Float], _ b: [Float]) -> Double {
            zip(a, b).reduce(0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }.squareRoot()
        }
        let share = distance(ends[0], ends[1]) / distance(ends[0], start)
        #expect(share < (moments == .int8 ? 0.2 : 0.02), "\(share)")
    }
}
