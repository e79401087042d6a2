internal import Kernels
internal import Testing

@testable internal import Transformer

/// The fast kernels against the reference ones at lengths around the vector width.
///
/// Tolerance: both sum in double; the vector exponential is within 2 ulp of the library's.
private let tolerance = 3e-6

struct KernelTwinTests {
    private static let lengths = [0, 1, 7, 8, 9, 15, 16, 17, 33]

    @Test(arguments: KernelTwin.allCases)
    func equalsReference(twin: KernelTwin) {
        for length in Self.lengths + (twin.hasBlocks ? [256, 257, 600] : []) {
            let (fast, reference) = twin.run(length: length)
            if length == 0 {
                #expect(fast == reference)
            } else {
                #expect(relativeError(fast, reference) <= tolerance, "\(twin) at \(length)")
            }
        }
    }

    /// Adapters are merged alike on every processor: to the bit, the sign of zeros included.
    @Test(arguments: [1, 7, 8, 31, 32, 33, 40, 65])
    func adaptersAreMergedToTheBit(length: Int) {
        let (fast, reference) = KernelTwin.addLowRank.run(length: length)
        #expect(fast.map(\.bitPattern) == reference.map(\.bitPattern))
        #expect(fast.suffix(length).allSatisfy { $0 == 0 && $0.sign == .minus })
    }

    @Test func exponentialReachesItsLimits() {
        // Logits far apart: probabilities underflow to zero rather than to garbage.
        var row: [Float] = [200, -200, 0, 100, -100, 199, 50, -1, 3]
        DecoderKernels.softmax(&row, count: row.count, scale: 1)
        #expect(abs(row.reduce(0, +) - 1) <= 1e-6)
        #expect(row[1] == 0 && row[4] == 0)
        #expect(abs(row[5] / row[0] - 0.36787944) <= 1e-6)
    }
}
