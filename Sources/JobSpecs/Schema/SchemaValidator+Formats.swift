internal import Formats

/// A training for several formats: what does not go with it is refused by its name.
extension SchemaValidator {
    mutating func checkFormats(_ spec: TrainSpec) {
        let options = spec.quantization
        guard !options.namedFormats.isEmpty else { return }
        checkList(options)
        checkPrecisions(spec.exports, options.namedFormats)
        let path = "$.quantization"
        if options.namesSchedule {
            report(
                "not allowed with formats, which every step takes in turn; leave one of both out",
                at: "\(path).schedule"
            )
        }
        for (index, rule) in options.recipe.rules.enumerated() {
            guard let format = rule.format else { continue }
            report(
                "\(format.name) is not allowed with formats, which all layers take in turn; write "
                    + "\"none\", which leaves layers alone, or leave the rule out",
                at: "\(path).layers[\(index)].algorithm"
            )
        }
        if options.scales != .followed {
            let isNamed = options.namesScales
            let word = isNamed ? options.scales.rawValue : options.method.rawValue
            report(
                "\"\(word)\" is not allowed with formats, whose scales are not the same: they have to "
                    + "follow the weights; leave it out",
                at: isNamed ? "\(path).scales" : "\(path).method"
            )
        }
        if options.inputScales != .dynamic {
            report(
                "\"\(options.inputScales.rawValue)\" is not allowed with formats: a threshold is stored "
                    + "beside weights of its own format alone; leave it out",
                at: "\(path).activation_scales"
            )
        }
        if options.flipThreshold != nil {
            report(
                "not allowed with formats: a weight that is frozen to a code of one has none in another; "
                    + "\"dampen\" holds it to each in turn",
                at: "\(path).oscillation.freeze"
            )
        }
        checkStart(spec)
    }

    private mutating func checkList(_ options: QuantizationOptions) {
        let path = "$.quantization"
        // As weights are rounded, which blocks that are left out may make the same.
        var seen: Set<QuantizationFormat> = []
        var resolved = options.recipe.alternation.makeIterator()
        for (index, named) in options.namedFormats.enumerated() {
            let place = "\(path).formats[\(index)]"
            guard named != nil, let format = resolved.next() else {
                report(
                    "\"none\" is not allowed; expected a format: an export in bf16 holds its values, and "
                        + "no step goes unrounded",
                    at: place
                )
                continue
            }
            if !seen.insert(format).inserted {
                report("\(format.name) is not allowed twice", at: place)
            }
        }
        guard options.namesAlgorithm, options.namedAlgorithm != options.namedFormats[0] else {
            return
        }
        let name = options.namedAlgorithm?.name ?? QuantizationFormat.unquantizedName
        let first = options.namedFormats[0]?.name ?? QuantizationFormat.unquantizedName
        report(
            "\(name) is not allowed with formats, whose first is \(first); leave algorithm out",
            at: "\(path).algorithm"
        )
    }

    private mutating func checkPrecisions(
        _ exports: [ExportOptions],
        _ formats: [QuantizationFormat?]
    ) {
        let names = formats.compactMap { $0?.name }
        for (index, export) in exports.enumerated()
        where export.namesPrecision && !formats.contains(export.precision) {
            let name = export.precision?.name ?? QuantizationFormat.unquantizedName
            report(
                "\(name) is not allowed; expected one of the formats that are trained for, "
                    + names.joined(separator: ", "),
                at: "$.export[\(index)].precision"
            )
        }
    }

    private mutating func checkStart(_ spec: TrainSpec) {
        switch spec.start {
        case nil: return
        case .method(let method):
            report(
                "\"\(method.rawValue)\" is not allowed with formats: it rounds to one, and the others would "
                    + "begin from what that left; leave one of both out",
                at: "$.start"
            )
        case .model:
            let kept = spec.quantization.recipe.alternation.first { !$0.keepsRoundedValues }
            guard let kept else { return }
            report(
                "not allowed with \(kept.name) among the formats, under whose scales weights come that "
                    + "other formats do not have; leave one of both out",
                at: "$.start"
            )
        }
    }
}
