internal import Formats
internal import Quantization

/// What a config group says: how its modules' weights are stored, and how their inputs are rounded.
extension CompressedTensors {
    private static let formatsOfOne = [
        "nvfp4-pack-quantized", "mxfp4-pack-quantized", "mxfp8-quantized",
    ]
    private static let groupKeys: Set<String> = [
        "targets", "weights", "input_activations", "output_activations", "format",
    ]

    /// How a group's modules are stored, from its weights' arguments, with which its format must
    /// agree, and how their inputs are rounded.
    static func storage(
        _ group: JSONObject,
        format: String?,
        _ issues: inout ConfigurationIssues
    ) -> ModuleStorages.Storage {
        let count = issues.all.count
        _ = issues.read(group) { group throws(ModelFileError) in
            try group.refuseOthers(than: groupKeys)
        }
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
        // Scales of inputs are stored unless all are found as the server runs.
        let hasInputs = inputs.map { $0.dynamic != .all } ?? false
        return .scheme(
            row.scheme(hasInputs: hasInputs),
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
        guard arguments.element == .float, arguments.isSymmetric else { return unknown }
        let (size, isMX) = (arguments.groupSize, arguments.scaleType == microscalingType)
        switch (arguments.bits, arguments.strategy, arguments.dynamic) {
        case (4, .tensorGroup, .all) where size == 16, (4, .group, .all) where size == 16 && !isMX:
            return .dynamic(.nvfp4)
        case (4, .tensorGroup, .local) where size == 16:
            return .stored(.nvfp4, suffix: ".input_global_scale", isReciprocal: true)
        case (4, .group, .all) where size == 32 && isMX: return .dynamic(rounded(.mxfp4))
        case (8, .group, .all) where size == 32 && isMX: return .dynamic(rounded(.mxfp8))
        case (8, .tensor, .all): return .dynamic(.fp8PerTensor)
        case (8, .tensor, .none):
            return .stored(.fp8PerTensor, suffix: ".input_scale", isReciprocal: false)
        case (8, .token, .all): return .dynamic(.fp8PerChannel)
        default: return unknown
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
        let row = rows.first {
            $0.bits == bits && $0.strategy == strategy && $0.groupSize == size
        }
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
