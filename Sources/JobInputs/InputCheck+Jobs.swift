internal import Formats
internal import JobSpecs
internal import ModelFiles
internal import Transformer

extension InputCheck {
    private static func windows(_ data: DataOptions) -> Windows {
        Windows(
            length: data.sequenceLength,
            path: "$.data.seq_length",
            key: data.textKey,
            allowsLong: data.allowsLongContext
        )
    }

    mutating func check(_ spec: QuantizeSpec) {
        let model = model("/model") { spec.tokenizerNeed(of: $0.kind) }
        defer { exports(ExportSource(spec, version: version), model) }
        weights(model, "$.model")
        budget(spec, model)
        idleCalibration(spec)
        if let model, spec.quantization.postTraining?.rotation == .hadamard {
            _ = attempt("$.quantization.rotation") {
                try BlockRotation.check(model.configuration.architecture)
            }
        }
        let count = spec.data.calibration.count
        guard count > 0 else { return }
        let windows = Self.windows(spec.data)
        context(windows, model)
        guard !spec.data.implementation.isCorpus else {
            return calibration(spec.data, windows, model)
        }
        texts(count, "/data/calibration", isJoined: false, windows, model)
    }

    mutating func check(_ spec: TrainSpec) {
        let model = model("/model") { _ in "$.data.train" }
        defer { exports(ExportSource(spec, version: version), model) }
        weights(model, "$.model")
        training(spec, model)
        start(of: model)
        let windows = Self.windows(spec.data)
        context(windows, model)
        if let distillation = spec.distillation, !distillation.teacherIsBaseModel {
            teacher(of: model, windows, comparesHidden: distillation.hiddenWeight > 0)
        }
        if let model, let count = spec.distillation?.topCount,
            count > model.configuration.vocabularySize
        {
            problem(
                "$.distillation.teacher_cache.top_k",
                "\(count) is not allowed: the model has \(model.configuration.vocabularySize) tokens"
            )
        }
        guard !spec.data.implementation.isCorpus else { return corpora(spec, windows, model) }
        if !spec.data.training.isEmpty {
            // Generated windows may make up for what texts lack.
            let files = texts(
                spec.data.training.count,
                "/data/train",
                isJoined: true,
                windows,
                model
            )
            if let files, let tokens = model?.tokens, spec.data.generated == nil {
                batches(spec.trainer, files, windows, tokens)
                if spec.data.isMixture { mixture(spec, files, windows, tokens) }
            }
            documentEnds(spec.data, model) { _ in
                files.map { $0.contains { $0.form != .plain } }
            }
        }
        if spec.calibrates {
            let count = spec.data.calibration.count
            texts(count, "/data/calibration", isJoined: false, windows, model)
        }
        texts(spec.data.validation.count, "/data/validation", isJoined: true, windows, model)
        let isMarked = conversations(spec, model)
        targets(spec, windows, model, isMarked: isMarked)
    }

    /// Checks that each text of a mixture holds a window.
    private mutating func mixture(
        _ spec: TrainSpec,
        _ files: [TextFile],
        _ windows: Windows,
        _ tokens: TextTokens
    ) {
        for (index, file) in files.enumerated() {
            _ = attempt("$.data.train[\(index)]") {
                try TextCorpus.requireWindow(
                    of: windows.length,
                    in: [file],
                    isJoined: true,
                    tokens
                )
            }
        }
        // Only the tokens of all texts would say how long an epoch is.
        if spec.trainer.maximumSteps != nil,
            spec.trainer.maximumEpochs == TrainerOptions.unlimitedEpochs
        {
            _ = mixture(spec, windowsPerEpoch: nil)
        }
    }

    /// Checks that a batch is no larger than the text: its windows would be the same ones again.
    private mutating func batches(
        _ trainer: TrainerOptions,
        _ files: [TextFile],
        _ windows: Windows,
        _ tokens: TextTokens
    ) {
        let wanted = trainer.microBatchSize * trainer.accumulatedBatches
        // One window is there; no more of a text is tokenized than it takes to see what is asked for.
        guard wanted > 1 else { return }
        let count = attempt("$.trainer.micro_batch_size") {
            try TextCorpus.windowCount(of: windows.length, in: files, upTo: wanted, tokens)
        }
        if let count { batches(trainer, count, windows) }
    }

    /// The same of a text that holds so many windows.
    mutating func batches(_ trainer: TrainerOptions, _ count: Int, _ windows: Windows) {
        let size = trainer.microBatchSize
        let wanted = size * trainer.accumulatedBatches
        guard count < wanted else { return }
        let found = "the training text has \(count) windows of \(windows.length) tokens"
        if count < size {
            problem(
                "$.trainer.micro_batch_size",
                """
                \(size) is not allowed: \(found); write at most \(count), take more text, or a smaller \
                seq_length
                """
            )
        } else {
            remark(
                "$.trainer.accumulate_grad_batches",
                """
                \(found), fewer than the \(wanted) of one step (\(size) × \
                \(trainer.accumulatedBatches)): every step sees some of them more than once
                """
            )
        }
    }

    /// Checks that the weights to begin from are those of a model of the same shape.
    private mutating func start(of model: Model?) {
        guard let start = self.model("/start", tokenizerFor: { _ in nil }) else { return }
        weights(start, "$.start")
        guard let model else { return }
        _ = attempt("$.start") {
            try start.configuration.requireShape(of: model.configuration)
        }
    }

