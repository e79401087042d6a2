internal import Formats
internal import JobSpecs
internal import ModelFiles
internal import Transformer

extension InputCheck {
    /// What of a job decides about its exports.
    struct ExportSource {
        let exports: [ExportOptions]
        let recipe: QuantizationRecipe
        /// Formats of which the job chooses one for each module that no rule names; empty for none.
        var candidates: [QuantizationFormat] = []
        var unties = false
        var isCalibrated = false
        var hasCacheScales = false

        init(_ spec: TrainSpec) {
            exports = spec.exports
            recipe = spec.quantization.recipe
        }

        init(_ spec: QuantizeSpec) {
            exports = spec.exports
            recipe = spec.quantization.recipe
            guard let options = spec.quantization.postTraining else { return }
            candidates = options.mixedPrecision?.candidates ?? []
            unties = options.rotation == .hadamard
            isCalibrated = !spec.data.calibration.isEmpty && spec.needsInputs
            hasCacheScales = options.cacheScales != .none
        }
    }

    /// Plans a job's exports; what cannot be written and must be is a problem of the place.
    mutating func exports(_ source: ExportSource, _ model: Model?) {
        guard let model else { return }
        var configuration = model.configuration
        if source.unties { configuration.tiedEmbeddings = false }
        let choices = attempt("$.quantization") {
            try Self.formats(source, ParameterLayout(configuration: configuration))
        }
        guard let choices else { return }
        planned = source.exports.enumerated().map { index, options in
            let plans = choices.map { formats in
                ExportPlan(
                    format: options.format.rawValue,
                    configuration: configuration,
                    formats: formats,
                    activations: source.recipe.activations,
                    isCalibrated: source.isCalibrated,
                    hasCacheScales: source.hasCacheScales,
                    // A GGUF file's tokenizer is passed on as it is.
                    tokenizer: model.source.kind == .gguf ? nil : model.tokens?.tokenizer
                )
            }
            return PlannedExport(options, index: index, plans: plans)
        }
        for export in planned where !export.obstacles.isEmpty { report(export) }
    }

    private mutating func report(_ export: PlannedExport) {
        let name = export.options.format.rawValue
        let reasons = PlannedExport.sentences(export.obstacles)
        let shown = reasons.prefix(3).joined(separator: "; ")
        let rest = reasons.count > 3 ? "; and \(reasons.count - 3) more" : ""
        if export.isRefused {
            problem(
                export.path,
                """
                \(name) cannot hold this model: \(shown)\(rest); leave the export out, or let it be \
                skipped by "on_obstacle": "skip"
                """
            )
        } else {
            remark(export.path, "\(name) will be left out: \(shown)\(rest)")
        }
    }

    /// The formats of the quantized modules: one dictionary, or one for each candidate.
    private static func formats(
        _ source: ExportSource,
        _ layout: ParameterLayout
    ) throws -> [[String: QuantizationFormat]] {
        let assignments = try layout.assignments(of: source.recipe)
        func choosing(_ candidate: QuantizationFormat?) -> [String: QuantizationFormat] {
            assignments.reduce(into: [:]) { formats, assignment in
                let isChosen =
                    candidate != nil && layout.module(of: assignment.entry) != nil
                    && source.recipe.ruleIndex(forModule: assignment.module) == nil
                formats[assignment.module] = isChosen ? candidate : assignment.format
            }
        }
        return source.candidates.isEmpty
            ? [choosing(nil)] : source.candidates.map { choosing($0) }
    }
}
