internal import Transformer

/// FP8 scales of a key-value cache that a checkpoint comes with, by layer.
public struct KeyValueScales: Sendable, Equatable {
    /// The value of one step of E4M3 keys: largest magnitude / 448.
    public var keys: [Float]
    /// The same of values.
    public var values: [Float]

    /// Scales of all layers.
    public init(keys: [Float], values: [Float]) {
        self.keys = keys
        self.values = values
    }
}

extension KeyValueScales {
    /// Reads compressed-tensors' `self_attn.k_scale`, or ModelOpt's `self_attn.k_proj.k_scale`; nil
    /// if no layer has any.
    ///
    /// - Throws: ``ModelFileError`` if some layers have them and others do not, or a scale is not
    ///   positive.
    init?(_ tensors: CheckpointTensors, layerCount: Int) throws(ModelFileError) {
        let names = [("k_scale", "v_scale"), ("k_proj.k_scale", "v_proj.v_scale")]
        func name(_ layer: Int, _ suffix: String) -> String {
            "model.layers.\(layer).self_attn.\(suffix)"
        }
        let used = names.first { key, value in
            (0..<layerCount).contains {
                tensors[name($0, key)] != nil || tensors[name($0, value)] != nil
            }
        }
        guard let used else { return nil }
        func scale(_ name: String) throws(ModelFileError) -> Float {
            let located = try tensors.required(
                name,
                types: WeightScheme.floats,
                shapes: [[], [1]],
                reason: "each layer of the cache has a scale of its keys and one of its values"
            )
            let value = try located.finiteFloats().first ?? 0
            guard value > 0 else {
                throw ModelFileError(.malformed, "\(located.path): tensor \(name) is \(value)")
            }
            return value
        }
        var (keys, values): ([Float], [Float]) = ([], [])
        for layer in 0..<layerCount {
            keys.append(try scale(name(layer, used.0)))
            values.append(try scale(name(layer, used.1)))
        }
        self.init(keys: keys, values: values)
    }
}
