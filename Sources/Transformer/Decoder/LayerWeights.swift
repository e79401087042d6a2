internal import Devices
internal import Formats
internal import Kernels
internal import Quantization

/// The weights a pass computes with: masters, and for quantized modules the format they are rounded
/// to right before their matrix product.
final class LayerWeights {
    /// One decoder layer's parameters.
    private struct Layer {
        /// By ``LinearModule``'s raw value; nil where the layer has none.
        let linear: [ParameterLayout.Module?]
        /// By ``NormSite``'s raw value.
        let norms: [ParameterLayout.Module?]
    }

    let parameters: Parameters
    let recipe: QuantizationRecipe
    let device: any ComputeDevice
    let finalNorm: ParameterLayout.Module
    private let layers: [Layer]
    /// The parameters' arena, lent to the device.
    private let memory: any DeviceMemory
    // By layer and module.
    private var inputs: [ActivationQuantization.Input?]
    /// How the head's inputs are rounded.
    let headInput: ActivationQuantization.Input?
    /// Scales of keys and values by layer; empty where they are not rounded.
    private(set) var cacheScales: [(key: Float, value: Float)]
    /// What weights are rounded to.
    private struct Assignment {
        /// By layer and module.
        let linear: [QuantizationFormat?]
        let embedding: QuantizationFormat?
        let head: QuantizationFormat?
    }
    /// The recipes that take turns; one where there is no alternation.
    private let turns: [QuantizationRecipe]
    // By turn; refreshed when the recipe's stage changes.
    private var formatsByTurn: [Assignment] = []
    private var turn = 0
    private var currentStage: Double?
    // What weights are rounded up or down by at random; nil rounds to nearest.
    private var drawSeed: UInt32?
    // By layer and module; nil where scales are found from the weight.
    private var storedScales: [Rounding.StoredScales?] = []
    // By layer and module; nil where weights are rounded to nearest.
    private var offsets: [DeviceTensor?] = []
    /// Nil where products read weights as they are, or where each is used once.
    let prepared: PreparedWeights?
    // By layer and module; nil where a weight is not packed.
    private let packed: [WeightOperand?]
    /// The embedding, where it is packed.
    let packedEmbedding: PackedOperand?
    private let packedHead: PackedOperand?
    /// Another's embedding and head, which stay what these were before ``release(borrowing:where:)``.
    var borrowed = BorrowedWeights()
    private let scratch: DeviceTensor
    private var headScratch: DeviceTensor?
    /// The largest magnitude of what shares a scale per tensor.
    private let magnitude: DeviceTensor

    var configuration: ModelConfiguration { parameters.configuration }

