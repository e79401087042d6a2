internal import Devices
public import Formats
internal import Kernels

extension MemoryPlan {
    /// The settings of rounding on calibration text that its memory depends on.
    public struct PostTraining: Sendable {
        /// The formats.
        public var recipe: QuantizationRecipe
        /// How weights are rounded.
        public var method: PostTrainingMethod
        /// Whether the text goes through the layers at all.
        public var needsInputs: Bool
        /// Models that are in memory as a whole: none, or one and another one that is rotated.
        public var wholeModels: Int
        /// Calibration windows.
        public var windows: Int
        /// Tokens per window.
        public var length: Int
        /// Threads that compute.
        public var threads: Int

        /// Settings.
        public init(
            recipe: QuantizationRecipe,
            method: PostTrainingMethod,
            needsInputs: Bool,
            wholeModels: Int,
            windows: Int,
            length: Int,
            threads: Int
        ) {
            self.recipe = recipe
            self.method = method
            self.needsInputs = needsInputs
            self.wholeModels = wholeModels
            self.windows = windows
            self.length = length
            self.threads = threads
        }
    }

    /// What rounding `model` on calibration text takes, while it takes most: as text is embedded, as
    /// layers are rounded, or as the result is compared with the original.
    ///
    /// Texts, the program itself and pages of mapped files come on top; some tens of megabytes.
    public init(rounding model: ModelConfiguration, _ rounding: PostTraining) {
        let memory = RoundingMemory(model: model, settings: rounding)
        self = .largest(
            of: [memory.embedding, memory.rounding, memory.comparing].map {
                MemoryPlan(.rounding, words: $0)
            }
        )
    }
}

/// Words of single precision that rounding takes, by phase and purpose.
private struct RoundingMemory {
    typealias Phase = [(String, Int)]

    let model: ModelConfiguration
    let settings: MemoryPlan.PostTraining
    private let layout: ParameterLayout
    private var isWhole: Bool { settings.wholeModels > 0 }

    init(model: ModelConfiguration, settings: MemoryPlan.PostTraining) {
        self.model = model
        self.settings = settings
        layout = ParameterLayout(configuration: model)
    }

    var embedding: Phase {
        [whole, ("the embedding", isWhole ? 0 : layout.embedding.count), streams, activations]
    }

    var rounding: Phase {
        [
            whole, ("one layer's weights", isWhole ? 0 : layerCount), stored, streams, activations,
            ("second moments of inputs", moments), ("rounding", room), ("learning", learning),
        ]
    }

    var comparing: Phase {
        let vocabulary = model.vocabularySize
        let heads = isWhole || recipe.format(forModule: layout.head.module, progress: 1) != nil
        return [
            whole, stored, ("the head", (heads && !isWhole ? 2 : 1) * layout.head.count),
            ("logits", 2 * min(64, settings.length) * vocabulary),
            ("hidden states", 2 * max(256, settings.length) * model.hiddenSize), activations,
        ]
    }

    private var recipe: QuantizationRecipe { settings.recipe }

    private var whole: (String, Int) { ("the model", settings.wholeModels * layout.totalCount) }

    private var layerWeights: [(rows: Int, columns: Int)] {
        model.linearModules.map { ($0.outputWidth(model), $0.inputWidth(model)) }
    }

    private var layerCount: Int { layerWeights.reduce(0) { $0 + $1.rows * $1.columns } }

    private var largest: Int { LayerWeights.roundedCount(model) }

    /// Codes and scales of what is rounded.
    private var stored: (String, Int) {
        let bytes = layout.entries.reduce(0) { sum, entry in
            guard entry.shape.count > 1,
                let format = recipe.format(forModule: entry.module, progress: 1)
            else { return sum }
            return sum + format.storedByteCount(rows: entry.rows, columns: entry.columns)
        }
        return ("what is stored of rounded weights", (bytes + 3) / 4)
    }

    private var learns: Bool { settings.method.learned != nil }

    /// Of the rounded model, and of the original where rounding is learned from it.
    private var streams: (String, Int) {
        let tokens = settings.needsInputs ? settings.windows * settings.length : 0
        return ("residual streams", (learns ? 2 : 1) * tokens * model.hiddenSize)
    }

    private var activations: (String, Int) {
        let one =
            ActivationArena.elementCount(model, rows: settings.length, keeping: .none)
            + 2 * settings.threads * CPUDevice.attentionTileCount(length: settings.length)
        return ("activations", (learns ? 2 : 1) * one)
    }

    private var widths: [Int] { model.inputGroups.map { $0.inputWidth(model) } }

    private var moments: Int {
        settings.method.usesMoments ? widths.reduce(0) { $0 + $1 * $1 } : 0
    }

    /// A weight as it was, and what choosing channels or columns takes beside it.
    private var room: Int {
        let widest = widths.max() ?? 0
        let smoothing = settings.method.smoothing == .activationAware ? 2 * largest : 0
        // Two matrices in double precision and one factor; rows in another order, and their steps.
        var columns = 0
        if case .gptq = settings.method.rounding {
            columns = 5 * widest * widest + 2 * settings.threads * 96 * widest
        }
        return largest + max(smoothing, columns)
    }

    private var learning: Int {
        guard let learned = settings.method.learned else { return 0 }
        let rows = min(learned.windows, settings.windows) * settings.length
        let prepared = layerWeights.reduce(0) { sum, weight in
            let bytes = CPUDevice.preparedByteCount(
                rows: weight.rows,
                columns: weight.columns,
                operands: .bfloat16
            )
            return sum + bytes / 4
        }
        // Offsets, the best of them, gradients and the weights as they were; factors, the best of
        // them, and steps.
        return 4 * layerCount + 3 * layerCount / 16 + prepared + largest
            + ActivationArena.elementCount(model, rows: rows, keeping: .none)
            + GradientBuffers.elementCount(model, rows: rows) + 2 * rows * model.hiddenSize
    }
}
