internal import Formats
internal import Kernels
internal import Quantization

/// The weights a pass computes with: masters, and for quantized modules the format they are rounded
/// to right before their matrix product.
final class LayerWeights {
    /// Offsets of one decoder layer's parameters.
    struct Offsets {
        let attentionNorm: Int
        let mlpNorm: Int
        /// By ``LinearModule``'s raw value.
        let linear: [Int]
    }

    let parameters: Parameters
    let recipe: QuantizationRecipe
    let offsets: [Offsets]
    let embeddingOffset: Int
    let finalNormOffset: Int
    let headOffset: Int
    private let team: ThreadTeam
    // By layer and module; refreshed when the recipe's stage changes.
    private var formats: [QuantizationFormat?] = []
    private(set) var embeddingFormat: QuantizationFormat?
    private(set) var headFormat: QuantizationFormat?
    private var currentStage: Double?
    private var scratch: AlignedBuffer<Float>
    private var headScratch: AlignedBuffer<Float>?

    var configuration: ModelConfiguration { parameters.configuration }

    init(parameters: Parameters, recipe: QuantizationRecipe, team: ThreadTeam) throws {
        self.parameters = parameters
        self.recipe = recipe
        self.team = team
        let configuration = parameters.configuration
        let layout = parameters.layout
        offsets = (0..<configuration.layerCount).map { layer in
            Offsets(
                attentionNorm: layout.known("model.layers.\(layer).input_layernorm.weight").offset,
                mlpNorm: layout.known("model.layers.\(layer).post_attention_layernorm.weight")
                    .offset,
                linear: LinearModule.allCases.map {
                    layout.known($0.name(layer: layer) + ".weight").offset
                }
            )
        }
        embeddingOffset = layout.known("model.embed_tokens.weight").offset
        finalNormOffset = layout.known("model.norm.weight").offset
        headOffset =
            configuration.tiedEmbeddings
            ? embeddingOffset : layout.known("lm_head.weight").offset
        let largest = LinearModule.allCases.map {
            $0.inputWidth(configuration) * $0.outputWidth(configuration)
        }
        scratch = AlignedBuffer(count: largest.max() ?? 0)
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
        embeddingFormat = recipe.format(forModule: "model.embed_tokens", progress: progress)
        let headModule = configuration.tiedEmbeddings ? "model.embed_tokens" : "lm_head"
        headFormat = recipe.format(forModule: headModule, progress: progress)
        if headFormat != nil && headScratch == nil {
            headScratch = AlignedBuffer(
                count: configuration.vocabularySize * configuration.hiddenSize
            )
        }
    }

    func format(_ module: LinearModule, layer: Int) -> QuantizationFormat? {
        formats[layer * LinearModule.allCases.count + module.rawValue]
    }

    func master(_ module: LinearModule, layer: Int) -> UnsafeMutablePointer<Float> {
        parameters.storage.pointer + offsets[layer].linear[module.rawValue]
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

    func norm(_ offset: Int) -> UnsafePointer<Float> {
        UnsafePointer(parameters.storage.pointer + offset)
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
