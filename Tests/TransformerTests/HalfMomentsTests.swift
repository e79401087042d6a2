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
}