    /// Takes the weights of `parameters`, which stay lent to the device.
    ///
    /// `activations`: How inputs are rounded; nil for what the recipe says. `isPrepared`: Whether weights
    /// stay, rounded, in the form that products read, until ``invalidate()``: for those that are
    /// multiplied again and again, at the cost of memory on devices that have such a form.
    /// `preparedLayer`: The only layer whose weights are multiplied then; nil for all, and the head.
    init(
        parameters: Parameters,
        recipe: QuantizationRecipe,
        activations: ActivationQuantization? = nil,
        isPrepared: Bool = false,
        preparedLayer: Int? = nil,
        device: any ComputeDevice
    ) throws {
        self.parameters = parameters
        self.recipe = recipe
        self.device = device
        memory = device.adopt(parameters.storage)
        let configuration = parameters.configuration
        let layout = parameters.layout
        let activations = activations ?? ActivationQuantization(recipe, of: configuration)
        try activations.check(configuration)
        inputs = (0..<configuration.layerCount).flatMap { layer in
            LinearModule.allCases.map { activations.inputs[$0.name(layer: layer)] }
        }
        headInput = activations.inputs[ParameterLayout.headModule]
        cacheScales = zip(activations.keyScales, activations.valueScales).map { ($0, $1) }
        layers = (0..<configuration.layerCount).map { layer in
            Layer(
                linear: LinearModule.allCases.map { layout.module($0, layer: layer) },
                norms: NormSite.allCases.map { layout.norm($0, layer: layer) }
            )
        }
        finalNorm = layout.finalNorm
        prepared =
            isPrepared
            ? PreparedWeights(
                layers.enumerated().flatMap { index, layer in
                    layer.linear.map { (preparedLayer ?? index) == index ? $0?.weight : nil }
                } + [preparedLayer == nil ? layout.head : nil],
                device: device
            ) : nil
        func adopted(_ entry: ParameterLayout.Entry) -> PackedOperand? {
            parameters.packedWeight(entry).map { device.adopt($0) }
        }
        packed = layers.flatMap { layer in
            layer.linear.map { module in
                module.flatMap { adopted($0.weight) }.map(WeightOperand.packed)
            }
        }
        packedEmbedding = adopted(layout.embedding)
        packedHead = layout.head == layout.embedding ? packedEmbedding : adopted(layout.head)
        scratch = device.tensor(columns: Self.roundedCount(configuration))
        magnitude = device.tensor(columns: 1)
        turns = recipe.turns
        for turn in turns {
            for progress in [0] + recipe.boundaries + [1] {
                let entries = try parameters.quantizedEntries(of: turn, progress: progress)
                if let (entry, _) = entries.first(where: {
                    parameters.packedWeight($0.0) != nil
                }) {
                    throw TransformerError(
                        .invalidRecipe,
                        "\(entry.name) is packed; a recipe rounds weights in full precision"
                    )
                }
            }
        }
        setProgress(0)
        takeScales()
        offsets = Array(repeating: nil, count: storedScales.count)
    }

    /// Elements of the largest weight of a linear module: one is rounded at a time.
    static func roundedCount(_ configuration: ModelConfiguration) -> Int {
        configuration.linearModules.map {
            $0.inputWidth(configuration) * $0.outputWidth(configuration)
        }.max() ?? 0
    }

    /// Chooses the formats of a run's progress; allocates only when a stage begins.
    func setProgress(_ progress: Double) {
        let stage = recipe.stage(at: progress)?.until ?? 1
        guard stage != currentStage else {
            return
        }
        // Nothing was made of weights yet.
        if currentStage != nil { invalidate() }
        currentStage = stage
        let layout = parameters.layout
        formatsByTurn = turns.map { recipe in
            func format(_ module: String) -> QuantizationFormat? {
                recipe.format(forModule: module, progress: progress)
            }
            return Assignment(
                linear: (0..<configuration.layerCount).flatMap { layer in
                    LinearModule.allCases.map { format($0.name(layer: layer)) }
                },
                embedding: format(layout.embedding.module),
                head: format(layout.head.module)
            )
        }
        if headScratch == nil, formatsByTurn.contains(where: { $0.head != nil }) {
            headScratch = device.tensor(rows: layout.head.rows, columns: layout.head.columns)
        }
    }

    /// Chooses the formats of step `number`, from 0, where the recipe alternates; allocates nothing.
    func setTurn(ofStep number: Int) {
        let next = number % turns.count
        guard next != turn else { return }
        turn = next
        invalidate()
    }

    /// What the embedding's rows are rounded to; nil where they are not.
    var embeddingFormat: QuantizationFormat? { formatsByTurn[turn].embedding }
    /// The same of the head.
    var headFormat: QuantizationFormat? { formatsByTurn[turn].head }

    func format(_ module: LinearModule, layer: Int) -> QuantizationFormat? {
        formatsByTurn[turn].linear[module.place(inLayer: layer)]
    }

    /// How a module's inputs are rounded; nil if they are not.
    func input(_ module: LinearModule, layer: Int) -> ActivationQuantization.Input? {
        inputs[module.place(inLayer: layer)]
    }

    /// Rounds a module's inputs, where they are rounded at all, under another scale per tensor.
    func setInputScale(_ scale: Float, of module: LinearModule, layer: Int) {
        inputs[module.place(inLayer: layer)]?.scale = scale
    }

