internal import Jobs

/// The schemas of all job kinds.
public enum JobSchema {
    /// The kinds this version runs.
    public static let kinds = Kind.allCases.map(\.rawValue)
    /// The kinds of files: of jobs, and of several together.
    public static let fileKinds = kinds + ["pipeline"]

    /// What a file of a kind may hold, `pipeline` among them.
    ///
    /// - Throws: ``JobSpecError`` (`unknownKind`) for other words.
    public static func schema(fileKind word: String) throws(JobSpecError) -> ObjectSchema {
        word == "pipeline" ? pipeline : schema(of: try kind(named: word, among: fileKinds))
    }

    /// The end of a sentence that refuses a word as a kind: the one that is meant, or all.
    public static func hint(for word: String, among kinds: [String]) -> String {
        NearestKey.suggestion(for: word, among: kinds).map { "did you mean \($0)?" }
            ?? "expected one of \(kinds.joined(separator: ", "))"
    }

    /// The schema of a kind.
    static func schema(of kind: Kind) -> ObjectSchema {
        switch kind {
        case .quantize: quantize
        case .train: train
        case .evaluate: evaluate
        case .serve: serve
        }
    }

    /// The kind that a word names; a refusal names those that are `known`.
    ///
    /// - Throws: ``JobSpecError`` (`unknownKind`) for other words, `pipeline` among them.
    static func kind(
        named word: String,
        among known: [String] = kinds
    ) throws(JobSpecError) -> Kind {
        if let kind = Kind(rawValue: word) { return kind }
        switch word {
        case "pipeline":
            throw JobSpecError(
                .unknownKind,
                "a pipeline is several jobs and no kind of job; submit it as a pipeline"
            )
        default:
            throw JobSpecError(
                .unknownKind,
                "unknown job kind \"\(word.prefix(64))\"; \(hint(for: word, among: known))"
            )
        }
    }

    /// The kind that a document's keys tell; nil if they are of no kind, or of several.
    ///
    /// Models or tasks make an evaluation; training texts, a trainer, an optimizer or a teacher make a
    /// training; what else has a model and a quantization is to be quantized; limits of requests make a
    /// model that is served.
    public static func kind(of document: JSONValue) -> String? {
        func has(_ keys: String...) -> Bool { keys.contains { document[$0] != nil } }
        let isEvaluation = has("models", "tasks")
        let isTraining =
            has("trainer", "optim", "distillation", "frozen", "lora")
            || document["data"]?["train"] != nil
            || document["data"]?["generated"] != nil
        if isEvaluation {
            return isTraining || has("quantization") ? nil : Kind.evaluate.rawValue
        }
        if isTraining {
            return Kind.train.rawValue
        }
        if has("quantization") { return Kind.quantize.rawValue }
        let isServing = has(
            "max_batch_size",
            "max_input_len",
            "max_output_len",
            "kv_cache",
            "kv_cache_tokens",
            "replicas"
        )
        return has("jobs") ? "pipeline" : isServing ? Kind.serve.rawValue : nil
    }

    private static let name = ObjectSchema.Field(
        "name",
        .text(maximumByteCount: JobLimits().nameBytes),
        "A name for people; not unique."
    )
    private static let model = ObjectSchema.Field(
        "model",
        .input(.model),
        required: true,
        "A GGUF file or a Hugging Face folder, job:ID[/output], or sha256:DIGEST. "
            + InputReference.idRule
    )
    private static let seed = ObjectSchema.Field(
        "seed",
        .integer(0...Int(JSONValue.largestExactInteger)),
        default: .number(1234),
        "The seed of everything random."
    )
    private static let exports = ObjectSchema.Field(
        "export",
        .array(.object(OutputSchema.export), count: 0...8),
        default: .array([
            .object([
                "format": .string("compressed-tensors"), "on_obstacle": .string("skip"),
            ])
        ]),
        "Forms in which the resulting model is written."
    )

