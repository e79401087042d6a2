public import Kernels

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// What quantization does to one tensor.
public struct QuantizationStatistics: Sendable, Codable, Equatable {
    /// Mean of the values.
    public var mean: Double
    /// Population standard deviation of the values.
    public var standardDeviation: Double
    /// Smallest value.
    public var minimum: Float
    /// Largest value.
    public var maximum: Float
    /// Largest magnitude.
    public var amax: Float
    /// Mean of |x - q(x)|.
    public var meanAbsoluteError: Double
    /// Mean of (x - q(x))².
    public var meanSquaredError: Double
    /// Signal to quantization noise, `10 log10(Σx² / Σ(x - q)²)`; infinite without error.
    public var sqnrDecibels: Double

    /// Warnings a user should read, by the thresholds of the monitoring feature.
    public var warnings: [String] {
        var found: [String] = []
        if meanAbsoluteError > 0.1 {
            found.append("mean absolute quantization error \(meanAbsoluteError) exceeds 0.1")
        }
        if standardDeviation < 1e-6 {
            found.append("standard deviation \(standardDeviation) is below 1e-6")
        }
        return found
    }

    private static let chunk = 1 << 16

    /// Compares `values` with their fake-quantized `quantized`.
    ///
    /// The result does not depend on the number of threads.
    /// - Precondition: `count` is positive.
    public init(
        values: UnsafePointer<Float>,
        quantized: UnsafePointer<Float>,
        count: Int,
        team: ThreadTeam
    ) {
        precondition(count > 0, "QuantizationStatistics: no values")
        let chunks = (count + Self.chunk - 1) / Self.chunk
        let sums = withUnsafeTemporaryAllocation(of: RoundingSums.self, capacity: chunks) { slots in
            team.parallelFor(count: chunks) { range in
                for index in range {
                    let start = index * Self.chunk
                    slots[index] = PostTrainingKernels.compare(
                        values + start,
                        quantized + start,
                        count: min(Self.chunk, count - start)
                    )
                }
            }
            return slots.dropFirst().reduce(slots[0]) { $0.adding($1) }
        }
        let total = Double(count)
        mean = sums.sum / total
        standardDeviation = max(sums.squares / total - mean * mean, 0).squareRoot()
        minimum = sums.minimum
        maximum = sums.maximum
        amax = max(abs(sums.minimum), abs(sums.maximum))
        meanAbsoluteError = sums.absoluteError / total
        meanSquaredError = sums.squaredError / total
        sqnrDecibels =
            sums.squaredError > 0 ? 10 * log10(sums.squares / sums.squaredError) : .infinity
    }
}
