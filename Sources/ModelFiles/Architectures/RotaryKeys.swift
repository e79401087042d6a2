internal import Foundation
internal import Transformer

/// The rotary embedding in config.json: `rope_theta` beside `rope_scaling`, or all in
/// `rope_parameters`.
///
/// Where keys disagree, what Transformers 5 takes is taken: a `rope_scaling` before
/// `rope_parameters`, `rope_theta` and `partial_rotary_factor` within either before those beside it,
/// but `original_max_position_embeddings` beside it first.
/// - SeeAlso: Hugging Face Transformers, `modeling_rope_utils.py`.
extension ModelFamily {
    func rotaries(
        _ keys: inout ConfigurationKeys,
        _ model: ModelConfiguration
    ) throws(ModelFileError) -> (global: RotaryEmbedding, local: RotaryEmbedding?) {
        (try rotary(&keys, model), nil)
    }

    private func rotary(
        _ keys: inout ConfigurationKeys,
        _ model: ModelConfiguration
    ) throws(ModelFileError) -> RotaryEmbedding {
        let theta = try keys.number("rope_theta")
        let factor = try keys.number("partial_rotary_factor")
        let older = try keys.keys(in: "rope_scaling")
        let newer = try keys.keys(in: "rope_parameters")
        let original =
            try keys.integer("original_max_position_embeddings") ?? huggingFace.originalPositions
        guard var nested = older ?? newer else {
            return RotaryEmbedding(
                theta: theta ?? huggingFace.theta,
                dimension: try dimension(factor, "partial_rotary_factor", keys, model)
            )
        }
        return try rotary(
            &nested,
            RotaryDefaults(
                theta: theta ?? huggingFace.theta,
                partialFactor: factor,
                originalPositions: original
            ),
            model
        )
    }

    /// The embedding that an object of one rotary embedding describes.
    func rotary(
        _ keys: inout ConfigurationKeys,
        _ defaults: RotaryDefaults,
        _ model: ModelConfiguration
    ) throws(ModelFileError) -> RotaryEmbedding {
        var rotary = RotaryEmbedding()
        rotary.theta = try keys.number("rope_theta") ?? defaults.theta
        rotary.dimension = try dimension(
            try keys.number("partial_rotary_factor") ?? defaults.partialFactor,
            "partial_rotary_factor",
            keys,
            model
        )
        let (type, old) = (try keys.text("rope_type"), try keys.text("type"))
        let named = type ?? old
        rotary.scaling = try RotaryScalingReader(
            type: named.flatMap { huggingFace.scalingSynonyms[$0] } ?? named ?? "default",
            model: model,
            originalPositions: defaults.originalPositions
        ).scaling(&keys)
        try keys.refuseRest(of: "rotary embeddings of \(name)")
        return rotary
    }

    private func dimension(
        _ factor: Double?,
        _ key: String,
        _ keys: ConfigurationKeys,
        _ model: ModelConfiguration
    ) throws(ModelFileError) -> Int? {
        guard let factor = factor ?? huggingFace.partialRotaryFactor, factor != 1 else {
            return nil
        }
        guard huggingFace.partialRotaryFactor != nil else {
            throw ModelFileError(
                .unsupported,
                "\(keys.place): key \(key) is \(factor): in \(name) models all dimensions turn"
            )
        }
        guard factor > 0, factor < 1 else {
            throw keys.malformed(key, "is \(factor), not in 0...1")
        }
        let rotated = Int(Double(model.headDimension) * factor)
        guard rotated >= 2, rotated.isMultiple(of: 2) else {
            throw keys.malformed(
                key,
                "is \(factor), which turns \(rotated) of the \(model.headDimension) dimensions of a "
                    + "head; an even number of them can turn"
            )
        }
        return rotated
    }

    /// Writes `rope_theta`, `rope_scaling` and `partial_rotary_factor`.
    func writeRotary(_ model: ModelConfiguration, into keys: inout [String: Any]) {
        keys["rope_theta"] = model.rotary.theta
        if let scaling = model.rotary.scaling {
            keys["rope_scaling"] = Self.keys(of: scaling, model)
        }
        guard huggingFace.partialRotaryFactor != nil else { return }
        let rotated = model.rotary.dimension ?? model.headDimension
        var factor = Double(rotated) / Double(model.headDimension)
        // Readers round down.
        if Int(factor * Double(model.headDimension)) < rotated { factor = factor.nextUp }
        keys["partial_rotary_factor"] = factor
    }

    /// `rope_scaling` of a scaling.
    static func keys(
        of scaling: RotaryEmbedding.Scaling,
        _ model: ModelConfiguration
    ) -> [String: Any] {
        switch scaling {
        case .linear(let factor): return ["rope_type": "linear", "factor": factor]
        case .dynamic(let factor, _): return ["rope_type": "dynamic", "factor": factor]
        case .llama3(let scaling):
            return [
                "rope_type": "llama3", "factor": scaling.factor,
                "low_freq_factor": scaling.lowFrequencyFactor,
                "high_freq_factor": scaling.highFrequencyFactor,
                "original_max_position_embeddings": scaling.originalPositions,
            ]
        case .yarn(let scaling):
            var keys: [String: Any] = [
                "rope_type": "yarn", "factor": scaling.factor,
                "original_max_position_embeddings": scaling.originalPositions,
                "beta_fast": scaling.betaFast, "beta_slow": scaling.betaSlow,
            ]
            keys["attention_factor"] = scaling.attentionFactor
            if !scaling.truncatesBorders { keys["truncate"] = false }
            return keys
        case .longRope(let scaling):
            var keys: [String: Any] = [
                "rope_type": "longrope", "short_factor": scaling.shortFactors,
                "long_factor": scaling.longFactors,
                "original_max_position_embeddings": scaling.originalPositions,
            ]
            let usual = LongRopeDefaults.attentionFactor(
                ratio: Double(model.maximumPositions) / Double(scaling.originalPositions),
                originalPositions: scaling.originalPositions
            )
            if usual != scaling.attentionFactor {
                keys["attention_factor"] = scaling.attentionFactor
            }
            return keys
        }
    }
}

