internal import Foundation
internal import Transformer

/// The rotary embedding in GGUF metadata and tensors.
///
/// - SeeAlso: llama.cpp, `src/llama-context.cpp` (YaRN) and `conversion/base.py`.
extension ModelFamily {
    func rotary(
        _ keys: inout GGUFKeys,
        _ tensors: GGUFConfiguration.Tensors,
        _ model: ModelConfiguration
    ) throws(ModelFileError) -> RotaryEmbedding {
        var rotary = RotaryEmbedding(theta: try keys.number("rope.freq_base") ?? 10_000)
        let key = "rope.dimension_count"
        if let dimension = try keys.integer(key), dimension != model.headDimension {
            guard huggingFace.partialRotaryFactor != nil else {
                throw keys.refusal(key, "\(model.headDimension) dimensions of each head turn")
            }
            rotary.dimension = dimension
        }
        var reader = GGUFScalingReader(
            rotary: rotary,
            model: model,
            factors: tensors.factors,
            kinds: gguf.rotaryScalings
        )
        rotary.scaling = try reader.scaling(&keys)
        if let name = reader.unusedFactors {
            throw ModelFileError(
                .unsupported,
                "\(keys.path): tensor \(name) is there, but \(gguf.architecture) models have none"
            )
        }
        return rotary
    }

    /// Writes the rotary embedding; the tensors of its factors.
    func writeRotary(
        _ model: ModelConfiguration,
        into metadata: inout GGUFMetadata
    ) -> [(name: String, values: [Float])] {
        metadata.set("rope.freq_base", Float(model.rotary.theta))
        metadata.set("rope.dimension_count", model.rotary.dimension ?? model.headDimension)
        switch model.rotary.scaling {
        case nil, .dynamic: return []
        case .linear(let factor):
            metadata.set("rope.scaling.type", "linear")
            metadata.set("rope.scaling.factor", Float(factor))
            return []
        case .llama3(let scaling):
            let factors = Llama3Factors.factors(of: scaling, model.rotary, model)
            return [(GGUFLayout.factorTensors[0], factors)]
        case .yarn(let scaling):
            metadata.set("rope.scaling.type", "yarn")
            metadata.set("rope.scaling.factor", Float(scaling.factor))
            metadata.set("rope.scaling.original_context_length", scaling.originalPositions)
            if let factor = scaling.attentionFactor {
                let usual = GGUFScalingReader.attentionFactor(ofYarn: scaling.factor)
                metadata.set("rope.scaling.attn_factor", Float(factor / usual))
            }
            return []
        case .longRope(let scaling):
            // The same factors for all lengths are what llama.cpp calls frequency factors.
            if scaling.shortFactors == scaling.longFactors, scaling.attentionFactor == 1,
                gguf.rotaryScalings.contains(.factors)
            {
                return [(GGUFLayout.factorTensors[0], scaling.shortFactors.map { Float($0) })]
            }
            metadata.set("rope.scaling.type", "longrope")
            metadata.set("rope.scaling.attn_factor", Float(scaling.attentionFactor))
            metadata.set("rope.scaling.original_context_length", scaling.originalPositions)
            return [
                (GGUFLayout.factorTensors[1], scaling.shortFactors.map { Float($0) }),
                (GGUFLayout.factorTensors[2], scaling.longFactors.map { Float($0) }),
            ]
        }
    }
}

/// Reads the scaling.
private struct GGUFScalingReader {
    private let rotary: RotaryEmbedding
    private let model: ModelConfiguration
    private let kinds: Set<GGUFTraits.RotaryScaling>
    private var factors: [String: [Float]]

    init(
        rotary: RotaryEmbedding,
        model: ModelConfiguration,
        factors: [String: [Float]],
        kinds: Set<GGUFTraits.RotaryScaling>
    ) {
        self.rotary = rotary
        self.model = model
        self.factors = factors
        self.kinds = kinds
    }

    /// A tensor of factors that the scaling does not have.
    var unusedFactors: String? { factors.keys.min() }

    /// What llama.cpp multiplies YaRN's cosines and sines by, before `rope.scaling.attn_factor`.
    static func attentionFactor(ofYarn factor: Double) -> Double {
        factor <= 1 ? 1 : 0.1 * log(factor) + 1
    }

    private mutating func take(_ name: String) -> [Double]? {
        factors.removeValue(forKey: name)?.map(\.decimal)
    }

