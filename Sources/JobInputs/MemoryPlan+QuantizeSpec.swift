internal import Formats
public import JobSpecs
public import Transformer

extension MemoryPlan {
    /// What a quantize job takes on a worker with `threads` threads, if it runs the model on text; nil of
    /// jobs that take one weight after the other.
    ///
    /// `windows`: Calibration windows that there are.
    public init?(_ spec: QuantizeSpec, model: ModelConfiguration, windows: Int, threads: Int) {
        guard let options = spec.quantization.postTraining, spec.holdsModel else { return nil }
        let wholeModels = !options.needsWholeModel ? 0 : options.rotation == .none ? 1 : 2
        self.init(
            rounding: model,
            PostTraining(
                recipe: spec.quantization.recipe,
                method: options.rounding,
                needsInputs: spec.needsInputs,
                wholeModels: wholeModels,
                windows: windows,
                length: spec.data.sequenceLength,
                threads: threads
            )
        )
    }
}

extension QuantizeSpec {
    /// Whether the model, or parts of it, are run or rotated in memory.
    public var holdsModel: Bool {
        !data.calibration.isEmpty || quantization.postTraining?.rotation == .hadamard
    }
}

extension PostTrainingOptions {
    /// Whether all of the model must be in memory at once: it is rotated, or formats are chosen by layer.
    public var needsWholeModel: Bool { rotation != .none || mixedPrecision != nil }
}
