internal import ComputeKit
internal import Devices
internal import Formats
internal import JobInputs
internal import JobSpecs
internal import Jobs
internal import Kernels
internal import ModelFiles
internal import Quantization
internal import ServiceKit
internal import Transformer

/// Rounds a model in memory, running it on calibration text where the method asks for that.
struct CalibratedQuantization {
    let spec: QuantizeSpec
    let options: PostTrainingOptions
    let recipe: QuantizationRecipe
    let method: PostTrainingMethod
    let reporter: ComputeReporter
    let progress: LayerProgress
    let team: ThreadTeam

    /// Tokens on which the rounded model is compared with the original: fewer where nothing else
    /// takes long.
    private var comparedTokens: Int { needsPass ? 256 : 128 }

    /// Rounds and exports.
    ///
    /// `texts`: Paths of the calibration texts. `begin`: Begins the exports.
    func quantize(
        _ source: any ModelSource,
        texts: [String],
        begin: (ExportDescription) throws -> ModelExport
    ) throws -> QuantizationOutcome {
        // Every refusal that needs no weight comes before the first is read.
        try expectPhases(ParameterLayout(configuration: source.configuration))
        let tokenizer =
            spec.needsTokenizer(of: source.kind) ? try source.tokenizer() : nil
        let calibration = try tokenizer.flatMap { try calibrationWindows(texts, $0, source) }
        try requireMemory(source.configuration, windows: calibration?.count ?? 0)
        let original = try model(of: source)
        let comparison = try calibration.map { windows in
            try LogitDivergence(
                original: original,
                tokens: windows.tokens.prefix(max(windows.length, comparedTokens)),
                length: min(windows.length, comparedTokens),
                device: CPUDevice(team: team)
            )
        }
        let model =
            options.rotation == .hadamard
            ? LayerResidence(whole: try BlockRotation.rotated(original.parameters))
            : original
        let (recipe, sensitivities) = try chooseFormats(model, calibration, comparison)
        let rounded = try round(model, calibration, by: recipe)
        progress.report("export")
        let export = try begin(
            description(
                source,
                tokenizer,
                model.parameters,
                stored: rounded.stored,
                ranges: rounded.ranges
            )
        )
        try export.write(model, stored: rounded.stored) { done, count in
            progress.report("export \(done)/\(count)")
            try reporter.checkStop()
        }
        let outcome = try export.finish()
        progress.report("compare")
        // Inputs, keys and values as the first export says, which is what will be run.
        let divergence = try comparison.map {
            try $0.measure(model, activations: try export.activations())
        }
        return QuantizationOutcome(
            layers: rounded.layers,
            export: outcome,
            calibrationTokens: needsPass ? calibration?.tokens.count ?? 0 : 0,
            sensitivities: sensitivities,
            divergence: divergence,
            learned: rounded.learned
        )
    }

    /// What rounding made, and found on the way.
    private struct Rounded {
        var layers: [LayerReport] = []
        var stored: [String: PackedTensor] = [:]
        var learned: [LearnedLayer] = []
        var ranges: ActivationRanges?
    }

    /// Rounds every layer of a model in place, telling how far it is.
    private func round(
        _ model: LayerResidence,
        _ calibration: CalibrationWindows?,
        by recipe: QuantizationRecipe
    ) throws -> Rounded {
        var rounded = Rounded()
        let quantizer = PostTrainingQuantizer(
            recipe: recipe,
            method: method,
            seed: spec.seed,
            team: team
        )
        // The text runs through the first layers before one of them is rounded.
        if needsPass { progress.begin("calibrate", before: Self.phase(of: method)) }
        rounded.ranges = try quantizer.quantize(
            model,
            calibration: needsPass ? calibration : nil,
            listener: .init(
                checkpoint: { try reporter.checkStop() },
                onStep: { try tell($0, of: $1) },
                onLearned: { layer in
                    rounded.learned.append(layer)
                    reporter.log(layer.sentence)
                },
                onResult: { result, count in
                    rounded.stored[result.entry.name] = result.packed
                    let format = result.packed.format
                    rounded.layers.append(LayerReport(result.entry, format, result.statistics))
                    if method.learned == nil {
                        try progress.report("quantize", rounded.layers.count, of: count)
                    }
                }
            )
        )
        return rounded
    }

    /// The model: layer by layer, unless something needs all of it at once.
    private func model(of source: any ModelSource) throws -> LayerResidence {
        guard !options.needsWholeModel else {
            let parameters = try ModelLoader.parameters(of: source, team: team)
            return LayerResidence(whole: parameters)
        }
        return try LayerResidence(configuration: source.configuration, team: team) {
            [team] entry, values in
            try source.readFinite(entry, into: values, team: team)
        }
    }

