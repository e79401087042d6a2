public import Devices
public import Formats
internal import Quantization

/// Largest magnitudes of keys, rotary embedding included, and of values, by layer: what scales of an FP8
/// key-value cache are made from.
public struct CacheRanges: Sendable, Equatable {
    /// 0 or more, one per layer.
    public var keys: [Float]
    /// Likewise.
    public var values: [Float]

    /// Ranges of as many layers each.
    public init(keys: [Float], values: [Float]) {
        precondition(keys.count == values.count, "\(keys.count) keys, \(values.count) values")
        self.keys = keys
        self.values = values
    }

    /// The ranges of a model as a recipe rounds its weights and inputs in the end, on text: of one that
    /// alternates, those that hold in each of its formats.
    ///
    /// - Throws: ``TransformerError`` (`invalidRecipe`; `invalidTokens` for text of another vocabulary).
    public static func measure(
        _ parameters: Parameters,
        recipe: QuantizationRecipe,
        on windows: CalibrationWindows,
        device: any ComputeDevice
    ) throws -> CacheRanges {
        var ranges = ActivationRanges()
        for turn in recipe.turns {
            try windows.run(parameters, recipe: turn, device: device) { pass in
                pass.onCache = { layer, key, value in
                    ranges.recordKeys(pass.amax(key), values: pass.amax(value), layer: layer)
                }
            }
        }
        return CacheRanges(keys: ranges.keys, values: ranges.values)
    }
}

extension ActivationQuantization {
    /// The same with keys and values rounded to E4M3 under the scales of these ranges, as exports store
    /// them; nil leaves both as they are.
    public func with(cache ranges: CacheRanges?) -> ActivationQuantization {
        var rounded = self
        let format = QuantizationFormat.fp8PerTensor
        rounded.keyScales = ranges?.keys.map { format.floatScale(amax: $0) } ?? []
        rounded.valueScales = ranges?.values.map { format.floatScale(amax: $0) } ?? []
        return rounded
    }
}
