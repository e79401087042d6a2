internal import Devices
internal import Formats
internal import Kernels

/// Low-rank adapters that are trained in place of the weights they are added to: W + scale · B · A.
///
/// The base W stays as it is. After every step the sums are written where the weights of the pass lie, so
/// that all that rounds, measures and exports weights sees the merged ones and nothing else. B begins at
/// zero: until the first step the merged weights are the base's, to the bit. Gradients pass the rounding
/// straight through, and then the product: of A scale · Bᵀ · G, of B scale · G · Aᵀ, where G is that of the
/// weight, which is never kept.
final class Adapters {
    /// What the weights were before anything is added; not written to.
    let base: Parameters
    /// Of A and B.
    let gradients: GradientArena
    /// The weights that have adapters.
    var weights: [ParameterLayout.Entry] { targets.map(\.weight) }

    private let configuration: AdapterConfiguration
    private let targets: [AdapterConfiguration.Target]
    /// By layer and module: the position in ``targets``.
    private let indices: [Int?]
    private let device: any ComputeDevice
    private let baseMemory: any DeviceMemory
    private let storage: AlignedBuffer<Float>
    private let memory: any DeviceMemory
    /// Elements of rank by rows, of a micro-batch or of a weight.
    private let projected: DeviceTensor
    /// Of one weight, where gradients are not passed on as they are.
    private let whole: DeviceTensor?

    /// Adapters of the weights of `base`; nil where the settings ask for none.
    ///
    /// - Throws: ``TransformerError`` (`invalidRecipe`) if no weight gets one.
    init?(
        _ settings: TrainingEngine.Settings,
        base: Parameters,
        device: any ComputeDevice
    ) throws {
        guard let configuration = settings.adapters else { return nil }
        self.configuration = configuration
        self.base = base
        self.device = device
        let model = base.configuration
        let (targets, count) = configuration.targets(in: base.layout)
        guard !targets.isEmpty else {
            throw TransformerError(.invalidRecipe, "no linear module of the model gets an adapter")
        }
        self.targets = targets
        var indices = [Int?](repeating: nil, count: model.layerCount * LinearModule.allCases.count)
        for (index, target) in targets.enumerated() {
            indices[target.module.place(inLayer: target.layer)] = index
        }
        self.indices = indices
        baseMemory = device.adopt(base.storage)
        storage = AlignedBuffer(count: count)
        memory = device.adopt(storage)
        gradients = GradientArena(targets.flatMap { [$0.a, $0.b] }, device: device)
        projected = device.tensor(
            columns: Self.projectedCount(targets, rows: settings.rows, rank: configuration.rank)
        )
        whole =
            settings.recipe.straightThrough == .clip
            ? device.tensor(columns: Self.wholeCount(targets)) : nil
    }

    /// Elements of what a micro-batch, or a weight, is brought down to.
    static func projectedCount(
        _ targets: [AdapterConfiguration.Target],
        rows: Int,
        rank: Int
    ) -> Int {
        max(rows, targets.map(\.weight.rows).max() ?? 0) * rank
    }

    /// Elements of the largest weight that has an adapter.
    static func wholeCount(_ targets: [AdapterConfiguration.Target]) -> Int {
        targets.map(\.weight.count).max() ?? 0
    }

    /// The modules of all A and B, in the gradients' order.
    var modules: [String] { targets.flatMap { [$0.weight.module, $0.weight.module] } }

    private func target(_ module: LinearModule, _ layer: Int) -> AdapterConfiguration.Target? {
        indices[module.place(inLayer: layer)].map { targets[$0] }
    }

    /// Whether a module has one.
    func has(_ module: LinearModule, _ layer: Int) -> Bool { target(module, layer) != nil }

    /// An A or a B.
    func tensor(_ entry: ParameterLayout.Entry) -> DeviceTensor {
        DeviceTensor(memory, offset: entry.offset, rows: entry.rows, columns: entry.columns)
    }

    /// All A and B by name, for checkpoints.
    var tensors: [TrainingTensor] {
        device.settle(memory)
        return targets.flatMap { [$0.a, $0.b] }.map { entry in
            TrainingTensor(
                name: entry.name,
                type: .float32,
                shape: entry.shape,
                start: UnsafeMutableRawPointer(storage.pointer + entry.offset)
            )
        }
    }

