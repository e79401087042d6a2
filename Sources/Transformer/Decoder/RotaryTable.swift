internal import Kernels

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// Cosines and sines of the rotary embedding, `[positions, headDimension / 2]` each.
///
/// - SeeAlso: Su et al. 2021, arXiv:2104.09864.
final class RotaryTable {
    let cosine: AlignedBuffer<Float>
    let sine: AlignedBuffer<Float>
    let positions: Int

    init(configuration: ModelConfiguration, positions: Int) {
        let half = configuration.headDimension / 2
        cosine = AlignedBuffer(count: positions * half)
        sine = AlignedBuffer(count: positions * half)
        self.positions = positions
        for index in 0..<half {
            let exponent = -2 * Double(index) / Double(configuration.headDimension)
            let frequency = Self.scaled(
                pow(configuration.ropeTheta, exponent),
                by: configuration.ropeScaling
            )
            for position in 0..<positions {
                let angle = Double(position) * frequency
                cosine.pointer[position * half + index] = Float(cos(angle))
                sine.pointer[position * half + index] = Float(sin(angle))
            }
        }
    }

    /// Llama 3's scaling: long wavelengths are stretched, short ones are not, and those between
    /// are mixed.
    private static func scaled(
        _ frequency: Double,
        by scaling: ModelConfiguration.RotaryScaling?
    ) -> Double {
        guard let scaling else {
            return frequency
        }
        let wavelength = 2 * Double.pi / frequency
        let original = Double(scaling.originalPositions)
        if wavelength < original / scaling.highFrequencyFactor {
            return frequency
        }
        if wavelength > original / scaling.lowFrequencyFactor {
            return frequency / scaling.factor
        }
        let smooth =
            (original / wavelength - scaling.lowFrequencyFactor)
            / (scaling.highFrequencyFactor - scaling.lowFrequencyFactor)
        return (1 - smooth) * frequency / scaling.factor + smooth * frequency
    }
}
