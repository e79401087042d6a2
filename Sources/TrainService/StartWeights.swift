internal import ComputeKit
internal import Devices
internal import Formats
internal import JobSpecs
internal import Kernels
internal import ModelFiles
internal import Quantization
internal import ServiceKit
internal import Transformer

/// The weights that a training begins from, where the job says from which.
struct StartWeights {
    let spec: TrainSpec
    let request: ComputeRequest
    let reporter: ComputeReporter
    let team: ThreadTeam
    /// The job's model, which stays as it is.
    let model: LoadedModel
    /// The training text, which serves where there is no calibration text.
    let trainText: any TokenText

    /// Whether the job says from which.
    var isNamed: Bool { spec.start != nil }

    private var recipe: QuantizationRecipe { spec.quantization.recipe }

    /// Makes `student`, which is a copy of the model's weights, the ones that are meant.
    ///
    /// - Throws: What reading, tokenizing and rounding throw; `stopped` where that is asked for.
    func load(into student: Parameters) throws {
        switch spec.start {
        case nil:
            try keepScales(of: student)
            return
        case .model: try read(into: student)
        case .method(let method): try round(student, by: method)
        }
        try keepScales(of: student)
        for turn in recipe.turns {
            let moved = try student.countMoved(by: turn, team: team)
            let place = recipe.alternation.isEmpty ? "" : " to \(turn.defaultFormat?.name ?? "")"
            reporter.log(
                moved == 0
                    ? "start: weights are as the recipe rounds them\(place)"
                    : "start: the recipe rounds \(moved) weights\(place) to other values than they "
                        + "come with"
            )
        }
    }

    /// Finds the scales that stay, where the job says so, of weights that come without any.
    private func keepScales(of student: Parameters) throws {
        guard keepsScales else { return }
        let found = try student.findScales(
            by: spec.quantization.scaleSearch,
            recipe: recipe,
            team: team
        )
        reporter.log(
            "scales: those of \(found) weights were found by \(spec.quantization.method.rawValue) and stay"
        )
    }

    /// Calls `body` with the model's own weights as the recipe rounds them without any training.
    func withRounding<Result>(
        of parameters: Parameters,
        _ body: (Parameters) throws -> Result
    ) throws -> Result {
        guard keepsScales else { return try body(parameters) }
        defer { parameters.fixedScales = [:] }
        _ = try parameters.findScales(
            by: spec.quantization.scaleSearch,
            recipe: recipe,
            team: team
        )
        return try body(parameters)
    }

    private var keepsScales: Bool { spec.quantization.scales != .followed }

    private func read(into student: Parameters) throws {
        let source = try ModelLoader.open(path: try request.path("/start"))
        try source.configuration.requireShape(of: model.configuration)
        if student.layout.entries.map(\.name) == model.parameters.layout.entries.map(\.name) {
            try ModelLoader.read(source, into: student, team: team)
        } else {
            // A student with biases of its own keeps these.
            let found = try ModelLoader.parameters(
                of: source,
                vocabularySize: model.configuration.vocabularySize,
                team: team
            )
            try student.take(found)
        }
        try fix(student) { entry, format in
            guard let scales = try source.scales(of: entry, rows: 0..<entry.rows, in: format) else {
                // Values on a block's grid have scales that can be found again.
                if format.keepsRoundedValues { return nil }
                throw ModelFileError(
                    .unsupported,
                    """
                    $.start: \(source.path) does not hold \(entry.module) in \(format.name), whose scales \
                    training would keep; begin from a job that quantizes to that, in a folder of \
                    safetensors
                    """
                )
            }
            return scales
        }
    }

    /// Keeps the scales of those linear modules whose values the recipe's own rule would move, or of all
    /// where scales stay anyway.
    private func fix(
        _ student: Parameters,
        _ scales: (ParameterLayout.Entry, QuantizationFormat) throws -> BlockScales?
    ) throws {
        for (entry, format) in try student.quantizedEntries(of: recipe, progress: 1)
        where (!format.keepsRoundedValues || keepsScales) && student.layout.module(of: entry) != nil
        {
            student.fixedScales[entry.name] = try scales(entry, format)
        }
        if !student.fixedScales.isEmpty {
            reporter.log("start: the scales of \(student.fixedScales.count) weights stay as found")
        }
    }