    /// Rounds keys and values under other scales.
    ///
    /// - Throws: ``TransformerError`` (`invalidRecipe`) of scales that are not the model's.
    func setCacheScales(_ activations: ActivationQuantization) throws {
        try activations.check(configuration)
        cacheScales = zip(activations.keyScales, activations.valueScales).map { ($0, $1) }
    }

    /// Takes what the host changed in the parameters, their fixed scales included.
    func refresh() {
        device.refresh(memory)
        invalidate()
        takeScales()
    }

    /// Says that weights changed on the device.
    func invalidate() {
        precondition(parameters.isWhole, "weights changed after some of them were released")
        prepared?.invalidate()
    }

    private func takeScales() {
        storedScales = (0..<configuration.layerCount).flatMap { layer in
            LinearModule.allCases.map { module in
                parameters.fixedScales[module.name(layer: layer) + ".weight"].map(stored)
            }
        }
    }

    /// Scales where the device finds them.
    func stored(_ scales: BlockScales) -> Rounding.StoredScales {
        let stored = Rounding.StoredScales(
            blocks: device.tensor(columns: max(scales.blocks.count, 1), type: .uint8),
            factors: device.tensor(columns: max(scales.factors.count, 1))
        )
        upload(scales, to: stored)
        return stored
    }

    /// Puts other scales in the place of some, as many.
    func upload(_ scales: BlockScales, to stored: Rounding.StoredScales) {
        scales.withBytes { bytes in
            device.upload(bytes.blocks, to: stored.blocks)
            device.upload(bytes.factors, to: stored.factors)
        }
    }

    /// Brings what the device changed back into the parameters.
    func settle() { device.settle(memory) }

    /// A parameter as a matrix, as it is stored.
    func tensor(_ entry: ParameterLayout.Entry) -> DeviceTensor {
        precondition(parameters.holds(entry), "\(entry.name) is read after it was released")
        return DeviceTensor(memory, offset: entry.offset, rows: entry.rows, columns: entry.columns)
    }

    /// The parameters of a linear module; nil where the layer has none.
    func module(_ module: LinearModule, layer: Int) -> ParameterLayout.Module? {
        layers[layer].linear[module.rawValue]
    }

    /// The parameters of a layer's norm; nil where the architecture has none there.
    func norm(_ site: NormSite, layer: Int) -> ParameterLayout.Module? {
        layers[layer].norms[site.rawValue]
    }

    /// The weight as products use it, `[out, in]`; valid until the next call.
    func operand(_ module: LinearModule, layer: Int) -> WeightOperand {
        if let packed = packed[module.place(inLayer: layer)] { return packed }
        guard let prepared else { return .tensor(effective(module, layer: layer)) }
        return prepared.operand(module.place(inLayer: layer)) {
            effective(module, layer: layer)
        }
    }

    /// The weight, rounded; valid until the next call.
    private func effective(_ module: LinearModule, layer: Int) -> DeviceTensor {
        let entry = entry(module, layer)
        let master = tensor(entry)
        guard let format = format(module, layer: layer) else { return master }
        return rounded(module, layer, format)
    }

    /// The weight, rounded to `format`; valid until the next call.
    func rounded(
        _ module: LinearModule,
        _ layer: Int,
        _ format: QuantizationFormat
    ) -> DeviceTensor {
        let entry = entry(module, layer)
        let rounded = scratch.reshaped(rows: entry.rows, columns: entry.columns)
        device.fakeQuantize(tensor(entry), rounding(module, layer, format), into: rounded)
        return rounded
    }

    /// How far the weights of a module are from what they are rounded to; nil where they are not.
    ///
    /// 0 where they saturate. Valid until the next call.
    func distance(_ module: LinearModule, layer: Int) -> DeviceTensor? {
        guard self.module(module, layer: layer) != nil, let format = format(module, layer: layer)
        else { return nil }
        let master = tensor(entry(module, layer))
        let found = effective(module, layer: layer)
        device.scale(found, by: -1)
        device.add(master, to: found)
        device.maskSaturated(found, source: master, rounding(module, layer, format))
        return found
    }

