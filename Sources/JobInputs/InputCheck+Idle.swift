internal import Formats
internal import JobSpecs
internal import ModelFiles
internal import Transformer

// What a job asks for that its model makes impossible, or that changes nothing.
extension InputCheck {
    /// Checks a budget of bits against what the candidates can come to.
    mutating func budget(_ spec: QuantizeSpec, _ model: Model?) {
        guard let model, let mixed = spec.quantization.postTraining?.mixedPrecision else { return }
        let layout = ParameterLayout(configuration: model.configuration)
        let recipe = spec.quantization.recipe
        let path = "$.quantization.effective_bits"
        let room = attempt("$.quantization.candidates") {
            try SensitivityAnalysis.room(
                of: layout,
                candidates: mixed.candidates,
                isIncluded: { recipe.mayChoose(forModule: $0) }
            )
        }
        guard let room else { return }
        guard let bits = room?.bitsPerWeight else {
            problem(path, "there is nothing to choose: rules name the formats of all layers")
            return
        }
        let budget = mixed.effectiveBits
        if budget < bits.lowerBound - 1e-6 {
            let least = (bits.lowerBound * 1000).rounded(.up) / 1000
            problem(
                path,
                """
                \(budget) is below the \(least) stored bits per weight of the smallest candidates, \
                block scales included; write at least \(least), or give smaller candidates
                """
            )
        } else if budget >= bits.upperBound {
            let most = (bits.upperBound * 1000).rounded() / 1000
            remark(
                path,
                """
                \(budget) limits nothing: the largest candidates take \(most) stored bits per weight; \
                every layer gets the candidate of the least error
                """
            )
        }
    }

    /// Says so if a job's calibration texts do nothing but show how far the result is from the original.
    mutating func idleCalibration(_ spec: QuantizeSpec) {
        guard !spec.data.calibration.isEmpty, !spec.usesCalibration else { return }
        remark(
            "$.data.calibration",
            """
            nothing goes by the text: method \(spec.quantization.method.rawValue) finds scales from \
            the weights alone, so that the text serves only to measure the KL divergence from the \
            original; leave it out, or take a method that uses it, as awq or gptq
            """
        )
    }

    /// Checks that adapters have weights to be added to.
    private mutating func adapters(_ options: LowRankOptions, _ layout: ParameterLayout) {
        let model = layout.configuration
        let modules = (0..<model.layerCount).flatMap { layer in
            model.linearModules.map { $0.name(layer: layer) }
        }
        let idle = options.targets.indices.filter { index in
            !modules.contains { LowRankOptions.names(options.targets[index], $0) }
        }
        let known = model.linearModules.map(\.suffix).joined(separator: ", ")
        if !idle.isEmpty, idle.count == options.targets.count {
            problem(
                "$.lora.target_modules",
                """
                names no linear layer of the decoder, so that nothing would be trained; leave it out for \
                all, or name some of \(known)
                """
            )
            return
        }
        for index in idle {
            remark(
                "$.lora.target_modules[\(index)]",
                "names no linear layer of the decoder; it has \(known)"
            )
        }
        let narrowest =
            model.linearModules.filter { module in
                (0..<model.layerCount).contains { options.isTarget(module.name(layer: $0)) }
            }.map { min($0.inputWidth(model), $0.outputWidth(model)) }.min() ?? .max
        guard options.rank >= narrowest else { return }
        remark(
            "$.lora.r",
            """
            \(options.rank) is no low rank where a layer has \(narrowest) inputs or outputs: its adapter has \
            more numbers than its weight
            """
        )
    }

    /// Checks that something is trained, and says on what it is validated.
    mutating func training(_ spec: TrainSpec, _ model: Model?) {
        if spec.data.validation.isEmpty, !spec.data.validatesOnShare {
            remark("$.data.validation", "is empty: validated on the training text")
        }
        guard let model else { return }
        correction(spec, model.configuration)
        let layout = ParameterLayout(configuration: spec.student(of: model.configuration))
        if let options = spec.lora { return adapters(options, layout) }
        guard !spec.frozen.isEmpty else { return }
        let isAllFrozen = layout.entries.allSatisfy { entry in
            spec.frozen.contains { $0.matches(entry.name) }
        }
        guard isAllFrozen else { return }
        problem(
            "$.frozen",
            """
            names every parameter, so that nothing would be trained; leave some out, or submit a \
            quantize job, which rounds without training
            """
        )
    }
}
