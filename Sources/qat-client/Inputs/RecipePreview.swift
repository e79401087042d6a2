internal import Formats
internal import Foundation
internal import JobInputs
internal import JobSpecs
internal import ModelFiles
internal import Transformer

/// What a job will do to a model that is at hand, found out before anything is sent.
struct RecipePreview {
    let table: LayerTable
    /// A table for each of the formats that a training is for; one of other jobs.
    private let turns: [(format: String, table: LayerTable)]
    /// What of the file does nothing to this model, by path.
    let warnings: [String]
    /// What the table cannot know.
    let remark: String?
    /// What a training will hold in memory; nil of other jobs.
    let memory: MemoryPlan?
    /// What a training will keep of its teacher on the worker's disk; nil if nothing, or if only the
    /// text could tell.
    let teacherCache: TeacherCachePlan?

    /// Resolves a job's recipe against its model; nil of jobs without a recipe, and of models that
    /// the gateway holds.
    ///
    /// - Throws: ``ClientError`` (`usage`) if the model cannot be read or the recipe does not fit it.
    init?(_ spec: JobSpec, inputs: [PlannedInput]) throws {
        let options: QuantizationOptions
        var frozen: [ModulePattern] = []
        switch spec {
        case .quantize(let spec): options = spec.quantization
        case .train(let spec):
            options = spec.quantization
            frozen = spec.frozen
        case .evaluate, .serve: return nil
        }
        guard let input = inputs.first(where: { $0.pointer == "/model" }),
            let path = input.localPath
        else {
            return nil
        }
        do {
            let configuration = try ModelLoader.open(path: path).configuration
            let layout = ParameterLayout(configuration: Self.shape(spec, configuration))
            memory = try Self.memory(spec, configuration, inputs)
            teacherCache = Self.teacherCache(spec, inputs)
            turns = try options.recipe.turns.map { recipe in
                (
                    recipe.defaultFormat?.name ?? QuantizationFormat.unquantizedName,
                    try LayerTable(layout, recipe: recipe)
                )
            }
            table = turns[0].table
            warnings =
                table.idleRules.map { "$.quantization.\($0)" }
                + layout.idlePatterns(frozen).map { "$.frozen[\($0)]: names no parameter" }
        } catch let error as ModelFileError {
            throw ClientError(.usage, "$.model: \(error.message)")
        } catch let error as TransformerError {
            throw ClientError(.usage, "$.quantization: \(error.message)")
        }
        remark = options.postTraining?.mixedPrecision.map { mixed in
            """
            effective_bits \(mixed.effectiveBits): the job chooses among \
            \(mixed.candidates.map(\.name).joined(separator: ", ")) by layer; the table shows \
            the default
            """
        }
    }

    /// The shape of what the job makes of a model.
    private static func shape(_ spec: JobSpec, _ model: ModelConfiguration) -> ModelConfiguration {
        guard case .train(let spec) = spec else { return model }
        return spec.student(of: model)
    }

    /// The plan of a training on as many threads as this machine has processors.
    private static func memory(
        _ spec: JobSpec,
        _ model: ModelConfiguration,
        _ inputs: [PlannedInput]
    ) throws -> MemoryPlan? {
        guard case .train(let spec) = spec else { return nil }
        let teacher = try inputs.first { $0.pointer == "/distillation/teacher" }?.localPath
            .map { try ModelLoader.open(path: $0).configuration }
        return MemoryPlan(
            spec,
            model: model,
            teacher: teacher,
            threads: ProcessInfo.processInfo.activeProcessorCount
        )
    }

    /// The plan, with as many tokens as the training texts have bytes.
    private static func teacherCache(
        _ spec: JobSpec,
        _ inputs: [PlannedInput]
    ) -> TeacherCachePlan? {
        guard case .train(let spec) = spec else { return nil }
        let texts = inputs.filter { $0.pointer.hasPrefix("/data/train/") }
        let sizes = texts.flatMap { $0.files.map(\.size) }
        let isKnown = texts.allSatisfy { !$0.files.isEmpty && $0.stored.isEmpty }
        return TeacherCachePlan(
            spec,
            tokenCount: isKnown
                ? Int(clamping: sizes.reduce(UInt64(spec.data.generatedCount), +)) : nil
        )
    }

    private static func json(_ memory: MemoryPlan) -> JSONValue {
        let parts = memory.parts.map { ($0.name, JSONValue.number(Double($0.byteCount))) }
        return .object([
            "byte_count": .number(Double(memory.byteCount)),
            "parts": .object(Dictionary(uniqueKeysWithValues: parts)),
        ])
    }

    private static func json(_ cache: TeacherCachePlan) -> JSONValue {
        .object([
            "byte_count": .number(Double(cache.byteCount)),
            "windows": .number(Double(cache.windows)),
        ])
    }

