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

    /// Compares `values` with their fake-quantized `quantized`.
    ///
    /// - Precondition: `count` is positive.
    public init(
        values: UnsafePointer<Float>,
        quantized: UnsafePointer<Float>,
        count: Int
    ) {
        precondition(count > 0, "QuantizationStatistics: no values")
        var sum = 0.0
        var squares = 0.0
        var absolute = 0.0
        var noise = 0.0
        var low = Float.infinity
        var high = -Float.infinity
        for index in 0..<count {
            let value = values[index]
            let error = Double(value) - Double(quantized[index])
            sum += Double(value)
            squares += Double(value) * Double(value)
            absolute += abs(error)
            noise += error * error
            low = min(low, value)
            high = max(high, value)
        }
        let total = Double(count)
        mean = sum / total
        standardDeviation = max(squares / total - mean * mean, 0).squareRoot()
        minimum = low
        maximum = high
        amax = max(abs(low), abs(high))
        meanAbsoluteError = absolute / total
        meanSquaredError = noise / total
        sqnrDecibels = noise > 0 ? 10 * log10(squares / noise) : .infinity
    }
}
