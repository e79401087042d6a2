internal import Foundation
internal import Transformer

/// Attention windows in config.json.
extension ConfigurationKeys {
    /// Which layers have windows by `layer_types`; nil if the key is missing.
    mutating func slidingLayers(count: Int) throws(ModelFileError) -> [Bool]? {
        let key = "layer_types"
        guard let types = try texts(key) else { return nil }
        guard types.count == count else {
            throw malformed(key, "has \(types.count) of num_hidden_layers \(count) layers")
        }
        var sliding: [Bool] = []
        for type in types {
            switch type {
            case "sliding_attention": sliding.append(true)
            // Transformers' old name.
            case "full_attention", "attention": sliding.append(false)
            default:
                throw refusal(
                    key,
                    "\(JSONValue.text(type).excerpt) is not computed, full_attention and "
                        + "sliding_attention are"
                )
            }
        }
        return sliding
    }

    /// The window that layers with windows need.
    mutating func window(
        absent: Int?,
        for sliding: [Bool]
    ) throws(ModelFileError) -> Int? {
        let window = try windowLength(absent: absent)
        guard window != nil || !sliding.contains(true) else {
            throw malformed("sliding_window", "is null, but some layers have a window")
        }
        return window
    }

    /// One window over all layers, or none: what Mistral and Phi-3 have.
    ///
    /// `absent`: The window where the key is missing.
    mutating func uniformWindow(
        absent: Int? = nil,
        _ model: ModelConfiguration
    ) throws(ModelFileError) -> [LayerAttention] {
        let window = try windowLength(absent: absent)
        return [LayerAttention](
            repeating: LayerAttention(window: window),
            count: model.layerCount
        ).orEmptyIfUniform
    }

    /// Windows as Qwen 2 and 3 have them: off unless `use_sliding_window`, and then from layer
    /// `max_window_layers` on, or as `layer_types` says.
    mutating func qwenWindows(
        _ model: ModelConfiguration
    ) throws(ModelFileError) -> [LayerAttention] {
        let isUsed = try flag("use_sliding_window") ?? false
        let window = try windowLength(absent: 4096)
        let first = try integer("max_window_layers") ?? 28
        // Where windows are off, ``expectUniformLayers`` refuses layers that have one.
        guard isUsed, let window else { return [] }
        let sliding =
            try slidingLayers(count: model.layerCount)
            ?? (0..<model.layerCount).map { $0 >= first }
        return sliding.map { LayerAttention(window: $0 ? window : nil) }.orEmptyIfUniform
    }
}

extension ModelFamily {
    /// Writes what ``ConfigurationKeys/uniformWindow(absent:_:)`` reads.
    func writeUniformWindow(_ model: ModelConfiguration, into keys: inout [String: Any]) {
        // Null turns the window off, a missing key does not everywhere.
        keys["sliding_window"] = model.layerAttention.first?.window ?? NSNull() as Any
    }

    /// Writes what ``ConfigurationKeys/qwenWindows(_:)`` reads.
    func writeQwenWindows(_ model: ModelConfiguration, into keys: inout [String: Any]) {
        let window = model.layerAttention.lazy.compactMap(\.window).first
        keys["use_sliding_window"] = window != nil
        keys["max_window_layers"] = model.layerCount
        guard let window else { return }
        keys["sliding_window"] = window
        keys["layer_types"] = model.layerTypes
        let first = model.layerAttention.firstIndex { $0.window != nil } ?? 0
        // Readers before layer_types go by this key.
        if model.layerAttention[first...].allSatisfy({ $0.window != nil }) {
            keys["max_window_layers"] = first
        }
    }
}

extension ModelConfiguration {
    /// `layer_types` of config.json.
    var layerTypes: [String] {
        (0..<layerCount).map {
            attention(ofLayer: $0).window == nil ? "full_attention" : "sliding_attention"
        }
    }
}

extension [LayerAttention] {
    /// Empty if all layers see and rotate everything, which is how configurations have it.
    var orEmptyIfUniform: [LayerAttention] {
        allSatisfy { $0 == LayerAttention() } ? [] : self
    }
}
