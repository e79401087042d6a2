public import Formats
internal import Jobs

/// A job that trains a model under quantization (QAT).
public struct TrainSpec: Sendable, Equatable {
    /// Learning from a teacher's distribution instead of from the text's next token.
    public struct Distillation: Sendable, Equatable {
        /// How far the student is from the teacher.
        public enum Loss: String, Sendable, CaseIterable {
            /// KL(teacher ‖ student).
            case forward = "kl"
            /// KL(student ‖ teacher).
            case reverse = "reverse_kl"
            /// The generalized Jensen–Shannon divergence.
            case jensenShannon = "js"
        }

        /// `model` for the unquantized base model, or another model's reference.
        public var teacher: String
        /// The divergence that is lowered.
        public var loss: Loss
        /// The teacher's weight in the mixture of ``Loss/jensenShannon``; above 0, below 1.
        public var beta: Double
        /// The softmax temperature of both.
        public var temperature: Double
        /// The share of the text's next token in the loss; from 0 to less than 1.
        public var crossEntropyWeight: Double
        /// The weight of hidden states' error, 0 or more.
        public var hiddenWeight: Double
        /// How many of the teacher's most likely tokens are learned from, and kept on disk; nil for all.
        public var topCount: Int?

        /// The word for the job's own model.
        static let baseModel = "model"

        /// Whether the teacher is the job's own model, unquantized.
        public var teacherIsBaseModel: Bool { teacher == Self.baseModel }

        init(_ reader: ObjectReader) {
            teacher = reader.text("teacher")
            loss = reader.choice("loss")
            beta = reader.number("beta")
            temperature = reader.number("temperature")
            crossEntropyWeight = reader.number("cross_entropy")
            hiddenWeight = reader.number("hidden")
            topCount =
                reader.contains("teacher_cache")
                ? reader.object("teacher_cache").integer("top_k") : nil
        }
    }

    /// Where training's weights begin.
    public enum Start: Sendable, Equatable {
        /// Those of another model of the same shape; a reference like ``TrainSpec/model``.
        case model(String)
        /// The model's own, rounded by a method.
        case method(StartMethod)

        init(_ text: String) {
            self = StartMethod(rawValue: text).map(Start.method) ?? .model(text)
        }
    }

    /// Which of a run's weights are exported.
    public enum ExportSource: String, Sendable, CaseIterable {
        /// Those of the last step.
        case last
        /// Those of the validation with the lowest loss.
        case best
    }

    /// A name for people; not unique.
    public var name: String?
    /// The model: a path, `job:ID[/output]` or `sha256:DIGEST`.
    public var model: String
    /// Where the student's weights come from, if not from ``model`` as it is.
    public var start: Start?
    /// What is rounded, to what, and when.
    public var quantization: QuantizationOptions
    /// What is learned from a teacher; nil trains on cross-entropy.
    public var distillation: Distillation?
    /// The adapters that are trained in place of the weights; nil trains the weights.
    public var lora: LowRankOptions?
    /// Length, batches, validation, checkpoints.
    public var trainer: TrainerOptions
    /// The optimizer and its learning rate.
    public var optimizer: OptimizerOptions
    /// Texts.
    public var data: DataOptions
    /// Forms in which the result is written.
    public var exports: [ExportOptions]
    /// Which weights those are of.
    public var exportSource: ExportSource
    /// Patterns of parameter names that are not trained; with adapters, none of the parameters is.
    public var frozen: [ModulePattern]
    /// Whether the job itself says what is frozen.
    var namesFrozen: Bool
    /// The seed of everything random.
    public var seed: UInt64

    /// What stays frozen in a distillation that does not say: the embedding, whose update would
    /// cost as much as a decoder's and which no teacher asks to move.
    public static let frozenWhenDistilling: [ModulePattern] = ["*embed_tokens*"]