    mutating func scaling(
        _ keys: inout GGUFKeys
    ) throws(ModelFileError) -> RotaryEmbedding.Scaling? {
        let names = GGUFLayout.factorTensors
        // The first name of the factor is of llama.cpp's first files.
        let newer = try keys.number("rope.scaling.factor")
        let older = try keys.number("rope.scale_linear")
        let factor = newer ?? older ?? 0
        let attention = try keys.number("rope.scaling.attn_factor") ?? 1
        let original = try keys.integer("rope.scaling.original_context_length")
        let type = try keys.text("rope.scaling.type")
        let isLong = kinds.contains(.longRope) && factors[names[1]] != nil
        if type != "yarn", !isLong, type != "longrope" {
            try keys.expect("rope.scaling.attn_factor", .number(1))
        }
        // Written by converters, and not read by llama.cpp in these architectures.
        let neutral = [
            ("beta_fast", 32.0), ("beta_slow", 1), ("ext_factor", 1), ("attn_factor", 1),
            ("log_multiplier", 0),
        ]
        for (key, value) in neutral { try keys.expect("rope.scaling.yarn_\(key)", .number(value)) }
        // llama.cpp takes a factor without a type for a linear one.
        switch type ?? (isLong ? "longrope" : "linear") {
        case "none": return try factorScaling()
        case "linear":
            let stretch: RotaryEmbedding.Scaling? =
                factor == 0 || factor == 1 ? nil : .linear(factor: factor)
            let other = try factorScaling()
            guard stretch == nil || other == nil else {
                throw keys.refusal("rope.scaling.factor", "beside \(names[0]) it is not computed")
            }
            return stretch ?? other
        case "yarn": return .yarn(yarn(factor, attention, original))
        case "longrope":
            guard let short = take(names[1]), let long = take(names[2]) else {
                throw keys.refusal("rope.scaling.type", "\(names[1]) and \(names[2]) are missing")
            }
            let positions = original ?? model.maximumPositions
            return .longRope(
                .init(
                    shortFactors: short,
                    longFactors: long,
                    originalPositions: positions,
                    attentionFactor: longRopeAttention(attention, positions)
                )
            )
        default:
            throw keys.refusal("rope.scaling.type", "none, linear, yarn and longrope are computed")
        }
    }

    /// The usual factor where the file's is it, rounded to FP32.
    private func longRopeAttention(_ attention: Double, _ positions: Int) -> Double {
        guard positions > 1 else { return attention }
        let usual = LongRopeDefaults.attentionFactor(
            ratio: Double(model.maximumPositions) / Double(positions),
            originalPositions: positions
        )
        return Float(usual) == Float(attention) ? usual : attention
    }

    private mutating func factorScaling() throws(ModelFileError) -> RotaryEmbedding.Scaling? {
        let name = GGUFLayout.factorTensors[0]
        guard kinds.contains(.factors), let values = factors.removeValue(forKey: name) else {
            return nil
        }
        if values.allSatisfy({ $0 == 1 }) { return nil }
        if let scaling = Llama3Factors.scaling(of: values, rotary, model) {
            return .llama3(scaling)
        }
        let list = values.map(\.decimal)
        return .longRope(
            .init(
                shortFactors: list,
                longFactors: list,
                originalPositions: model.maximumPositions,
                attentionFactor: 1
            )
        )
    }

    private func yarn(
        _ factor: Double,
        _ attention: Double,
        _ original: Int?
    ) -> RotaryEmbedding.Yarn {
        var yarn = RotaryEmbedding.Yarn(
            factor: factor == 0 ? 1 : factor,
            originalPositions: original ?? model.maximumPositions
        )
        guard attention != 1 else { return yarn }
        let usual = Self.attentionFactor(ofYarn: yarn.factor)
        // The shortest decimal that the file's factor may come from.
        let product = Float(attention * usual)
        let candidates = [product, product.nextUp, product.nextDown].filter {
            Float($0.decimal / usual) == Float(attention)
        }
        yarn.attentionFactor =
            candidates.map(\.decimal).min { "\($0)".count < "\($1)".count } ?? attention * usual
        return yarn
    }
}

/// Llama 3's scaling as factors that divide the frequencies, which is how GGUF files hold it.
///
/// - SeeAlso: llama.cpp, `conversion/llama.py`.
enum Llama3Factors {
    /// The factors of all frequencies.
    static func factors(
        of scaling: RotaryEmbedding.Llama3,
        _ rotary: RotaryEmbedding,
        _ model: ModelConfiguration
    ) -> [Float] {
        let dimension = rotary.dimension ?? model.headDimension
        let original = Double(scaling.originalPositions)
        return stride(from: 0, to: dimension, by: 2).map { index in
            let wavelength =
                2 * Double.pi * pow(rotary.theta, Double(index) / Double(dimension))
            if wavelength < original / scaling.highFrequencyFactor { return 1 }
            if wavelength > original / scaling.lowFrequencyFactor { return Float(scaling.factor) }
            let smooth =
                (original / wavelength - scaling.lowFrequencyFactor)
                / (scaling.highFrequencyFactor - scaling.lowFrequencyFactor)
            return Float(1 / ((1 - smooth) / scaling.factor + smooth))
        }
    }

    /// The scaling that makes these factors, with the borders that all Llama 3 models have; nil if
    /// there is none.
    static func scaling(
        of factors: [Float],
        _ rotary: RotaryEmbedding,
        _ model: ModelConfiguration
    ) -> RotaryEmbedding.Llama3? {
        guard let factor = factors.max(), factor.isFinite, factor > 1 else { return nil }
        // The length of Llama 3's first models, then others.
        for original in [8192] + (4...20).map({ 1 << $0 }) {
            let scaling = RotaryEmbedding.Llama3(
                factor: factor.decimal,
                lowFrequencyFactor: 1,
                highFrequencyFactor: 4,
                originalPositions: original
            )
            let expected = self.factors(of: scaling, rotary, model)
            // Converters compute in FP32.
            let isSame =
                expected.count == factors.count
                && zip(expected, factors).allSatisfy { abs($0 - $1) <= 4e-6 * abs($0) }
            if isSame { return scaling }
        }
        return nil
    }
}