/// What stands beside an object of one rotary embedding.
struct RotaryDefaults {
    var theta: Double
    var partialFactor: Double?
    /// Goes before what stands in the object.
    var originalPositions: Int?
}

/// LongRoPE's factor of cosines and sines, where a file gives none.
enum LongRopeDefaults {
    /// `ratio`: By how much texts are longer than the original ones.
    static func attentionFactor(ratio: Double, originalPositions: Int) -> Double {
        ratio <= 1 ? 1 : (1 + log(ratio) / log(Double(originalPositions))).squareRoot()
    }
}

/// Reads the keys of one kind of scaling.
private struct RotaryScalingReader {
    let type: String
    let model: ModelConfiguration
    let originalPositions: Int?

    func scaling(
        _ keys: inout ConfigurationKeys
    ) throws(ModelFileError) -> RotaryEmbedding.Scaling? {
        switch type {
        case "default":
            keys.ignore(["original_max_position_embeddings"])
            try keys.expect(["factor": .integer(1)])
            return nil
        case "linear":
            keys.ignore(["original_max_position_embeddings"])
            return .linear(factor: try number("factor", &keys))
        case "dynamic":
            let key = "original_max_position_embeddings"
            let given = try keys.integer(key) ?? originalPositions
            if let given, given != model.maximumPositions {
                throw keys.refusal(
                    key,
                    """
                    \(given); Transformers computes dynamic scaling from max_position_embeddings, \
                    \(model.maximumPositions), whatever this key says; remove it
                    """
                )
            }
            return .dynamic(
                factor: try number("factor", &keys),
                originalPositions: model.maximumPositions
            )
        case "llama3":
            return .llama3(
                .init(
                    factor: try number("factor", &keys),
                    lowFrequencyFactor: try number("low_freq_factor", &keys),
                    highFrequencyFactor: try number("high_freq_factor", &keys),
                    originalPositions: try original(&keys)
                )
            )
        case "yarn": return .yarn(try yarn(&keys))
        case "longrope": return .longRope(try longRope(&keys))
        default:
            throw ModelFileError(
                .unsupported,
                """
                \(keys.place): key rope_type is \(JSONValue.text(type).excerpt): computed are \
                default, linear, dynamic, llama3, yarn and longrope
                """
            )
        }
    }

    private func number(
        _ key: String,
        _ keys: inout ConfigurationKeys
    ) throws(ModelFileError) -> Double {
        guard let value = try keys.number(key) else {
            throw keys.malformed(key, "is missing; scaling of type \(type) has it")
        }
        return value
    }

    private func original(_ keys: inout ConfigurationKeys) throws(ModelFileError) -> Int {
        let nested = try keys.integer("original_max_position_embeddings")
        let positions = originalPositions ?? nested ?? model.maximumPositions
        guard positions > 0 else {
            throw keys.malformed("original_max_position_embeddings", "is \(positions)")
        }
        return positions
    }

    private func yarn(
        _ keys: inout ConfigurationKeys
    ) throws(ModelFileError) -> RotaryEmbedding.Yarn {
        let original = try original(&keys)
        let isNull = keys.isPresent("factor") && !keys.names.contains("factor")
        let factor =
            isNull
            ? Double(model.maximumPositions) / Double(original) : try number("factor", &keys)
        var yarn = RotaryEmbedding.Yarn(factor: factor, originalPositions: original)
        // Zero stands for the default.
        if let value = try keys.number("beta_fast"), value != 0 { yarn.betaFast = value }
        if let value = try keys.number("beta_slow"), value != 0 { yarn.betaSlow = value }
        yarn.truncatesBorders = try keys.flag("truncate") ?? true
        yarn.attentionFactor = try keys.number("attention_factor")
        let (mscale, all) = (try keys.number("mscale"), try keys.number("mscale_all_dim"))
        guard yarn.attentionFactor == nil else { return yarn }
        func scale(_ mscale: Double) -> Double {
            factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1
        }
        if let mscale, let all, mscale != 0, all != 0 {
            yarn.attentionFactor = scale(mscale) / scale(all)
        } else if factor < 1 {
            yarn.attentionFactor = 1
        }
        return yarn
    }

    private func longRope(
        _ keys: inout ConfigurationKeys
    ) throws(ModelFileError) -> RotaryEmbedding.LongRope {
        guard let short = try keys.numbers("short_factor"),
            let long = try keys.numbers("long_factor")
        else {
            throw keys.malformed("short_factor", "or long_factor is missing")
        }
        let original = try original(&keys)
        let ratio =
            try keys.number("factor") ?? Double(model.maximumPositions) / Double(original)
        return .init(
            shortFactors: short,
            longFactors: long,
            originalPositions: original,
            attentionFactor: try keys.number("attention_factor")
                ?? LongRopeDefaults.attentionFactor(ratio: ratio, originalPositions: original)
        )
    }
}
