public import Devices
public import Formats
internal import Quantization

/// Largest magnitudes of the inputs of linear modules: what their scales per tensor are made from, and what
/// larger ones are clipped to.
public struct InputRanges: Sendable, Equatable {
    /// By module name, 0 or more; modules that share an input share the value.
    public var amax: [String: Float]

    /// Ranges of modules.
    public init(amax: [String: Float]) { self.amax = amax }

    /// The ranges of a model as a recipe rounds its weights and inputs in the end, of the modules whose
    /// inputs it rounds, on text.
    ///
    /// - Throws: ``TransformerError`` (`invalidRecipe`; `invalidTokens` for text of another vocabulary).
    public static func measure(
        _ parameters: Parameters,
        recipe: QuantizationRecipe,
        on windows: CalibrationWindows,
        device: any ComputeDevice
    ) throws -> InputRanges {
        let configuration = parameters.configuration
        let wanted = ActivationQuantization(recipe, of: configuration).inputs
        var amax: [String: Float] = [:]
        // Groups of modules come in the order of the pass.
        var layer = 0
        try windows.run(parameters, recipe: recipe, device: device) { pass in
            pass.onInput = { module, input in
                let found = pass.amax(input)
                for member in configuration.modules(sharingInputOf: module) {
                    let name = member.name(layer: layer)
                    guard wanted[name] != nil else { continue }
                    amax[name] = max(amax[name] ?? 0, found)
                }
                if module == .down { layer = (layer + 1) % configuration.layerCount }
            }
        }
        return InputRanges(amax: amax)
    }
}

extension ActivationQuantization {
    /// The same with inputs rounded under the scales of these ranges, as exports store them; nil leaves
    /// scales to be found as the model runs.
    ///
    /// Formats without a scale per tensor stay as they are.
    public func with(inputs ranges: InputRanges?) -> ActivationQuantization {
        guard let ranges else { return self }
        var rounded = self
        for (name, input) in inputs {
            guard let amax = ranges.amax[name], input.format.scaleKind.hasTensorScale else {
                continue
            }
            rounded.inputs[name]?.scale = input.format.floatScale(amax: amax)
        }
        return rounded
    }
}
