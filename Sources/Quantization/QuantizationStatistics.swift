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
    /// Share of elements beyond the largest value that their scale can hold; nil if not counted.
    public var saturatedShare: Double?
    /// Share of the blocks with non-zero values that round to nothing but zeros; nil if not counted.
    public var collapsedShare: Double?

    /// What a user should look at, as the monitoring feature asks for.
    public var warnings: [String] { findings.map(\.text) }

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

    /// Compares a weight with what is stored of it.
    ///
    /// - Precondition: The sizes agree.
    public init(
        values: UnsafePointer<Float>,
        quantized: UnsafePointer<Float>,
        packed: PackedTensor,
        team: ThreadTeam
    ) {
        let count = packed.rows * packed.columns
        self.init(values: values, quantized: quantized, count: count, team: team)
        let use = Self.scaleUse(values, packed)
        saturatedShare = Double(use.saturatedElements) / Double(count)
        collapsedShare = Double(use.collapsedBlocks) / Double(max(use.blocks, 1))
    }

    private static func scaleUse(
        _ values: UnsafePointer<Float>,
        _ packed: PackedTensor
    ) -> ScaleUse {
        let format = packed.format
        let columns = packed.columns
        let blocksPerRow = packed.scales.count / max(packed.rows, 1)
        var use = ScaleUse()
        packed.scales.withUnsafeBufferPointer { scales in
            packed.codes.withUnsafeBufferPointer { codes in
                // Formats without block scales never read them.
                guard let start = scales.baseAddress ?? codes.baseAddress else { return }
                for row in 0..<packed.rows {
                    use.count(
                        values + row * columns,
                        scales: start + row * blocksPerRow,
                        count: columns,
                        blockSize: format.span(columns: columns),
                        storage: format.storage(packed.floatScales, row: row)
                    )
                }
            }
        }
        return use
    }
}