    /// What a job of a pipeline has beside the keys of its kind.
    static let part = ObjectSchema([
        .init(
            "kind",
            .choice(kinds),
            "The job's kind, unless its keys tell; beside this, it has the keys of its kind."
        ),
        .init(
            "after",
            .array(.text(maximumByteCount: PartName.byteLimit), count: 0...64),
            "Jobs that must end well before it starts, beside those whose outputs it takes: "
                + "names of this pipeline, or ids."
        ),
    ])

    /// A pipeline file: jobs of all kinds, each with the keys of its kind beside those listed here.
    public static let pipeline = ObjectSchema([
        name,
        .init(
            "jobs",
            .jobs(part, count: 1...64),
            required: true,
            "The jobs by name; where an input is meant, job:NAME[/output] is another one's output, or, "
                + "with a name of none of these, that of a job outside. " + InputReference.idRule
        ),
    ])

    static let quantize = ObjectSchema([
        name,
        model,
        .init(
            "quantization",
            .object(QuantizationSchema.afterTraining),
            required: true,
            "What is rounded, and to what."
        ),
        .init("data", .object(DataSchema.calibrating), "Calibration texts."),
        exports,
        seed,
    ])

    static let train = ObjectSchema([
        name,
        model,
        .init(
            "start",
            .input(.model, orWords: StartMethod.allCases.map(\.rawValue)),
            "Where training's weights begin: the model rounded by a method, calibrated on "
                + "data.calibration or else data.train, or job:ID of a quantize job; a teacher and the "
                + "baseline stay the model's."
        ),
        .init(
            "quantization",
            .object(QuantizationSchema.whileTraining),
            required: true,
            "What is rounded, to what, and when."
        ),
        .init(
            "distillation",
            .object(TrainerSchema.distillation),
            "Learn the teacher's distribution; without this section, the text's next token."
        ),
        .init(
            "lora",
            .object(LowRankSchema.section),
            "Train low-rank adapters in place of all weights: W + lora_alpha / r B A is rounded as one weight "
                + "in every step, and merged in what is validated and exported; {} takes the defaults."
        ),
        .init("trainer", .object(TrainerSchema.trainer), "Length, batches, validation, machines."),
        .init("optim", .object(TrainerSchema.optimizer), "The optimizer and its learning rate."),
        .init("data", .object(DataSchema.training), required: true, "Texts."),
        exports,
        .init(
            "export_from",
            .words(TrainSpec.ExportSource.self),
            pasted: [
                "\"best_model\"": "write \"best\"", "\"final\"": "write \"last\"",
                "\"latest\"": "write \"last\"",
            ],
            "Which weights are exported: last, of the last step, or best, of the validation with the lowest "
                + "loss (of several formats their mean), which a checkpoint is written at and kept. By default "
                + "last, and best with trainer.early_stopping."
        ),
        .init(
            "frozen",
            .array(.pattern, count: 0...64),
            "Globs of parameters that are not trained; [\"*embed_tokens*\"] when distilling, "
                + "else none."
        ),
        seed,
    ])

    static let serve = ObjectSchema(
        [
            .init(
                "name",
                .text(maximumByteCount: JobLimits().nameBytes),
                "What requests name the model by; by default the model's file or folder. Jobs of one owner "
                    + "under one name are replicas of one model."
            ),
            model,
        ] + ServeSchema.fields
    )

    static let evaluate = ObjectSchema([
        name,
        .init(
            "models",
            .array(.object(EvaluationSchema.model), count: 1...32),
            required: true,
            "The rows of the table."
        ),
        .init(
            "tasks",
            .array(.variant(EvaluationSchema.tasks), count: 1...32),
            required: true,
            "The measurements."
        ),
        EvaluationSchema.activations(default: .asExported),
        EvaluationSchema.baseline,
        EvaluationSchema.recoveredFrom,
        seed,
    ])
}
