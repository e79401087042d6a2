internal import Formats
internal import Kernels
internal import Quantization

/// The weights a pass computes with: masters, and for quantized modules the format they are rounded
/// to right before their matrix product.
final class LayerWeights {
    /// A norm's parameters.
    struct Norm {
        /// Offset of the weight.
        let weight: Int
        /// Offset of the bias, if there is one.
        let bias: Int?
        /// Elements of each.
        let width: Int

        fileprivate init(_ module: ParameterLayout.Module) {
            weight = module.weight.offset
            bias = module.bias?.offset
            width = module.weight.count
        }
    }

    /// Offsets of one decoder layer's parameters.
    struct Layer {
        /// By ``LinearModule``'s raw value; negative where the layer has none.
        let linear: [Int]
        /// Likewise; nil where the module has no bias.
        let biases: [Int?]
        /// By ``NormSite``'s raw value.
        let norms: [Norm?]
    }

    let parameters: Parameters
    let recipe: QuantizationRecipe
    let layers: [Layer]
    let finalNorm: Norm
    let embeddingOffset: Int
    let headOffset: Int
    private let team: ThreadTeam
    // By layer and module.
    private let inputs: [ActivationQuantization.Input?]
    /// How the head's inputs are rounded.
    let headInput: ActivationQuantization.Input?
    /// Scales of keys and values by layer; empty where they are not rounded.
    let cacheScales: [(key: Float, value: Float)]
    // By layer and module; refreshed when the recipe's stage changes.
    private var formats: [QuantizationFormat?] = []
    private(set) var embeddingFormat: QuantizationFormat?
    private(set) var headFormat: QuantizationFormat?
    private var currentStage: Double?
    private var scratch: AlignedBuffer<Float>
    private var headScratch: AlignedBuffer<Float>?
    /// A norm's weight with its offset added.
    private let normScratch: AlignedBuffer<Float>

    var configuration: ModelConfiguration { parameters.configuration }

    /// `activations`: How inputs are rounded; nil for what the recipe says.
    init(
        parameters: Parameters,
        recipe: QuantizationRecipe,
        activations: ActivationQuantization? = nil,
        team: ThreadTeam
    ) throws {
        self.parameters = parameters
        self.recipe = recipe
        self.team = team
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
                linear: LinearModule.allCases.map {
                    layout.has($0, layer: layer) ? layout.entry(of: $0, layer: layer).offset : -1
                },
                biases: LinearModule.allCases.map { layout.bias(of: $0, layer: layer)?.offset },
                norms: NormSite.allCases.map { layout.norm($0, layer: layer).map(Norm.init) }
            )
        }
        finalNorm = Norm(layout.finalNorm)
        embeddingOffset = layout.embedding.offset
        headOffset = layout.head.offset
        let largest = configuration.linearModules.map {
            $0.inputWidth(configuration) * $0.outputWidth(configuration)
        }
        scratch = AlignedBuffer(count: largest.max() ?? 0)
        normScratch = AlignedBuffer(
            count: max(configuration.hiddenSize, configuration.queryWidth)
        )
        for progress in [0] + recipe.boundaries + [1] {
            _ = try parameters.quantizedEntries(of: recipe, progress: progress)
        }
        setProgress(0)
    }

    /// Chooses the formats of a run's progress; allocates only when a stage begins.
    func setProgress(_ progress: Double) {
        let stage = recipe.stage(at: progress)?.until ?? 1
        guard stage != currentStage else {
            return
        }
        currentStage = stage
        formats = (0..<configuration.layerCount).flatMap { layer in
            LinearModule.allCases.map {
                recipe.format(forModule: $0.name(layer: layer), progress: progress)
            }
        }
        let layout = parameters.layout
        embeddingFormat = recipe.format(forModule: layout.embedding.module, progress: progress)
        headFormat = recipe.format(forModule: layout.head.module, progress: progress)
        if headFormat != nil && headScratch == nil {
            headScratch = AlignedBuffer(
                count: configuration.vocabularySize * configuration.hiddenSize
            )
        }
    }

    func format(_ module: LinearModule, layer: Int) -> QuantizationFormat? {
        formats[layer * LinearModule.allCases.count + module.rawValue]
    }

    /// How a module's inputs are rounded; nil if they are not.
    func input(_ module: LinearModule, layer: Int) -> ActivationQuantization.Input? {
        inputs[layer * LinearModule.allCases.count + module.rawValue]
    }

    func master(_ module: LinearModule, layer: Int) -> UnsafeMutablePointer<Float> {
        parameters.storage.pointer + layers[layer].linear[module.rawValue]
    }

    /// The weight as the forward pass uses it; valid until the next call.
    func effective(_ module: LinearModule, layer: Int) -> UnsafePointer<Float> {
        let master = master(module, layer: layer)
        guard let format = format(module, layer: layer) else {
            return UnsafePointer(master)
        }
        BlockQuantizer.fakeQuantize(
            master,
            into: scratch.pointer,
            rows: module.outputWidth(configuration),
            columns: module.inputWidth(configuration),
            format: format,
            amax: format.scaleKind.hasTensorScale
                ? parameters.sharedAmax(module, layer: layer, team: team) : nil,
            team: team
        )
        return UnsafePointer(scratch.pointer)
    }

    /// A linear module's bias, if it has one.
    func bias(_ module: LinearModule, layer: Int) -> UnsafePointer<Float>? {
        layers[layer].biases[module.rawValue].map { UnsafePointer(parameters.storage.pointer + $0) }
    }

    /// The head `[vocabulary, hidden]` as the forward pass uses it; quantized once per call.
    func effectiveHead() -> UnsafePointer<Float> {
        let master = parameters.storage.pointer + headOffset
        guard let headFormat, let headScratch else {
            return UnsafePointer(master)
        }
        BlockQuantizer.fakeQuantize(
            master,
            into: headScratch.pointer,
            rows: configuration.vocabularySize,
            columns: configuration.hiddenSize,
            format: headFormat,
            team: team
        )
        return UnsafePointer(headScratch.pointer)
    }

    /// The embedding, `[vocabulary, hidden]`, before any rounding.
    var embedding: UnsafePointer<Float> {
        UnsafePointer(parameters.storage.pointer + embeddingOffset)
    }

    /// A norm's weight as it multiplies, its offset added; valid until the next call.
    func weight(of norm: Norm) -> UnsafePointer<Float> {
        let stored = parameters.storage.pointer + norm.weight
        let offset = configuration.architecture.norm.weightOffset
        guard offset != 0 else { return UnsafePointer(stored) }
        for index in 0..<norm.width { normScratch.pointer[index] = offset + stored[index] }
        return UnsafePointer(normScratch.pointer)
    }

    /// The largest magnitude of the embedding, where its format has a scale per tensor: rows are
    /// rounded as they are gathered.
    func embeddingAmax() -> Float? {
        guard let embeddingFormat, embeddingFormat.scaleKind.hasTensorScale else { return nil }
        return BlockQuantizer.amax(
            parameters.storage.pointer + embeddingOffset,
            count: configuration.vocabularySize * configuration.hiddenSize,
            team: team
        )
    }
}
