internal import Devices
internal import Formats
internal import Kernels
internal import Quantization

/// Rounds a model's layers one after the other by learning; beside the rounded model's residual stream it
/// carries the original's, which says what each layer should put out.
///
/// Steps multiply BF16 operands where the processor does so itself: rounded weights lose nothing by it, and
/// of gradients the signs alone count. All else is FP32. Not for concurrent use.
final class LayerLearner {
    private let rounding: WeightByWeight
    private let learning: LearnedRounding
    private let recipe: QuantizationRecipe
    private let windows: CalibrationWindows
    private let seed: UInt64
    private let listener: PostTrainingQuantizer.Listener
    private let device: any ComputeDevice
    /// What the original puts out.
    private let original: LayerwisePass

    private var parameters: Parameters { rounding.parameters }

    /// Embeds the windows, whose tokens must be in the vocabulary.
    init(
        rounding: WeightByWeight,
        learning: LearnedRounding,
        recipe: QuantizationRecipe,
        windows: CalibrationWindows,
        seed: UInt64,
        listener: PostTrainingQuantizer.Listener
    ) throws {
        self.rounding = rounding
        self.learning = learning
        self.recipe = recipe
        self.windows = windows
        self.seed = seed
        self.listener = listener
        device = CPUDevice(team: rounding.team, operands: .bfloat16)
        original = try LayerwisePass(
            parameters: rounding.parameters,
            windows: windows,
            device: CPUDevice(team: rounding.team),
            onWindow: listener.checkpoint
        )
    }

    /// Moves the original's stream on through a layer whose weights are still its own.
    func advance(layer: Int) throws { try original.advance(layer: layer) }

    /// Rounds a layer's weights.
    ///
    /// `arriving`: What comes into the layer from the rounded ones before it, `[windows · length, hidden]`.
    func round(
        layer: Int,
        inputs: [LinearModule: LayerwisePass.Inputs],
        arriving: DeviceTensor
    ) throws -> [PostTrainingQuantizer.Result] {
        let starts = try starts(layer, inputs)
        guard !starts.isEmpty else { return [] }
        let room = AlignedBuffer<Float>(count: starts.reduce(0) { $0 + $1.entry.count })
        forEachPlace(starts) { start, place in
            let entry = start.entry
            let values = parameters.storage.pointer + entry.offset
            (room.pointer + place).update(from: values, count: entry.count)
        }
        let learner = try RoundingLearner(
            parameters: parameters,
            recipe: recipe,
            layer: layer,
            starts: starts,
            learning: learning,
            streams: .init(
                inputs: arriving,
                targets: original.hidden,
                windowCount: windows.count,
                length: windows.length
            ),
            device: device
        )
        let done = layer * learning.iterations
        let total = parameters.configuration.layerCount * learning.iterations
        let outcome = try learner.learn(seed: seed &+ UInt64(layer)) { step in
            try listener.onStep(done + step, total)
        }
        try listener.onLearned(outcome)
        return try results(starts, learner.scales, originals: room)
    }

    /// The layer's weights, and the scales under which they would be rounded to nearest.
    private func starts(
        _ layer: Int,
        _ inputs: [LinearModule: LayerwisePass.Inputs]
    ) throws -> [RoundingLearner.Start] {
        var found: [RoundingLearner.Start] = []
        for group in parameters.configuration.inputGroups {
            let (members, amax) = rounding.members(of: group, layer: layer)
            for entry in members {
                guard let format = rounding.formats[entry.name],
                    let (module, _) = parameters.layout.module(of: entry)
                else { continue }
                let room = AlignedBuffer<Float>(count: entry.count)
                room.pointer.update(
                    from: parameters.storage.pointer + entry.offset,
                    count: entry.count
                )
                let packed = try rounding.nearest(
                    room.elements,
                    entry,
                    format,
                    amax: amax,
                    inputs: inputs[group]
                )
                found.append(
                    .init(
                        module: module,
                        entry: entry,
                        format: format,
                        scales: BlockScales(packed)
                    )
                )
            }
        }
        return found
    }

    /// What is stored of the weights, which are rounded.
    private func results(
        _ starts: [RoundingLearner.Start],
        _ scales: [BlockScales],
        originals: AlignedBuffer<Float>
    ) throws -> [PostTrainingQuantizer.Result] {
        var results: [PostTrainingQuantizer.Result] = []
        try forEachPlace(starts) { start, place in
            let entry = start.entry
            let packed = try BlockQuantizer.quantize(
                UnsafeBufferPointer(parameters.elements(of: entry)),
                rows: entry.rows,
                columns: entry.columns,
                format: start.format,
                scales: scales[results.count],
                team: rounding.team
            )
            results.append(rounding.result(entry, packed, of: originals.pointer + place))
        }
        return results
    }

    /// Calls `body` with each weight and the elements of those before it.
    private func forEachPlace(
        _ starts: [RoundingLearner.Start],
        _ body: (RoundingLearner.Start, Int) throws -> Void
    ) rethrows {
        var place = 0
        for start in starts {
            try body(start, place)
            place += start.entry.count
        }
    }
}
