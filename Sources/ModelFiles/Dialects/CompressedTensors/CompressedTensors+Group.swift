internal import Formats
internal import Quantization

/// What a config group says: how its modules' weights are stored, and how their inputs are rounded.
extension CompressedTensors {
    /// The formats that one line of the table has alone, so that their names say all of the weights.
    private static let formatsOfOne: Set<String> = {
        let names = (rows + [tiles(rows: 128, columns: 128)]).map(\.scheme.name)
        return Set(names.filter { name in names.count { $0 == name } == 1 })
    }()
    private static let groupKeys = KnownKeys(used: [
        "targets", "weights", "input_activations", "output_activations", "format",
    ])

    /// How a group's modules are stored, from its weights' arguments, with which its format must
    /// agree, and how their inputs are rounded.
    static func storage(
        _ group: JSONObject,
        format: String?,
        _ issues: inout ConfigurationIssues
    ) -> ModuleStorages.Storage {
        let count = issues.all.count
        issues.account(for: group, by: groupKeys)
        let weights = arguments(group, "weights", &issues)
        let inputs = arguments(group, "input_activations", &issues)
        let outputs = arguments(group, "output_activations", &issues)
        if let inputs, let fault = inputs.faultOfInputs {
            issues.refuse(.malformed, group.place + ": input_activations", fault)
        }
        guard issues.all.count == count else { return .unchecked }
        guard let weights else {
            if inputs == nil, outputs == nil {
                // The package leaves such weights as they are; others refuse.
                issues.error(group.place, "weights is missing")
                return .plain
            }
            issues.refuse(
                .unsupported,
                group.place,
                "weights is missing; rounding of activations alone is not read"
            )
            return .unchecked
        }
        let place = group.place + ": weights"
        guard let row = row(weights, place, format: format, &issues) else { return .unchecked }
        let names = [row.scheme.name] + row.synonyms
        if let format, !names.contains(format) {
            issues.refuse(
                .malformed,
                group.place,
                """
                these weights are \(row.scheme.name), but the format is \(format); their arguments \
                make it \(row.scheme.name)
                """
            )
            return .unchecked
        }
        if format == nil {
            issues.error(
                group.place,
                "format is missing; its weights' arguments make it \(row.scheme.name)"
            )
        }
        // Scales of inputs are stored unless all are found as the server runs; what they are called is
        // a matter of the inputs' own line.
        let scale = inputs.flatMap { inputs in
            inputs.dynamic == .all
                ? nil : (rows.first { $0.isOfInputs(inputs) } ?? row).inputs
        }
        return .scheme(
            scale.map { row.scheme.adding([$0]) } ?? row.scheme,
            inputs: outputs.map {
                .unknown("output_activations are \($0.description), which is not computed here")
            } ?? self.inputs(inputs)
        )
    }

    static func arguments(
        _ object: JSONObject,
        _ key: String,
        _ issues: inout ConfigurationIssues
    ) -> Arguments? {
        let found = issues.read(object) { object throws(ModelFileError) in
            try object.object(key)
        }
        issues.account(for: found, by: Arguments.keys)
        return issues.read(found) { found throws(ModelFileError) in try Arguments(found) }
    }

    /// How inputs are rounded by their arguments, in the package's own way.
    ///
    /// - SeeAlso: `quantization/utils/helpers.py`, `compute_dynamic_scales_and_zp`, and
    ///   `mxfp_utils.py`, `should_generate_mx_scales`.
    private static func inputs(_ arguments: Arguments?) -> InputScheme {
        guard let arguments else { return .plain }
        let unknown = InputScheme.unknown(
            "input_activations are \(arguments.description), which is not computed here"
        )
        guard arguments.isSymmetric, let row = rows.first(where: { $0.isOfInputs(arguments) }),
            let format = row.format
        else { return unknown }
        switch arguments.dynamic {
        case .all: return .dynamic(format.scaleKind == .e8m0 ? rounded(format) : format)
        case .local, .none:
            // Of block scales the one above them is stored, of whole tensors the one there is.
            guard let scale = row.inputs, scale.role.isTwoLevel == (arguments.dynamic == .local)
            else { return unknown }
            return .stored(
                format,
                suffix: scale.suffix,
                isReciprocal: scale.role.isReciprocal
            )
        }
    }

    /// The `scale_dtype` of power-of-two scales.
    static let microscalingType = "torch.uint8"

    /// The package's own rule for powers of two.
    private static func rounded(_ format: QuantizationFormat) -> QuantizationFormat {
        var format = format
        format.scaleMode = .evenCT
        return format
    }

    /// The line of the table that has the arguments; nil and a refusal if none has.
    private static func row(
        _ arguments: Arguments,
        _ place: String,
        format: String?,
        _ issues: inout ConfigurationIssues
    ) -> Row? {
        // What a known name says, the arguments contradict; otherwise it is just not read here.
        let code: ModelFileError.Code =
            format.map(formatsOfOne.contains) ?? false ? .malformed : .unsupported
        guard arguments.element == .float, arguments.isSymmetric, arguments.dynamic == .none else {
            issues.refuse(
                code,
                place,
                "are \(arguments.description); symmetric static floats are read"
            )
            return nil
        }
        let (bits, strategy, size) = (arguments.bits, arguments.strategy, arguments.groupSize)
        if bits == 8, let blocks = arguments.blockStructure {
            return tiles(rows: blocks[0], columns: blocks[1])
        }
        let found = rows.filter {
            $0.bits == bits && $0.strategy == strategy && $0.groupSize == size
        }
        // Older files leave the type of scales out.
        let row = found.first { $0.scaleType == arguments.scaleType } ?? found.first
        if let row { return row }
        // The package goes by bits and size alone.
        if bits == 4, strategy == .group,
            let row = rows.first(where: { $0.bits == bits && $0.groupSize == size })
        {
            issues.warning(
                place,
                """
                strategy is group; vLLM takes \(row.scheme.name) as \(row.strategy.rawValue) only
                """
            )
            return row
        }
        issues.refuse(
            code,
            place,
            "are \(arguments.description); read are \(readable.joined(separator: ", "))"
        )
        return nil
    }

    /// What weights may be, from the table.
    private static var readable: [String] {
        let tiles = tiles(rows: 128, columns: 128)
        return (rows + [tiles]).map { row in
            "\(row.bits) bits by \(row.strategy.rawValue)"
                + (row.groupSize.map { " of \($0)" } ?? "")
        }
    }
}
