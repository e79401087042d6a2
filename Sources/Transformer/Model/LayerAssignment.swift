public import Formats
internal import Quantization

/// What a recipe makes of one weight matrix.
public struct LayerAssignment: Sendable {
    /// The parameter.
    public let entry: ParameterLayout.Entry
    /// Its module, as in `model.layers.0.self_attn.q_proj`.
    public let module: String
    /// The format; nil leaves it alone.
    public let format: QuantizationFormat?
    /// Where the format comes from: `layers[2] "*mlp*"`, or the recipe's default.
    public let origin: String
}

extension ParameterLayout {
    /// What a recipe makes of every weight matrix at `progress`, in the layout's order.
    ///
    /// - Throws: ``TransformerError`` (`invalidRecipe`) if a block size does not divide a weight, or
    ///   modules that servers fuse into one product have different formats.
    public func assignments(
        of recipe: QuantizationRecipe,
        progress: Double = 1
    ) throws -> [LayerAssignment] {
        let assignments = try entries.filter { $0.shape.count == 2 }.map { entry in
            let module = entry.module
            let rule = recipe.ruleIndex(forModule: module)
            let assignment = LayerAssignment(
                entry: entry,
                module: module,
                format: recipe.format(forModule: module, progress: progress),
                origin: rule.map { "layers[\($0)] \"\(recipe.rules[$0].pattern)\"" }
                    ?? "the default"
            )
            try Self.check(assignment)
            return assignment
        }
        try checkFusedModules(assignments)
        return assignments
    }

    private static func check(_ assignment: LayerAssignment) throws {
        guard let format = assignment.format else {
            return
        }
        do {
            try BlockQuantizer.checkShape(
                rows: assignment.entry.rows,
                columns: assignment.entry.columns,
                format: format
            )
        } catch {
            throw TransformerError(
                .invalidRecipe,
                "\(assignment.module), by \(assignment.origin): \(error)"
            )
        }
    }

    private func checkFusedModules(_ assignments: [LayerAssignment]) throws {
        var first: [[Int]: LayerAssignment] = [:]
        for assignment in assignments {
            guard let (module, layer) = module(of: assignment.entry) else { continue }
            let name = [layer, configuration.inputGroup(of: module).rawValue]
            guard let other = first[name] else {
                first[name] = assignment
                continue
            }
            guard other.format == assignment.format else {
                throw TransformerError(
                    .invalidRecipe,
                    """
                    \(other.module) is \(Self.describe(other.format)) by \(other.origin), but \
                    \(assignment.module) is \(Self.describe(assignment.format)) by \
                    \(assignment.origin); servers fuse the two into one product, so give them one \
                    format
                    """
                )
            }
        }
    }

    private static func describe(_ format: QuantizationFormat?) -> String {
        guard let format else { return "unquantized" }
        return format.scaleKind.hasBlocks ? "\(format.name) by \(format.blockSize)" : format.name
    }
}
