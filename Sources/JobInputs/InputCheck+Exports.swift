internal import Formats
internal import JobSpecs
internal import ModelFiles
internal import Transformer

extension InputCheck {
    /// What of a job decides about its exports.
    struct ExportSource {
        let groups: [ExportGroup]
        let recipe: QuantizationRecipe
        /// What the job calls its model.
        let reference: String
        /// What files say of their making.
        let metadata: [String: String]
        /// Formats of which the job chooses one for each module that no rule names; empty for none.
        var candidates: [QuantizationFormat] = []
        var unties = false
        /// The shape of what is exported, by the model's.
        var shape: (ModelConfiguration) -> ModelConfiguration = { $0 }
        var isCalibrated = false
        var hasCacheScales = false
        /// Whether inputs are trained under scales that exports must hold.
        var clipsInputs = false

        init(_ spec: TrainSpec, version: String) {
            groups = spec.exportGroups
            recipe = spec.quantization.recipe
            reference = spec.model
            metadata = TrainSpec.exportMetadata(version: version)
            hasCacheScales = spec.quantization.quantizesKeyValueCache
            clipsInputs = spec.quantization.inputScales != .dynamic
            isCalibrated = clipsInputs
            shape = { spec.student(of: $0) }
        }

        init(_ spec: QuantizeSpec, version: String) {
            groups = [ExportGroup(spec.exports)]
            recipe = spec.quantization.recipe
            reference = spec.model
            metadata = spec.quantization.postTraining?.exportMetadata(version: version) ?? [:]
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
        var configuration = source.shape(model.configuration)
        if source.unties { configuration.tiedEmbeddings = false }
        let layout = ParameterLayout(configuration: configuration)
        let turns = source.recipe.turns
        for group in source.groups {
            let choices = attempt("$.quantization") {
                try Self.choices(source, turns[group.turn], layout)
            }
            guard let choices else { return }
            let descriptions = choices.map { description(source, model, configuration, $0.formats) }
            let own = group.elements.map { element in
                PlannedExport(
                    element,
                    precision: group.precision,
                    choices: zip(choices, descriptions).map { choice, description in
                        .init(
                            name: choice.name,
                            plan: ExportPlan(element.options.format, of: description)
                        )
                    }
                )
            }
            planned += own
            for export in own where !export.obstacles.isEmpty { report(export) }
            if own.allSatisfy({ !$0.obstacles.isEmpty }), own.allSatisfy({ !$0.isRefused }) {
                replace(source, group, choices.flatMap { $0.formats.values })
            }
        }
    }

    /// Says what is written where all of a group's exports are left out.
    private mutating func replace(
        _ source: ExportSource,
        _ group: ExportGroup,
        _ formats: [QuantizationFormat]
    ) {
        guard !source.clipsInputs else {
            return problem(
                "$.quantization.activation_scales",
                """
                none of the exports holds what inputs are trained under, so that nothing could be \
                evaluated or served as it was trained; let one be written that does, or have scales \
                dynamic
                """
            )
        }
        remark(
            "$.export",
            PlannedExport.replacement(by: .exact(for: formats), in: group.folder)
        )
    }

    /// What a writer would be told of a job's model.
    private func description(
        _ source: ExportSource,
        _ model: Model,
        _ configuration: ModelConfiguration,
        _ formats: [String: QuantizationFormat]
    ) -> ExportDescription {
        var description = ExportDescription(
            configuration: configuration,
            source: model.source.files,
            // A GGUF file's tokenizer is passed on as it is.
            tokenizer: model.tokens?.tokenizer,
            formats: formats,
            activations: source.recipe.activations
        )
        description.source.rename(reference: source.reference)
        description.metadata = source.metadata
        // Any range will do: none of the sizes depends on it.
        description.clipsInputs = source.clipsInputs
        if source.isCalibrated { description.inputAmax = formats.mapValues { _ in 1 } }
        if source.hasCacheScales {
            description.keyAmax = [Float](repeating: 1, count: configuration.layerCount)
            description.valueAmax = description.keyAmax
        }
        return description
    }

    private mutating func report(_ export: PlannedExport) {
        let name = export.name
        let reasons = PlannedExport.sentences(export.obstacles)
        let shown = reasons.prefix(3).joined(separator: "; ")
        let rest = reasons.count > 3 ? "; and \(reasons.count - 3) more" : ""
        if export.isRefused {
            problem(
                export.path,
                """
                \(name) cannot hold this model: \(shown)\(rest); leave the export out, \
                \(export.precision == nil ? "" : "name another format as its \"precision\", ")or let \
                it be skipped by "on_obstacle": "skip"
                """
            )
        } else {
            remark(export.path, "\(name) will be left out: \(shown)\(rest)")
        }
    }

    /// The formats of the quantized modules, and when they are these.
    private struct Choice {
        /// The format that is chosen; nil if all of a kind are, or if nothing is chosen.
        var name: String?
        let formats: [String: QuantizationFormat]
    }

    /// One choice, or one for each candidate, and one that takes them in turn: whose files say most.
    private static func choices(
        _ source: ExportSource,
        _ recipe: QuantizationRecipe,
        _ layout: ParameterLayout
    ) throws -> [Choice] {
        let assignments = try layout.assignments(of: recipe)
        func formats(
            _ candidate: (ParameterLayout.Entry) -> QuantizationFormat?
        ) -> [String: QuantizationFormat] {
            assignments.reduce(into: [:]) { formats, assignment in
                let isFree =
                    !source.candidates.isEmpty
                    && recipe.mayChoose(forModule: assignment.module)
                formats[assignment.module] =
                    isFree ? candidate(assignment.entry) : assignment.format
            }
        }
        let candidates = source.candidates
        guard !candidates.isEmpty else { return [Choice(formats: formats { _ in nil })] }
        let groups = groups(of: layout)
        return candidates.map { candidate in
            Choice(name: candidate.name, formats: formats { _ in candidate })
        } + [
            Choice(
                formats: formats { entry in
                    candidates[(groups[entry.module] ?? 0) % candidates.count]
                }
            )
        ]
    }

    /// Numbers of the groups of linear modules that share an input, which always get one format.
    private static func groups(of layout: ParameterLayout) -> [String: Int] {
        let configuration = layout.configuration
        var groups: [String: Int] = [:]
        var count = 0
        for layer in 0..<configuration.layerCount {
            for module in configuration.linearModules {
                let name = module.name(layer: layer)
                guard groups[name] == nil else { continue }
                for member in configuration.modules(sharingInputOf: module) {
                    groups[member.name(layer: layer)] = count
                }
                count += 1
            }
        }
        return groups
    }
}