    private func round(_ student: Parameters, by method: StartMethod) throws {
        let windows = try calibration()
        reporter.log(
            """
            start: \(method.rawValue), calibrated on \(windows.count) windows of \(windows.length) \
            tokens of \(spec.data.calibration.isEmpty ? "the training text" : "data.calibration")
            """
        )
        tell("calibrating the start")
        let quantizer = PostTrainingQuantizer(
            recipe: recipe,
            method: method.method,
            seed: spec.seed,
            team: team
        )
        var found: [String: BlockScales] = [:]
        let learns = method.method.learned != nil
        let listener = PostTrainingQuantizer.Listener(
            checkpoint: { try reporter.checkStop() },
            onStep: { done, total in
                if done.isMultiple(of: 10) {
                    tell("learning the start's rounding \(done)/\(total)")
                }
                try reporter.checkStop()
            },
            onLearned: { reporter.log("start: \($0.sentence)") },
            onResult: { result, count in
                found[result.entry.name] = BlockScales(result.packed)
                if !learns { tell("rounding the start \(found.count)/\(count)") }
                try reporter.checkStop()
            }
        )
        _ = try quantizer.quantize(student, calibration: windows, listener: listener)
        try fix(student) { entry, _ in found[entry.name] }
    }

    /// Windows on which keys and values are calibrated at most: their largest magnitudes need few.
    private static let cacheWindows = 32

    /// The ranges of keys and values of a model as the recipe rounds it, or those that an earlier attempt
    /// kept; nil where the job leaves both as they are.
    func cacheRanges(of parameters: Parameters, kept: [String: Double]?) throws -> CacheRanges? {
        guard spec.quantization.quantizesKeyValueCache else { return nil }
        if let ranges = kept.flatMap(TrainingResults.cacheRanges) { return ranges }
        tell("calibrating keys and values")
        let windows = try calibration(limit: Self.cacheWindows)
        let ranges = try CacheRanges.measure(
            parameters,
            recipe: recipe,
            on: windows,
            device: CPUDevice(team: team)
        )
        reporter.log(
            """
            keys and values: FP8 under scales calibrated on \(windows.count) windows of \
            \(windows.length) tokens
            """
        )
        return ranges
    }

    /// The ranges of inputs of a model as the recipe rounds it, or those that an earlier attempt kept; nil where
    /// scales are found as the model runs.
    func inputRanges(of parameters: Parameters, kept: [String: Double]?) throws -> InputRanges? {
        guard spec.quantization.inputScales != .dynamic else { return nil }
        if let ranges = kept.flatMap(TrainingResults.inputRanges) { return ranges }
        tell("calibrating inputs")
        let windows = try calibration(limit: Self.cacheWindows)
        let ranges = try InputRanges.measure(
            parameters,
            recipe: recipe,
            on: windows,
            device: CPUDevice(team: team)
        )
        reporter.log(
            """
            inputs: clipped to what \(windows.count) windows of \(windows.length) tokens brought\
            \(spec.quantization.inputScales == .learned ? ", and to what is learned from there on" : "")
            """
        )
        return ranges
    }

    private func calibration(limit: Int = .max) throws -> CalibrationWindows {
        var texts: [any TokenText] = [trainText]
        if !spec.data.calibration.isEmpty {
            texts = try spec.data.calibrationTexts(
                paths: spec.data.calibration.indices.map {
                    try request.path("/data/calibration/\($0)")
                },
                TextTokens(model.tokenizer, model.configuration, model.files)
            )
        }
        return try CalibrationWindows(
            texts: texts,
            length: spec.data.sequenceLength,
            limit: min(limit, spec.quantization.calibrationSize),
            seed: spec.seed
        )
    }

    /// The run has not begun: what is done is the phase's, not a step.
    private func tell(_ phase: String) { reporter.progress(phase: phase, step: 0, of: 0) }
}
