internal import Devices

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// Cosines and sines of a rotary embedding, `[positions, rotated dimensions / 2]` each.
///
/// Where the frequencies depend on the text's length, ``prepare(length:)`` brings them up to date.
final class RotaryTable {
    let cosine: DeviceTensor
    let sine: DeviceTensor
    private let device: any ComputeDevice
    /// Dimensions of a head that turn; even.
    private let dimension: Int
    private let embedding: RotaryEmbedding
    /// The length that the frequencies were made for, where they depend on it.
    private var regime: Int?

    init(
        _ embedding: RotaryEmbedding,
        headDimension: Int,
        positions: Int,
        device: any ComputeDevice
    ) {
        self.embedding = embedding
        self.device = device
        dimension = embedding.dimension ?? headDimension
        cosine = device.tensor(rows: positions, columns: dimension / 2)
        sine = device.tensor(rows: positions, columns: dimension / 2)
        fill(length: positions)
        regime = embedding.regime(length: positions)
    }

    /// Makes the frequencies those of a text of `length` tokens.
    ///
    /// Allocates only where that changes them. Returns whether keys that were rotated before no longer
    /// fit: LongRoPE's factors change at once, while dynamic scaling lets older keys stand, as
    /// Transformers does.
    func prepare(length: Int) -> Bool {
        let next = embedding.regime(length: length)
        guard next != regime else { return false }
        regime = next
        fill(length: length)
        if case .longRope = embedding.scaling { return true }
        return false
    }

    private func fill(length: Int) {
        let half = dimension / 2
        let (frequencies, factor) = embedding.frequencies(dimension: dimension, length: length)
        var (cosines, sines) = ([Float](), [Float]())
        cosines.reserveCapacity(cosine.count)
        sines.reserveCapacity(sine.count)
        for position in 0..<cosine.rows {
            for index in 0..<half {
                let angle = Double(position) * frequencies[index]
                cosines.append(Float(cos(angle) * factor))
                sines.append(Float(sin(angle) * factor))
            }
        }
        device.upload(cosines, to: cosine)
        device.upload(sines, to: sine)
    }
}

extension RotaryEmbedding {
    /// What about a text's length decides its frequencies; nil where nothing does.
    func regime(length: Int) -> Int? {
        switch scaling {
        case .dynamic(_, let original): max(length, original)
        case .longRope(let scaling): length > scaling.originalPositions ? 1 : 0
        default: nil
        }
    }

    /// Angles per position of the pairs of dimensions, and what cosines and sines are multiplied by.
    func frequencies(dimension: Int, length: Int) -> ([Double], factor: Double) {
        let plain = Self.frequencies(theta: theta, dimension: dimension)
        switch scaling {
        case nil: return (plain, 1)
        case .linear(let factor): return (plain.map { $0 / factor }, 1)
        case .dynamic(let factor, let original):
            let stretch = factor * Double(max(length, original)) / Double(original) - (factor - 1)
            let power = Double(dimension) / Double(dimension - 2)
            return (Self.frequencies(theta: theta * pow(stretch, power), dimension: dimension), 1)
        case .llama3(let scaling): return (plain.map(scaling.scaled), 1)
        case .yarn(let scaling): return scaling.frequencies(plain, theta: theta)
        case .longRope(let scaling):
            let factors =
                length > scaling.originalPositions ? scaling.longFactors : scaling.shortFactors
            return (zip(plain, factors).map { $0 / $1 }, scaling.attentionFactor)
        }
    }

    private static func frequencies(theta: Double, dimension: Int) -> [Double] {
        (0..<dimension / 2).map { pow(theta, -2 * Double($0) / Double(dimension)) }
    }
}

extension RotaryEmbedding.Llama3 {
    /// Long wavelengths are stretched, short ones are not, and those between are mixed.
    func scaled(_ frequency: Double) -> Double {
        let wavelength = 2 * Double.pi / frequency
        let original = Double(originalPositions)
        if wavelength < original / highFrequencyFactor { return frequency }
        if wavelength > original / lowFrequencyFactor { return frequency / factor }
        let smooth =
            (original / wavelength - lowFrequencyFactor)
            / (highFrequencyFactor - lowFrequencyFactor)
        return (1 - smooth) * frequency / factor + smooth * frequency
    }
}

extension RotaryEmbedding.Yarn {
    /// The dimension whose frequency turns `rotations` times within the original length.
    private func border(_ rotations: Double, theta: Double, dimension: Int) -> Double {
        let turns = Double(originalPositions) / (rotations * 2 * Double.pi)
        return Double(dimension) * log(turns) / (2 * log(theta))
    }

    fileprivate func frequencies(_ plain: [Double], theta: Double) -> ([Double], factor: Double) {
        let dimension = 2 * plain.count
        var low = border(betaFast, theta: theta, dimension: dimension)
        var high = border(betaSlow, theta: theta, dimension: dimension)
        if truncatesBorders { (low, high) = (low.rounded(.down), high.rounded(.up)) }
        low = max(low, 0)
        high = min(high, Double(dimension - 1))
        if low == high { high += 0.001 }
        let mixed = plain.enumerated().map { index, frequency in
            let stretched = min(max((Double(index) - low) / (high - low), 0), 1)
            return frequency / factor * stretched + frequency * (1 - stretched)
        }
        let growth = factor > 1 ? 0.1 * log(factor) + 1 : 1
        return (mixed, attentionFactor ?? growth)
    }
}
