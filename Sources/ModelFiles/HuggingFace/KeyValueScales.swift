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
    /// Reads the scales by the names of any dialect; nil if no layer has any.
    ///
    /// - Returns: The scales and the names of their tensors.
    /// - Throws: ``ModelFileError`` if some layers have them and others do not, or a scale is not
    ///   positive.
    static func read(
        _ tensors: CheckpointTensors,
        layerCount: Int
    ) throws(ModelFileError) -> (scales: KeyValueScales, names: [String])? {
        let used = CheckpointDialects.all.compactMap(\.cacheScales).first { scales in
            (0..<layerCount).contains { layer in
                let names = scales.names(layer: layer)
                return tensors[names.key] != nil || tensors[names.value] != nil
            }
        }
        guard let used else { return nil }
        func scale(_ name: String) throws(ModelFileError) -> Float {
            let located = try tensors.required(
                name,
                types: SafetensorsType.floats,
                shapes: [[], [1]],
                reason: "each layer of the cache has a scale of its keys and one of its values"
            )
            let value = try located.finiteFloats().first ?? 0
            guard value > 0 else {
                throw ModelFileError(.malformed, "\(located.path): tensor \(name) is \(value)")
            }
            return value
        }
        var found = KeyValueScales(keys: [], values: [])
        var read: [String] = []
        for layer in 0..<layerCount {
            let names = used.names(layer: layer)
            found.keys.append(try scale(names.key))
            found.values.append(try scale(names.value))
            read += [names.key, names.value]
        }
        return (found, read)
    }
}
