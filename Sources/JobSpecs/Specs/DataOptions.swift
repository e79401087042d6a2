/// The `data` section of a job.
public struct DataOptions: Sendable, Equatable {
    /// How texts are stored.
    public enum Implementation: String, Sendable, CaseIterable {
        /// Plain UTF-8 files.
        case text
        /// Megatron's `.bin` and `.idx` pairs.
        case mmap

        /// Whether it holds tokens, document by document, and not text.
        public var isCorpus: Bool {
            switch self {
            case .text: false
            case .mmap: true
            }
        }
    }

    /// In which order a training reads the windows of a corpus.
    public enum LoaderType: String, Sendable, CaseIterable {
        /// In the order that the corpus's documents and windows are shuffled into for the whole run.
        case single
        /// An epoch's windows again and again, in another order each time.
        case cyclic
    }

    /// Which windows of a training text there are.
    public enum Sampling: String, Sendable, CaseIterable {
        /// Any offset, again and again.
        case random
        /// End to end, each once an epoch.
        case epoch
    }

    /// Text that the teacher makes by itself.
    public struct Generated: Sendable, Equatable {
        /// How many windows.
        public var windows: Int
        /// Above 0; 1 is the model's own distribution.
        public var temperature: Double

        init(_ reader: ObjectReader) {
            windows = reader.integer("windows")
            temperature = reader.number("temperature")
        }
    }

    /// How texts are stored.
    public var implementation: Implementation
    /// Training texts.
    public var training: [String]
    /// What of the training's windows each of these gives, by proportion; empty where they are read as one.
    public var trainingWeights: [Double]
    /// Text behind them that the teacher makes; nil for none.
    public var generated: Generated?
    /// Validation texts.
    public var validation: [String]
    /// Calibration texts.
    public var calibration: [String]
    /// Shares of the training text, where there is no validation text of its own.
    public var splits: DataSplits?
    /// Tokens per window.
    public var sequenceLength: Int
    /// Where the objects of JSON lines hold their text.
    public var textKey: String
    /// Whether windows may be longer than the model's context.
    public var allowsLongContext: Bool
    /// Threads that read a training's windows ahead; with 0 they are read between steps.
    public var workerCount: Int
    /// In which order a training reads the windows of a corpus.
    public var loaderType: LoaderType
    /// Which windows of a training text there are.
    public var sampling: Sampling
    /// Whether the job itself says so.
    var namesSampling: Bool
    /// Whether positions restart behind a document's end.
    public var resetsPositions: Bool
    /// Whether attention ends at a document's end.
    public var resetsAttentionMask: Bool
    /// Whether the position of an end-of-document token counts in no loss.
    public var masksEndOfDocumentLoss: Bool
    /// Whether only what the assistant says is learned of conversations; nil if the job does not say.
    var namedAnswersOnly: Bool?
    /// Whether a training does not read its corpus once in advance.
    public var skipsWarmUp: Bool

    init(_ reader: ObjectReader) {
        implementation = reader.choice("data_impl")
        training = reader.texts("train")
        trainingWeights = reader.numbers("train_weights")
        generated =
            reader.contains("generated") ? Generated(reader.object("generated")) : nil
        validation = reader.texts("validation")
        calibration = reader.texts("calibration")
        splits = reader.optionalText("splits_string").flatMap(DataSplits.init(parsing:))
        sequenceLength = reader.integer("seq_length")
        textKey = reader.text("text_key")
        allowsLongContext = reader.boolean("allow_long_context")
        workerCount = reader.integer("num_workers")
        loaderType = reader.choice("dataloader_type")
        namesSampling = reader.contains("sampling")
        sampling = reader.optionalChoice("sampling") ?? .random
        resetsPositions = reader.boolean("reset_position_ids")
        resetsAttentionMask = reader.boolean("reset_attention_mask")
        masksEndOfDocumentLoss = reader.boolean("eod_mask_loss")
        namedAnswersOnly =
            reader.contains("answer_only_loss") ? reader.boolean("answer_only_loss") : nil
        skipsWarmUp = reader.boolean("skip_warmup")
    }

    /// Whether only what the assistant says is learned of conversations.
    public var learnsAnswersOnly: Bool { namedAnswersOnly ?? true }

    /// Whether the job itself says what of conversations is learned.
    public var namesAnswersOnly: Bool { namedAnswersOnly != nil }

    /// Tokens of the text that the teacher makes.
    public var generatedCount: Int { (generated?.windows ?? 0) * sequenceLength }

    /// Whether training texts are drawn from by weight.
    public var isMixture: Bool { !trainingWeights.isEmpty }

    /// Whether epochs of a training have the same windows.
    public var repeatsWindows: Bool {
        switch implementation {
        case .text: sampling == .epoch
        case .mmap: loaderType == .cyclic
        }
    }

    /// Whether a training is validated on a share of its corpus.
    public var validatesOnShare: Bool {
        implementation.isCorpus && validation.isEmpty && (splits?.validation ?? 0) > 0
    }

    /// What this section asks for and the engines do not carry yet.
    ///
    /// `isTraining`: Whether it is a training's.
    func unsupported(isTraining: Bool) -> [UnsupportedFeature] {
        var features: [UnsupportedFeature] = []
        func add(_ key: String, _ message: String) {
            features.append(UnsupportedFeature("$.data.\(key)", message))
        }
        if splits != nil, !isTraining {
            add(
                "splits_string",
                "calibrating on a share of a corpus is not in this version; leave it out"
            )
        } else if splits != nil, !implementation.isCorpus {
            add(
                "splits_string",
                "splitting a text is not in this version; leave it out, and name validation texts in "
                    + "$.data.validation, or make a corpus of it (qat-client preprocess)"
            )
        }
        if implementation.isCorpus, generated != nil {
            add(
                "generated",
                "text of the teacher beside a corpus is not in this version; leave one of both out"
            )
        }
        if !isTraining {
            for key in documentKeys {
                add(key, "calibrating so is not in this version; write false")
            }
        }
        return features
    }

    /// The keys of what begins anew behind a document's end, those that are true.
    public var documentKeys: [String] {
        [
            (resetsPositions, "reset_position_ids"),
            (resetsAttentionMask, "reset_attention_mask"),
            (masksEndOfDocumentLoss, "eod_mask_loss"),
        ].filter(\.0).map(\.1)
    }

    /// The places of weights among names, as Megatron's blends have them: `["0.3", "a", "0.7", "b"]`.
    var weightsAmongNames: [String] {
        lists.flatMap { key, names in
            let numbers = names.indices.filter { Double(names[$0]) != nil }
            let isBlend =
                names.count % 2 == 0 && numbers == Array(stride(from: 0, to: names.count, by: 2))
            return implementation.isCorpus || isBlend ? numbers.map { "\(key)[\($0)]" } : []
        }
    }

    private var lists: [(key: String, names: [String])] {
        [("train", training), ("validation", validation), ("calibration", calibration)]
    }

    /// The inputs this section names.
    var inputs: [InputReference] {
        let role: InputReference.Role = implementation.isCorpus ? .corpus : .text
        return lists.flatMap { key, texts in
            texts.enumerated().map { index, text in
                InputReference(pointer: "/data/\(key)/\(index)", text: text, role: role)
            }
        }
    }
}
