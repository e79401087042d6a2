/// Largest magnitudes of what flows through a quantized model on calibration text: what static
/// scales of activations and of the key-value cache are made from.
///
/// All are 0 or more, over all channels of all tokens.
public struct ActivationRanges: Sendable, Equatable {
    /// Of the inputs of linear modules, by module name; modules that share an input share the value.
    public internal(set) var inputs: [String: Float] = [:]
    /// Of the rotated keys, one per layer.
    public internal(set) var keys: [Float] = []
    /// Of the values, one per layer.
    public internal(set) var values: [Float] = []

    mutating func record(_ modules: [LinearModule], layer: Int, amax: Float) {
        for module in modules {
            let name = module.name(layer: layer)
            inputs[name] = max(inputs[name] ?? 0, amax)
        }
    }

    mutating func recordKeys(_ keyAmax: Float, values valueAmax: Float, layer: Int) {
        if keys.count <= layer {
            keys.append(0)
            values.append(0)
        }
        keys[layer] = max(keys[layer], keyAmax)
        values[layer] = max(values[layer], valueAmax)
    }
}