    init(_ reader: ObjectReader) {
        name = reader.optionalText("name")
        model = reader.text("model")
        start = reader.optionalText("start").map(Start.init)
        quantization = QuantizationOptions(reader.object("quantization"), isTraining: true)
        let isDistilling = reader.contains("distillation")
        if isDistilling {
            distillation = Distillation(reader.object("distillation"))
        }
        trainer = TrainerOptions(reader.object("trainer"))
        optimizer = OptimizerOptions(reader.object("optim"))
        data = DataOptions(reader.object("data"))
        exports = reader.objects("export").map(ExportOptions.init)
        exportSource =
            reader.optionalChoice("export_from") ?? (trainer.earlyStopping == nil ? .last : .best)
        lora = reader.contains("lora") ? LowRankOptions(reader.object("lora")) : nil
        namesFrozen = reader.contains("frozen")
        let frozenByDefault = isDistilling && lora == nil ? Self.frozenWhenDistilling : []
        frozen = namesFrozen ? reader.patterns("frozen") : frozenByDefault
        seed = UInt64(reader.integer("seed"))
    }

    /// What the job asks for and no engine of this version does.
    ///
    /// Machines that nobody offers are not among it: such a job waits, see `Resources.waitReason`.
    public var unsupported: [UnsupportedFeature] {
        var features: [UnsupportedFeature] = []
        if quantization.recipe.stages.count > 1, quantization.scales != .followed {
            features.append(
                UnsupportedFeature(
                    "$.quantization.schedule",
                    "scales that are found before the first step are those of one format, and going "
                        + "through several with them is not in this version; leave the schedule out, or "
                        + "have scales followed: \"method\": \"max\" without \"scales\""
                )
            )
        }
        if lora != nil, quantization.scales == .learned {
            features.append(
                UnsupportedFeature(
                    "$.quantization.scales",
                    "\"learned\" beside adapters is not in this version: the gradient of a scale is that of "
                        + "a whole weight, which adapters do without; write \"kept\", or leave lora out"
                )
            )
        }
        if quantization.recipe.stages.count > 1, let obstacle = startObstacle {
            features.append(
                UnsupportedFeature(
                    "$.start",
                    "\(obstacle) with a schedule is not in this version; training would begin in the "
                        + "schedule's first format: leave one of both out"
                )
            )
        }
        if distillation?.topCount != nil, trainer.devices * trainer.resources.nodes > 1 {
            features.append(
                UnsupportedFeature(
                    "$.distillation.teacher_cache",
                    "with several devices or nodes is not in this version: what one process keeps the others "
                        + "would compute all the same; leave it out, or train on one device"
                )
            )
        }
        let ofExports = ExportOptions.unsupported(
            in: exports,
            hasFormats: !quantization.namedFormats.isEmpty
        )
        return features + data.unsupported(isTraining: true) + ofExports
    }

    /// What of ``start`` holds for the recipe's last format alone; nil where nothing does.
    private var startObstacle: String? {
        switch start {
        case nil: nil
        case .method(let method): "\"\(method.rawValue)\", which rounds to the last format,"
        case .model:
            quantization.recipe.formats.sorted { $0.name < $1.name }
                .first { !$0.keepsRoundedValues }
                .map { "keeping the scales of \($0.name)" }
        }
    }

    /// The inputs the job names, in the order of its sections.
    public var inputs: [InputReference] {
        var inputs = [InputReference(pointer: "/model", text: model, role: .model)]
        if case .model(let reference)? = start {
            inputs.append(InputReference(pointer: "/start", text: reference, role: .model))
        }
        if let distillation, !distillation.teacherIsBaseModel {
            inputs.append(
                InputReference(
                    pointer: "/distillation/teacher",
                    text: distillation.teacher,
                    role: .model
                )
            )
        }
        return inputs + data.inputs
    }
}

extension TrainSpec {
    /// Whether something is found on the calibration texts before the first step.
    public var calibrates: Bool {
        if case .method? = start { return true }
        return quantization.quantizesKeyValueCache || quantization.inputScales != .dynamic
    }
}