    /// Begins a run: B zero, A uniform within ± 1 / √in, as PyTorch's linear layers begin.
    func begin() {
        var generator = SplitMix64(seed: configuration.seed)
        for target in targets {
            let bound = 1 / Double(target.weight.columns).squareRoot()
            for index in 0..<target.a.count {
                let drawn = (2 * generator.uniform() - 1) * bound
                storage.pointer[target.a.offset + index] = Float(drawn)
            }
            (storage.pointer + target.b.offset).update(repeating: 0, count: target.b.count)
        }
        device.refresh(memory)
    }

    /// Takes what the host changed in ``tensors`` and ``base``, and makes `parameters` the base's: merging
    /// follows.
    func refresh(_ parameters: Parameters) {
        device.refresh(memory)
        device.refresh(baseMemory)
        parameters.storage.pointer.update(
            from: base.storage.pointer,
            count: base.storage.count
        )
        parameters.fixedScales = base.fixedScales
    }

    /// Makes the weights of a pass the sums.
    func merge(into weights: LayerWeights) {
        for target in targets {
            let entry = target.weight
            device.addLowRank(
                LowRankFactors(
                    a: tensor(target.a),
                    b: tensor(target.b),
                    scale: configuration.scale
                ),
                to: DeviceTensor(
                    baseMemory,
                    offset: entry.offset,
                    rows: entry.rows,
                    columns: entry.columns
                ),
                into: weights.tensor(entry)
            )
        }
        weights.invalidate()
    }

    // MARK: Gradients

    /// Adds the gradients of a module's adapter, if it has one, of a product of `input` `[rows, in]` whose
    /// output's gradient is `outputGradient` `[rows, out]`.
    func addGradients(
        _ module: LinearModule,
        _ layer: Int,
        input: DeviceTensor,
        outputGradient: DeviceTensor,
        weights: LayerWeights
    ) {
        guard let target = target(module, layer),
            let (a, b) = gradient(of: target)
        else { return }
        if let whole, let format = weights.format(module, layer: layer) {
            let weight = whole.reshaped(rows: target.weight.rows, columns: target.weight.columns)
            device.clear(weight)
            device.multiply(
                .weightGradient(
                    outputGradient: outputGradient,
                    input: input,
                    weightGradient: weight
                )
            )
            device.maskSaturated(
                weight,
                source: weights.tensor(target.weight),
                weights.rounding(module, layer, format)
            )
            return addGradients(module, layer, ofWeight: weight, times: 1)
        }
        let narrow = projected.reshaped(rows: input.rows, columns: configuration.rank)
        device.multiply(.forward(input: input, weight: .tensor(tensor(target.a)), output: narrow))
        device.scale(narrow, by: configuration.scale)
        device.multiply(
            .weightGradient(outputGradient: outputGradient, input: narrow, weightGradient: b)
        )
        device.multiply(
            .inputGradient(
                outputGradient: outputGradient,
                weight: .tensor(tensor(target.b)),
                inputGradient: narrow,
                isAccumulating: false
            )
        )
        device.scale(narrow, by: configuration.scale)
        device.multiply(
            .weightGradient(outputGradient: narrow, input: input, weightGradient: a)
        )
    }

    /// Adds the gradients of a module's adapter, if it has one, from `factor` times that of its weight, which
    /// is overwritten.
    func addGradients(
        _ module: LinearModule,
        _ layer: Int,
        ofWeight weight: DeviceTensor,
        times factor: Float
    ) {
        guard let target = target(module, layer),
            let (a, b) = gradient(of: target)
        else { return }
        device.scale(weight, by: factor * configuration.scale)
        let narrow = projected.reshaped(rows: weight.rows, columns: configuration.rank)
        device.multiply(.forward(input: weight, weight: .tensor(tensor(target.a)), output: narrow))
        device.add(narrow, to: b)
        device.multiply(
            .weightGradient(
                outputGradient: tensor(target.b),
                input: weight,
                weightGradient: a
            )
        )
    }

    private func gradient(
        of target: AdapterConfiguration.Target
    ) -> (a: DeviceTensor, b: DeviceTensor)? {
        guard let a = gradients.gradient(of: target.a), let b = gradients.gradient(of: target.b)
        else { return nil }
        return (a, b)
    }

    /// The latest gradient of an A or a B by name; nil if there is none.
    func gradient(named name: String) -> DeviceTensor? {
        targets.flatMap { [$0.a, $0.b] }.first { $0.name == name }
            .flatMap { gradients.gradient(of: $0) }
    }
}
