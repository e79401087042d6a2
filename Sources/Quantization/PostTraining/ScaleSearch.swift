internal import Formats
internal import Kernels

extension ScaleSearch {
    var candidates: BlockScaleSearch.Candidates {
        switch self {
        case .max, .percentile: .largest
        case .mse: .neighbours
        case .sweep: .all
        }
    }

    /// What magnitudes are limited to.
    func amaxLimit(_ values: UnsafePointer<Float>, count: Int) -> Float {
        guard case .percentile(let percent) = self else {
            return .infinity
        }
        return Self.percentile(percent, of: values, count: count)
    }

    /// A percentile of the magnitudes, rounded up to a multiple of 1/256 of its power of two.
    ///
    /// `percent`: In (0, 100].
    static func percentile(
        _ percent: Double,
        of values: UnsafePointer<Float>,
        count: Int
    ) -> Float {
        // Magnitudes sort as their bits; the upper 16 of 31 are the exponent and 8 mantissa bits.
        var histogram = [Int](repeating: 0, count: 1 << 16)
        for index in 0..<count {
            histogram[Int(values[index].magnitude.bitPattern >> 15)] += 1
        }
        let wanted = Int((Double(count) * percent / 100).rounded(.up))
        var seen = 0
        for (bin, number) in histogram.enumerated() where number > 0 {
            seen += number
            if seen >= wanted {
                return Float(bitPattern: UInt32(bin + 1) << 15)
            }
        }
        return .infinity
    }

    /// The largest magnitude that an FP32 scale should hold.
    ///
    /// `rounded`: Room for `count` values.
    func clippedAmax(
        _ values: UnsafePointer<Float>,
        count: Int,
        format: QuantizationFormat,
        rounded: UnsafeMutablePointer<Float>
    ) -> Float {
        let amax = QuantizeKernels.amax(values, count: count)
        switch self {
        case .max: return amax
        case .percentile: return min(amax, amaxLimit(values, count: count))
        case .mse, .sweep: break
        }
        var best = (error: Double.infinity, amax: amax)
        for step in 0...16 {
            let candidate = amax * (1 - Float(step) / 32)
            QuantizeKernels.fakeQuantize(
                rounded,
                values,
                count: count,
                blockSize: count,
                storage: format.storage(scale: format.floatScale(amax: candidate))
            )
            let error = PostTrainingKernels.compare(values, rounded, count: count).squaredError
            if error < best.error { best = (error, candidate) }
        }
        return best.amax
    }
}
