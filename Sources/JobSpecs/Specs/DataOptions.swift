/// Three shares of a corpus: training, validation, test.
public struct DataSplits: Sendable, Equatable {
    /// The share for training, of 1.
    public let training: Double
    /// The share for validation, of 1.
    public let validation: Double
    /// The share for tests, of 1.
    public let test: Double

    /// Reads `99,1,0`: three numbers, none negative, not all zero.
    public init?(parsing text: String) {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        let numbers = parts.compactMap { part in
            Double(part.drop { $0 == " " }).flatMap { $0.isFinite && $0 >= 0 ? $0 : nil }
        }
        let sum = numbers.reduce(0, +)
        guard parts.count == 3, numbers.count == 3, sum > 0, sum.isFinite else {
            return nil
        }
        training = numbers[0] / sum
        validation = numbers[1] / sum
        test = numbers[2] / sum
    }
}

/// The `data` section of a job.
public struct DataOptions: Sendable, Equatable {
    /// How texts are stored.
    public enum Implementation: String, Sendable, CaseIterable {
        /// Plain UTF-8 files.
        case text
        /// Megatron's `.bin` and `.idx` pairs.
        case mmap
    }

    /// In which order windows are drawn.
    public enum LoaderType: String, Sendable, CaseIterable {
        /// Once through.
        case single
        /// Over and over.
        case cyclic
    }

    /// Which windows of the training text there are.
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
    /// Reader processes; the engines read ahead by themselves.
    public var workerCount: Int
    /// In which order windows are drawn.
    public var loaderType: LoaderType
    /// Which windows of the training text there are.
    public var sampling: Sampling
    /// Whether positions restart at a document's end.
    public var resetsPositions: Bool
    /// Whether attention ends at a document's end.
    public var resetsAttentionMask: Bool
    /// Whether the end-of-document token is left out of the loss.
    public var masksEndOfDocumentLoss: Bool
    /// Whether the corpus is not read once in advance.
    public var skipsWarmUp: Bool

    init(_ reader: ObjectReader) {
        implementation = reader.choice("data_impl")
        training = reader.texts("train")
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
        sampling = reader.optionalChoice("sampling") ?? .random
        resetsPositions = reader.boolean("reset_position_ids")
        resetsAttentionMask = reader.boolean("reset_attention_mask")
        masksEndOfDocumentLoss = reader.boolean("eod_mask_loss")
        skipsWarmUp = reader.boolean("skip_warmup")
    }

    /// Tokens of the text that the teacher makes.
    public var generatedCount: Int { (generated?.windows ?? 0) * sequenceLength }

    /// What this section asks for and the engines do not carry yet.
    var unsupported: [UnsupportedFeature] {
        var features: [UnsupportedFeature] = []
        if implementation == .mmap {
            features.append(
                UnsupportedFeature(
                    "$.data.data_impl",
                    "\"mmap\", .bin and .idx pairs, is not in this version; write \"text\" and name "
                        + "text files"
                )
            )
        } else if splits != nil {
            features.append(
                UnsupportedFeature(
                    "$.data.splits_string",
                    "splitting a text is not in this version; leave it out, and name validation "
                        + "texts in $.data.validation"
                )
            )
        }
        for (isAsked, key) in [
            (resetsPositions, "reset_position_ids"),
            (resetsAttentionMask, "reset_attention_mask"),
            (masksEndOfDocumentLoss, "eod_mask_loss"),
        ] where isAsked {
            features.append(
                UnsupportedFeature("$.data.\(key)", "true is not in this version; write false")
            )
        }
        return features
    }

    /// The inputs this section names.
    var inputs: [InputReference] {
        let role: InputReference.Role = implementation == .mmap ? .corpus : .text
        let lists = [
            ("train", training), ("validation", validation), ("calibration", calibration),
        ]
        return lists.flatMap { key, texts in
            texts.enumerated().map { index, text in
                InputReference(pointer: "/data/\(key)/\(index)", text: text, role: role)
            }
        }
    }
}