    private mutating func teacher(of student: Model?, _ windows: Windows, comparesHidden: Bool) {
        let pointer = "/distillation/teacher"
        let path = "$.distillation.teacher"
        guard let teacher = model(pointer, tokenizerFor: { _ in path }) else { return }
        weights(teacher, path)
        var theirs = windows
        theirs.label = "the teacher: "
        context(theirs, teacher)
        guard let student else { return }
        _ = attempt(path) {
            if let known = teacher.tokens?.tokenizer, let ours = student.tokens?.tokenizer {
                try Vocabulary.requireSame(teacher: known, student: ours)
            }
            try Vocabulary.requireRows(
                teacher: teacher.configuration,
                student: student.configuration
            )
        }
        guard comparesHidden else { return }
        _ = attempt("$.distillation.hidden") {
            try teacher.configuration.requireHiddenStates(of: student.configuration)
        }
    }

    mutating func check(_ spec: EvaluateSpec) {
        // A worker loads whole models, whichever tasks there are.
        let models = spec.models.indices.map { model("/models/\($0)/model") { _ in "$.tasks" } }
        for (index, task) in spec.tasks.enumerated() {
            switch task {
            case .perplexity(let windows), .accuracy(let windows):
                check(windows, index: index, spec, models)
            case .divergence(let windows, let reference):
                check(windows, index: index, spec, models)
                check(reference, index: index, spec, models)
            case .benchmark(let settings): check(settings, index: index, spec, models)
            case .code(let problems): check(problems, index: index)
            case .choices(let questions), .problems(let questions): check(questions, index: index)
            }
        }
    }

    private mutating func check(_ task: EvaluateSpec.CodeProblems, index: Int) {
        let pointer = "/tasks/\(index)/problems"
        guard let path = path(pointer),
            let problems = attempt(
                JSONPath.path(ofPointer: pointer),
                { try CodeProblem.read(path: path, limit: task.limit) }
            )
        else { return }
        if let limit = task.limit, problems.count < limit {
            remark(
                "$.tasks[\(index)].limit",
                "the file has \(problems.count) problems, fewer than \(limit); all are used"
            )
        }
    }

    /// Checks that all models have the reference's tokens: their distributions are compared.
    private mutating func check(
        _ reference: String,
        index: Int,
        _ spec: EvaluateSpec,
        _ models: [Model?]
    ) {
        let found = zip(spec.models, models).first { $0.0.label == reference }?.1
        guard let found, let tokenizer = found.tokens?.tokenizer else { return }
        for (row, model) in zip(spec.models, models) {
            guard let model, let own = model.tokens?.tokenizer else { continue }
            guard
                own.vocabulary != tokenizer.vocabulary
                    || model.configuration.vocabularySize != found.configuration.vocabularySize
            else { continue }
            problem(
                "$.tasks[\(index)].reference",
                "model \(row.label.debugDescription) has other tokens than \(reference.debugDescription): the "
                    + "distributions of their next tokens cannot be compared"
            )
        }
    }

    private static func label(_ row: EvaluateSpec.Model, of spec: EvaluateSpec) -> String {
        spec.models.count > 1 ? "model \(row.label.debugDescription): " : ""
    }

    private mutating func check(
        _ task: EvaluateSpec.TextWindows,
        index: Int,
        _ spec: EvaluateSpec,
        _ models: [Model?]
    ) {
        let pointer = "/tasks/\(index)/text"
        let path = "$.tasks[\(index)].text"
        let file = text(pointer, key: task.textKey)
        for (row, model) in zip(spec.models, models) {
            let windows = Windows(
                length: task.sequenceLength,
                path: "$.tasks[\(index)].seq_length",
                key: task.textKey,
                allowsLong: task.allowsLongContext,
                label: Self.label(row, of: spec)
            )
            context(windows, model)
            guard let file, let tokens = model?.tokens else { continue }
            let fits: Void? = attempt(path) {
                try tokens.requireRows(of: file)
                try TextCorpus.requireWindow(
                    of: task.sequenceLength,
                    in: [file],
                    isJoined: true,
                    tokens
                )
            }
            if fits != nil { remarkFewer(task, index, windows.label, file, tokens) }
        }
    }

    /// Says so if a text has fewer windows than the job asks for, where that takes no long time.
    private mutating func remarkFewer(
        _ task: EvaluateSpec.TextWindows,
        _ index: Int,
        _ label: String,
        _ file: TextFile,
        _ tokens: TextTokens
    ) {
        guard let wanted = task.windowCount, file.byteCount <= 8 << 20 else { return }
        let (enough, isHuge) = wanted.multipliedReportingOverflow(by: task.sequenceLength)
        let path = "$.tasks[\(index)].windows"
        let count = attempt(path) {
            try tokens.count(in: file, upTo: isHuge ? .max : enough) / task.sequenceLength
        }
        guard let count, count < wanted else { return }
        let found = "\(file.name) has \(count) windows"
        remark(path, "\(label)\(found), fewer than \(wanted); all are used")
    }

    private mutating func check(
        _ task: EvaluateSpec.Benchmark,
        index: Int,
        _ spec: EvaluateSpec,
        _ models: [Model?]
    ) {
        for (row, model) in zip(spec.models, models) {
            let windows = Windows(
                length: task.inputLength + task.outputLength,
                path: "$.tasks[\(index)].input_len",
                key: "",
                allowsLong: task.allowsLongContext,
                label: Self.label(row, of: spec)
            )
            let name = "input_len \(task.inputLength) + output_len \(task.outputLength) ="
            context(windows, name: name, model)
        }
    }
}
