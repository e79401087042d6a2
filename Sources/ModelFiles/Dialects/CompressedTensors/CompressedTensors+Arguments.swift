internal import Formats
internal import Quantization

/// What the arguments of a config group's weights say of their storage.
extension CompressedTensors {
    /// Arguments as the package understands them, where it allows to leave some out.
    private struct Arguments {
        let bits: Int
        let type: String
        let isSymmetric: Bool
        let strategy: String
        /// Nil unless by group.
        let groupSize: Int?

        /// - SeeAlso: `QuantizationArgs` of `quantization/quant_args.py`.
        init(_ weights: JSONObject) throws(ModelFileError) {
            bits = try weights.integer("num_bits") ?? 8
            type = (try weights.text("type") ?? "int").lowercased()
            isSymmetric = try weights.flag("symmetric") ?? true
            let size = try weights.integer("group_size")
            let named = try weights.text("strategy")?.lowercased()
            strategy = named ?? (size == nil ? "tensor" : size == -1 ? "channel" : "group")
            // Minus one is what channels have, and zero is none.
            groupSize = size.flatMap { $0 > 0 ? $0 : nil }
        }
    }

    private static let formatsOfOne = [
        "nvfp4-pack-quantized", "mxfp4-pack-quantized", "mxfp8-quantized",
    ]

    /// How a group's modules are stored, from its weights' arguments; its format must agree.
    static func storage(
        _ group: JSONObject,
        format: String?,
        _ issues: inout ConfigurationIssues
    ) -> ModuleStorages.Storage {
        let count = issues.all.count
        let weights = issues.read(group) { group throws(ModelFileError) in
            try group.object("weights")
        }
        guard let weights else {
            guard issues.all.count == count else { return .unchecked }
            // The package leaves such weights as they are; others refuse.
            issues.error(group.place, "weights is missing")
            return .plain
        }
        let arguments = issues.read(weights) { weights throws(ModelFileError) in
            try Arguments(weights)
        }
        guard let arguments, let row = row(arguments, weights, format: format, &issues) else {
            return .unchecked
        }
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
        return .scheme(row.scheme(hasInputs: hasStaticInputs(group, &issues)))
    }

    /// Scales of inputs are stored unless they are found as the server runs.
    private static func hasStaticInputs(
        _ group: JSONObject,
        _ issues: inout ConfigurationIssues
    ) -> Bool {
        let inputs = issues.read(group) { group throws(ModelFileError) in
            try group.object("input_activations")
        }
        return inputs.map { $0["dynamic"] != .flag(true) } ?? false
    }

    /// The line of the table that has the arguments; nil and a refusal if none has.
    private static func row(
        _ arguments: Arguments,
        _ weights: JSONObject,
        format: String?,
        _ issues: inout ConfigurationIssues
    ) -> Row? {
        let (bits, strategy, size) = (arguments.bits, arguments.strategy, arguments.groupSize)
        // What a known name says, the arguments contradict; otherwise it is just not read here.
        let code: ModelFileError.Code =
            format.map(formatsOfOne.contains) ?? false ? .malformed : .unsupported
        guard arguments.type == "float", arguments.isSymmetric else {
            issues.refuse(
                code,
                weights.place,
                "\(bits)-bit \(arguments.type) weights; symmetric floats are read"
            )
            return nil
        }
        if bits == 8, strategy == "block", size == nil {
            return tiles(weights, &issues)
        }
        let row = rows.first {
            $0.bits == bits && $0.strategy == strategy && $0.groupSize == size
        }
        if let row { return row }
        // The package goes by bits and size alone.
        if bits == 4, strategy == "group",
            let row = rows.first(where: { row in
                row.bits == bits && row.groupSize == size
            })
        {
            issues.warning(
                weights.place,
                "strategy is group; vLLM takes \(row.scheme.name) as \(row.strategy) only"
            )
            return row
        }
        issues.refuse(
            code,
            weights.place,
            """
            \(bits)-bit floats by \(strategy) of \(size ?? 0); read are 4 bits by group of 16 or \
            32, 8 bits by group of 32, tensor, channel or block
            """
        )
        return nil
    }

    /// `block_structure` is a pair, or a text of older files, as in `128x128`.
    private static func tiles(
        _ weights: JSONObject,
        _ issues: inout ConfigurationIssues
    ) -> Row? {
        var sizes: [Int] = []
        switch weights["block_structure"] {
        case .list(let list):
            sizes = list.compactMap { if case .integer(let size) = $0 { size } else { nil } }
        case .text(let text):
            sizes = text.split(separator: "x").compactMap { Int($0) }
        default: break
        }
        guard sizes.count == 2, sizes.allSatisfy({ (1...1 << 20).contains($0) }) else {
            issues.refuse(
                .malformed,
                weights.place,
                "block_structure is not two positive numbers"
            )
            return nil
        }
        return tiles(rows: sizes[0], columns: sizes[1])
    }
}