    /// The scales of a module's weight that do not follow it; nil where they do.
    func storedScales(_ module: LinearModule, layer: Int) -> Rounding.StoredScales? {
        storedScales[module.place(inLayer: layer)]
    }

    /// Rounds a module's weight by what is learned of it, from now on.
    func setLearned(_ tensors: LearnedRoundingTensors, _ module: LinearModule, layer: Int) {
        let index = module.place(inLayer: layer)
        storedScales[index] = tensors.scales
        offsets[index] = tensors.offsets
        invalidate()
    }

    /// How the weight of a module, whose format is `format`, is rounded.
    func rounding(_ module: LinearModule, _ layer: Int, _ format: QuantizationFormat) -> Rounding {
        let draw = drawSeed.map { RoundingDraw(seed: $0, place: entry(module, layer).offset) }
        if let scales = storedScales(module, layer: layer) {
            let offsets = offsets[module.place(inLayer: layer)]
            return Rounding(format, scale: .stored(scales), draw: draw, offsets: offsets)
        }
        return Rounding(format, scale: sharedScale(module, layer, format), draw: draw)
    }

    /// Rounds weights at random from now on, by a number that each step has of its own; nil rounds to
    /// nearest.
    func drawRounding(_ seed: UInt32?) {
        drawSeed = seed
        invalidate()
    }

    private func entry(_ module: LinearModule, _ layer: Int) -> ParameterLayout.Entry {
        guard let found = self.module(module, layer: layer) else {
            preconditionFailure("layer \(layer) has no \(module.suffix)")
        }
        return found.weight
    }

    /// Modules that servers fuse share one scale per tensor.
    private func sharedScale(
        _ module: LinearModule,
        _ layer: Int,
        _ format: QuantizationFormat
    ) -> Rounding.Scale {
        guard format.scaleKind.hasTensorScale else { return .dynamic }
        var isFirst = true
        parameters.layout.forEachWeight(sharingInputOf: module, layer: layer) { entry in
            device.maximumMagnitude(of: tensor(entry), into: magnitude, accumulating: !isFirst)
            isFirst = false
        }
        return .magnitude(magnitude)
    }

    /// A linear module's bias, if it has one.
    func bias(_ module: LinearModule, layer: Int) -> DeviceTensor? {
        self.module(module, layer: layer)?.bias.map(tensor)
    }

    /// The head `[vocabulary, hidden]` as products use it; valid until the next call.
    func headOperand() -> WeightOperand {
        if let operand = borrowed.headOperand { return operand() }
        if let packedHead { return .packed(packedHead) }
        guard let prepared else { return .tensor(effectiveHead()) }
        return prepared.operand(layers.count * LinearModule.allCases.count, effectiveHead)
    }

    /// The head, rounded; valid until the next call.
    func effectiveHead() -> DeviceTensor {
        let master = borrowed.head ?? tensor(parameters.layout.head)
        guard let headFormat, let headScratch else { return master }
        let place = parameters.layout.head.offset
        let draw = drawSeed.map { RoundingDraw(seed: $0, place: place) }
        device.fakeQuantize(master, .init(headFormat, draw: draw), into: headScratch)
        return headScratch
    }

    /// The embedding, `[vocabulary, hidden]`, before any rounding.
    var embedding: DeviceTensor { borrowed.embedding ?? tensor(parameters.layout.embedding) }

    /// A norm as the device computes it.
    func operation(_ norm: ParameterLayout.Module) -> NormOperation {
        let kind = configuration.architecture.norm
        precondition(kind.isCentered == (norm.bias != nil), "a norm of kind \(kind) and its bias")
        return NormOperation(
            weight: tensor(norm.weight),
            bias: norm.bias.map(tensor),
            weightOffset: kind.weightOffset,
            epsilon: configuration.normEpsilon
        )
    }

    /// The scale of the embedding's rows, which are rounded as they are gathered.
    func embeddingScale(_ format: QuantizationFormat) -> Rounding.Scale {
        guard format.scaleKind.hasTensorScale else { return .dynamic }
        device.maximumMagnitude(of: embedding, into: magnitude, accumulating: false)
        return .magnitude(magnitude)
    }
}