    var json: JSONValue {
        .object([
            "memory": memory.map(Self.json) ?? .null,
            "teacher_cache": teacherCache.map(Self.json) ?? .null,
            "quantized": .number(Double(table.quantizedCount)),
            "byte_count": .number(Double(table.byteCount)),
            "bits_per_weight": .number(table.quantizedBitsPerWeight),
            "layers": .array(
                table.rows.map { row in
                    .object([
                        "module": .string(row.module),
                        "shape": .array(row.shape.map { .number(Double($0)) }),
                        "format": .string(row.format),
                        "block_size": row.blockSize.map { .number(Double($0)) } ?? .null,
                        "bits_per_weight": .number(row.bitsPerWeight),
                        "byte_count": .number(Double(row.byteCount)),
                        "by": .string(row.origin),
                        "stages": .array(
                            row.stageFormats.map { .string(Self.text($0, isLong: false)) }
                        ),
                    ])
                }
            ),
            "formats": .array(isForSeveral ? turns.map(Self.json) : []),
            "stages": .array(
                table.stages.map { stage in
                    .object([
                        "from": .number(stage.progress.lowerBound),
                        "until": .number(stage.progress.upperBound),
                        "precision": .string(stage.precision),
                    ])
                }
            ),
        ])
    }

    private var isForSeveral: Bool { turns.count > 1 }

    private static func json(_ turn: (format: String, table: LayerTable)) -> JSONValue {
        .object([
            "format": .string(turn.format),
            "byte_count": .number(Double(turn.table.byteCount)),
            "bits_per_weight": .number(turn.table.quantizedBitsPerWeight),
            "layers": .array(turn.table.rows.map { .string($0.format) }),
        ])
    }

    /// Every layer in every format that the training is for.
    private func printTurns() {
        var text = TextTable(["LAYER"] + turns.map { $0.format.uppercased() } + ["BY"])
        for (index, row) in table.rows.enumerated() {
            let formats = turns.map { turn -> String in
                let row = turn.table.rows[index]
                return row.format + (row.blockSize.map { " by \($0)" } ?? "")
            }
            text.append([row.module] + formats + [row.origin])
        }
        Console.print(text.rendered())
        Console.print(
            "steps round weights in turn to \(turns.map(\.format).joined(separator: ", "))"
        )
        for turn in turns { Console.print("in \(turn.format), \(Self.sentence(turn.table))") }
    }

    private static func sentence(_ table: LayerTable) -> String {
        "\(table.quantizedCount) of \(table.rows.count) weight matrices are quantized, to "
            + "\(Quantities.decimals(table.quantizedBitsPerWeight, 2)) bits per weight; all "
            + "take \(Quantities.bytes(UInt64(table.byteCount)))"
    }

    private static func text(_ format: QuantizationFormat?, isLong: Bool) -> String {
        guard let format else { return "bf16" }
        return isLong && format.scaleKind.hasBlocks
            ? "\(format.name) by \(format.blockSize)" : format.name
    }

    private func printLayers() {
        var text = TextTable(["LAYER", "SHAPE", "FORMAT", "BLOCK", "BITS", "SIZE", "BY"])
        for row in table.rows {
            text.append([
                row.module, row.shape.map(String.init).joined(separator: "x"), row.format,
                row.blockSize.map(String.init) ?? "-", Quantities.decimals(row.bitsPerWeight, 2),
                Quantities.bytes(UInt64(row.byteCount)), row.origin,
            ])
        }
        Console.print(text.rendered())
        if table.stages.count > 1 { printStages() }
        Console.print(Self.sentence(table))
    }

    /// Every layer in every stage.
    private func printStages() {
        let headings = table.stages.map { stage in
            "\(Self.percent(stage.progress.lowerBound))-\(Self.percent(stage.progress.upperBound))%"
        }
        var text = TextTable(["LAYER"] + headings + ["BY"])
        for row in table.rows {
            text.append(
                [row.module] + row.stageFormats.map { Self.text($0, isLong: true) } + [row.origin]
            )
        }
        Console.print(text.rendered())
        Console.print(
            "a rule names where a layer ends: in each stage before the last the layer takes the more "
                + "precise of rule and stage"
        )
    }

    private static func percent(_ share: Double) -> String {
        let text = Quantities.decimals(share * 100, 1)
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    func print() {
        if isForSeveral {
            printTurns()
        } else {
            printLayers()
        }
        if let remark { Console.print(remark) }
        if let memory { Console.print(memory.sentence) }
        if let teacherCache {
            Console.print(
                "teacher cache: at most \(Quantities.bytes(UInt64(teacherCache.byteCount))) on the "
                    + "worker's disk, \(teacherCache.windows) windows of "
                    + Quantities.bytes(UInt64(teacherCache.recordByteCount))
            )
        }
    }
}
