public import Formats

/// What a recipe makes of a model, layer by layer, before anything is computed.
public struct LayerTable: Sendable {
    /// One weight matrix.
    public struct Row: Sendable, Equatable {
        /// The module's name.
        public var module: String
        /// `[out, in]`.
        public var shape: [Int]
        /// The format's name; `bf16` where it is left alone.
        public var format: String
        /// Elements per block scale; nil where there are none.
        public var blockSize: Int?
        /// Stored bits per weight, block scales included.
        public var bitsPerWeight: Double
        /// Stored bytes.
        public var byteCount: Int
        /// Where the format comes from.
        public var origin: String
        /// Whether it is quantized.
        public var isQuantized: Bool
        /// The format in each of the table's ``LayerTable/stages``; nil where it is left alone.
        public var stageFormats: [QuantizationFormat?]
    }

    /// A stretch of a run in which formats stay.
    public struct Stage: Sendable, Equatable {
        /// The shares of the run, from 0 to 1.
        public var progress: Range<Double>
        /// The formats in force, that of the most weights first, as in `mxfp4, mxfp6_e2m3`; `none`
        /// if no weight is quantized.
        public var precision: String
    }

    /// A rule that decides about no weight matrix.
    public struct IdleRule: Sendable, Equatable, CustomStringConvertible {
        /// Its position in the recipe.
        public var index: Int
        /// Whether it names matrices, all of which later rules decide about.
        public var isOverruled: Bool

        /// `layers[2].pattern: names no weight matrix of the model`.
        public var description: String {
            "layers[\(index)].pattern: "
                + (isOverruled
                    ? "has no effect: later rules decide about all that it names"
                    : "names no weight matrix of the model")
        }
    }

    /// Every weight matrix, in the model's order.
    public let rows: [Row]
    /// The stages of a progressive run in order; one of all the run where there are none.
    public let stages: [Stage]
    /// The rules that decide about no weight matrix.
    public let idleRules: [IdleRule]

    /// The table of a model's shape under a recipe.
    ///
    /// - Throws: `TransformerError` (`invalidRecipe`).
    public init(_ configuration: ModelConfiguration, recipe: QuantizationRecipe) throws {
        try self.init(ParameterLayout(configuration: configuration), recipe: recipe)
    }

    /// The table of a layout under a recipe.
    ///
    /// - Throws: `TransformerError` (`invalidRecipe`).
    public init(_ layout: ParameterLayout, recipe: QuantizationRecipe) throws {
        let stretches = recipe.stretches
        let byStage = try stretches.map {
            try layout.assignments(of: recipe, progress: $0.lowerBound)
        }
        let final = try layout.assignments(of: recipe)
        rows = final.enumerated().map { index, assignment in
            Row(assignment, stageFormats: byStage.map { $0[index].format })
        }
        stages = zip(stretches, byStage).map {
            Stage(progress: $0, precision: Self.precision($1))
        }
        idleRules = Self.idleRules(recipe, final.map(\.module))
    }

    /// The formats in force at `progress` of a run, from 0 to 1; see ``Stage/precision``.
    public func precision(at progress: Double) -> String {
        let stage = stages.first { progress < $0.progress.upperBound } ?? stages.last
        return stage?.precision ?? QuantizationFormat.unquantizedName
    }

    private static func precision(_ assignments: [LayerAssignment]) -> String {
        var weights: [String: Int] = [:]
        for assignment in assignments {
            guard let format = assignment.format else { continue }
            weights[format.name, default: 0] += assignment.entry.count
        }
        let names = weights.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map(\.key)
        return names.isEmpty
            ? QuantizationFormat.unquantizedName : names.joined(separator: ", ")
    }

    private static func idleRules(
        _ recipe: QuantizationRecipe,
        _ modules: [String]
    ) -> [IdleRule] {
        let deciding = Set(modules.compactMap(recipe.ruleIndex))
        return recipe.rules.enumerated().filter { !deciding.contains($0.offset) }.map { rule in
            IdleRule(
                index: rule.offset,
                isOverruled: modules.contains { rule.element.pattern.matches($0) }
            )
        }
    }

    /// How many are quantized.
    public var quantizedCount: Int { rows.count { $0.isQuantized } }

    /// Stored bytes of all rows.
    public var byteCount: Int { rows.reduce(0) { $0 + $1.byteCount } }

    /// Stored bits per weight over the quantized rows; 0 if there are none.
    public var quantizedBitsPerWeight: Double {
        let quantized = rows.filter(\.isQuantized)
        let weights = quantized.reduce(0) { $0 + $1.shape.reduce(1, *) }
        return Double(quantized.reduce(0) { $0 + $1.byteCount } * 8) / Double(max(weights, 1))
    }
}

extension LayerTable.Row {
    fileprivate init(_ assignment: LayerAssignment, stageFormats: [QuantizationFormat?]) {
        let entry = assignment.entry
        let format = assignment.format
        self.init(
            module: assignment.module,
            shape: entry.shape,
            format: format?.name ?? "bf16",
            blockSize: format.flatMap { $0.scaleKind.hasBlocks ? $0.blockSize : nil },
            bitsPerWeight: format?.bitsPerWeight ?? 16,
            byteCount: format?.storedByteCount(rows: entry.rows, columns: entry.columns)
                ?? entry.count * 2,
            origin: assignment.origin,
            isQuantized: format != nil,
            stageFormats: stageFormats
        )
    }
}

extension ParameterLayout {
    /// The positions of the patterns that name no parameter; names are as in
    /// `model.layers.0.self_attn.q_proj.weight`.
    public func idlePatterns(_ patterns: [ModulePattern]) -> [Int] {
        patterns.indices.filter { index in
            !entries.contains { patterns[index].matches($0.name) }
        }
    }
}