    /// Says what the job will hold in memory, and refuses to begin what cannot fit.
    private func requireMemory(_ model: ModelConfiguration, windows: Int) throws {
        guard
            let plan = MemoryPlan(spec, model: model, windows: windows, threads: team.threadCount)
        else { return }
        let limit = MemoryLimit.current
        guard plan.byteCount > limit.byteCount else { return reporter.log(plan.sentence) }
        throw ComputeFailure(
            .exceedsMemory,
            """
            this worker has \(MemoryPlan.text(limit.byteCount)) (\(limit.name)), and the job takes \
            \(plan.sentence); lower calibration_size or seq_length, or let a larger worker take it
            """
        )
    }

    /// What progress calls the long part of a method.
    private static func phase(of method: PostTrainingMethod) -> String {
        method.learned == nil ? "quantize" : "learn"
    }

    /// Tells of steps of learned rounding, of which there are many.
    private func tell(_ done: Int, of total: Int) throws {
        guard done.isMultiple(of: 5) || done == total else { return try reporter.checkStop() }
        try progress.report("learn", done, of: total)
    }

    /// Says how many steps there will be, if the recipe fits the model.
    private func expectPhases(_ layout: ParameterLayout) throws {
        let assignments = try layout.assignments(of: recipe)
        if let mixed = options.mixedPrecision {
            let room = try SensitivityAnalysis.room(
                of: layout,
                candidates: mixed.candidates,
                isIncluded: { recipe.mayChoose(forModule: $0) }
            )
            progress.expect("sensitivity", (room?.groups ?? 0) * mixed.candidates.count)
        }
        let steps = method.learned.map { $0.iterations * layout.configuration.layerCount }
        progress.expect(Self.phase(of: method), steps ?? assignments.count { $0.format != nil })
    }

    /// Whether the model must be run on the calibration text while it is rounded.
    private var needsPass: Bool { spec.needsInputs }

    private func calibrationWindows(
        _ texts: [String],
        _ tokenizer: Tokenizer,
        _ source: any ModelSource
    ) throws -> CalibrationWindows? {
        guard !texts.isEmpty else {
            return nil
        }
        let length = spec.data.sequenceLength
        let found = try spec.data.calibrationTexts(
            paths: texts,
            TextTokens(tokenizer, source.configuration, source.files)
        )
        try TextCorpus.requireWindow(
            of: length,
            tokenCount: found.map(\.count).max() ?? 0,
            paths: spec.data.calibration
        )
        let windows = try CalibrationWindows(
            texts: found,
            length: length,
            limit: spec.quantization.calibrationSize,
            seed: spec.seed
        )
        if spec.usesCalibration {
            reporter.log(
                "calibration: \(windows.count) windows of \(length) tokens from \(texts.count) texts"
            )
        }
        return windows
    }

    /// The recipe with a rule per module, where formats are chosen within a budget of bits.
    private func chooseFormats(
        _ model: LayerResidence,
        _ calibration: CalibrationWindows?,
        _ comparison: LogitDivergence?
    ) throws -> (QuantizationRecipe, [LayerSensitivity]) {
        guard let mixed = options.mixedPrecision, let calibration else {
            return (recipe, [])
        }
        let analysis = SensitivityAnalysis(
            parameters: model.parameters,
            candidates: mixed.candidates,
            team: team
        )
        // Rotated weights put out what the original puts out, but not in the original's basis.
        let sensitivities = try analysis.run(
            mixed.sensitivity,
            calibration: calibration,
            divergence: comparison,
            isIncluded: { recipe.mayChoose(forModule: $0) },
            onGroup: { try progress.report("sensitivity", $0, of: $1) }
        )
        let choice = try BitAllocation.choose(
            sensitivities,
            bitsPerWeight: mixed.effectiveBits
        )
        var chosen = recipe
        for (group, candidate) in zip(sensitivities, choice.candidates) {
            for module in group.modules {
                let format = group.candidates[candidate].format
                chosen.rules.append(.init(pattern: ModulePattern(module), format: format))
            }
        }
        let bits = (choice.bitsPerWeight * 1000).rounded() / 1000
        reporter.log("chosen formats take \(bits) bits per weight")
        return (chosen, sensitivities)
    }

    private func description(
        _ source: any ModelSource,
        _ tokenizer: Tokenizer?,
        _ parameters: Parameters,
        stored: [String: PackedTensor],
        ranges: ActivationRanges?
    ) -> ExportDescription {
        var description = ExportDescription(
            // A rotated model's head is no longer its embedding.
            configuration: parameters.configuration,
            source: source.files,
            tokenizer: tokenizer,
            formats: Dictionary(
                uniqueKeysWithValues: stored.map {
                    (String($0.key.dropLast(".weight".count)), $0.value.format)
                }
            ),
            activations: recipe.activations
        )
        description.inputAmax = ranges?.inputs ?? [:]
        if options.cacheScales == .fp8 {
            description.keyAmax = ranges?.keys ?? []
            description.valueAmax = ranges?.values ?? []
        }
        return description
    }
}
