internal import Formats

extension WarningCollector {
    /// What a quantization job says in vain.
    mutating func check(_ spec: QuantizeSpec, _ reader: ObjectReader) {
        checkFormats(spec.quantization, reader)
        checkCalibrationData(reader)
        checkExports(reader)
        if let options = spec.quantization.postTraining {
            checkMethod(options, spec, reader.object("quantization"))
        }
        guard spec.data.calibration.isEmpty else {
            return
        }
        let reason = "there is no calibration text ($.data.calibration)"
        warn(reader, "$", haveNoEffect: ["seed"], reason)
        warn(reader.object("data"), "$.data", haveNoEffect: ["seq_length"], reason)
        warn(
            reader.object("quantization"),
            "$.quantization",
            haveNoEffect: ["calibration_size"],
            reason
        )
    }

    private mutating func checkMethod(
        _ options: PostTrainingOptions,
        _ spec: QuantizeSpec,
        _ section: ObjectReader
    ) {
        let path = "$.quantization"
        let search = options.rounding.search
        if case .gptq = options.rounding.rounding {
        } else {
            warn(
                section,
                path,
                haveNoEffect: ["damping", "activation_order"],
                "only gptq takes it; write \"rounding\": \"gptq\""
            )
        }
        if options.rounding.learned == nil {
            warn(
                section,
                path,
                haveNoEffect: ["iterations", "iteration_windows"],
                "only autoround takes it; write \"rounding\": \"autoround\""
            )
        }
        if case .percentile = search {
        } else {
            warn(
                section,
                path,
                haveNoEffect: ["percentile"],
                "scales are found otherwise; write \"scale_search\": \"percentile\""
            )
        }
        if options.method != .smoothquant {
            warn(section, path, haveNoEffect: ["migration"], "only method smoothquant takes it")
        }
        if options.mixedPrecision == nil {
            warn(
                section,
                path,
                haveNoEffect: ["candidates", "sensitivity"],
                "formats are chosen by layer only within effective_bits"
            )
        }
        let formats = spec.quantization.recipe.formats
        if search == .sweep, !formats.contains(where: { $0.scaleKind == .e4m3TwoLevel }) {
            warn(
                "\(path).\(section.contains("scale_search") ? "scale_search" : "method")",
                "sweep searches as mse does: no format here has E4M3 scales (nv…)"
            )
        }
        if section.boolean("enable_kv_cache"), section.contains("kv_cache"),
            options.cacheScales == .none
        {
            warn("\(path).enable_kv_cache", "has no effect: kv_cache says none")
        }
    }
}
