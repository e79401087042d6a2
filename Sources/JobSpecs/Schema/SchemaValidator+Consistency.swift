internal import Formats
internal import Jobs

extension SchemaValidator {
    /// Checks what no single value shows: members that contradict each other.
    mutating func checkConsistency(of spec: JobSpec) {
        switch spec {
        case .quantize(let spec):
            checkNames(spec.data)
            checkQuantization(
                spec.quantization,
                candidates: spec.quantization.postTraining?.mixedPrecision?.candidates ?? []
            )
            checkCalibration(spec)
            checkRounding(spec.quantization.postTraining)
            checkCandidates(spec)
            checkExports(spec.exports)
        case .train(let spec):
            checkMachines(spec.trainer)
            checkQuantization(spec.quantization)
            checkOptimizer(spec.optimizer)
            checkDistillation(spec.distillation)
            checkStages(spec.quantization)
            checkNames(spec.data)
            checkTraining(spec.data)
            checkMixture(spec.data)
            checkCorpora(spec)
            checkScales(spec.quantization)
            checkInputScales(spec.quantization)
            checkOscillation(spec)
            checkAdapters(spec)
            checkExports(spec.exports)
            checkFormats(spec)
        case .serve(let spec): checkServing(spec)
        case .evaluate(let spec):
            checkEvaluation(spec)
            checkCode(spec.tasks)
        }
    }

    private mutating func checkQuantization(
        _ options: QuantizationOptions,
        candidates: [QuantizationFormat] = []
    ) {
        let path = "$.quantization"
        if options.scaleMode == .fourOverSix,
            !options.recipe.formats.union(candidates).contains(where: \.picksFourOrSix)
        {
            report(
                "\"four_over_six\" is not allowed here; it is of weights in nvfp4, and none are",
                at: "\(path).scale_mode"
            )
        }
        for (place, format) in options.granularitiesWithoutBlocks {
            report(
                "not allowed with \(format.name), which has no blocks",
                at: "\(path)\(place).scaling_granularity"
            )
        }
    }

    private mutating func checkMachines(_ trainer: TrainerOptions) {
        if trainer.resources.devices > trainer.devices {
            report(
                "\(trainer.resources.devices) is not allowed; it is at most devices, \(trainer.devices)",
                at: "$.trainer.min_devices"
            )
        }
    }

    private mutating func checkScales(_ options: QuantizationOptions) {
        let method = options.method.rawValue
        guard ScaleSearch.Name(rawValue: method) != nil else {
            report(
                "\"\(method)\" is not allowed while training, since it changes weights; write "
                    + "\"start\": \"\(method)\" beside quantization, which does so before the first step",
                at: "$.quantization.method"
            )
            return
        }
        if options.rounding == .stochastic, options.scales == .learned {
            report(
                "\"stochastic\" is not allowed with learned scales, whose gradient is that of rounding to "
                    + "nearest; write \"nearest\", or other scales",
                at: "$.quantization.rounding"
            )
        }
        let whole = options.recipe.formats.filter { !$0.scaleKind.hasBlocks }.map(\.name).sorted()
        if options.scales == .learned, let name = whole.first {
            report(
                "\"learned\" is not allowed with \(name), which has no block scales; mx… and nv… have",
                at: "$.quantization.scales"
            )
        }
        if options.scales == .followed, options.scaleSearch != .max {
            report(
                "\"followed\" is not allowed with method \"\(method)\", which finds scales before the "
                    + "first step; write \"kept\", or leave it out",
                at: "$.quantization.scales"
            )
        }
    }

    private mutating func checkCalibration(_ spec: QuantizeSpec) {
        guard spec.data.calibration.isEmpty,
            let need = spec.quantization.postTraining?.needOfCalibration
        else {
            return
        }
        report("missing; \(need) needs calibration texts", at: "$.data.calibration")
    }

    /// Two ways to find the same codes do not go together.
    private mutating func checkRounding(_ options: PostTrainingOptions?) {
        guard let options, let rounding = options.namedRounding,
            [.gptq, .autoround].contains(options.method),
            rounding.rawValue != options.method.rawValue
        else { return }
        let method = options.method.rawValue
        report(
            "\"\(rounding.rawValue)\" is not allowed with method \(method), which finds the codes itself; "
                + "leave it out, or write another method, as \"max\" or \"awq\"",
            at: "$.quantization.rounding"
        )
    }

    private mutating func checkCandidates(_ spec: QuantizeSpec) {
        guard let mixed = spec.quantization.postTraining?.mixedPrecision else {
            return
        }
        let names = mixed.candidates.map(\.name)
        for (index, name) in names.enumerated() where names[..<index].contains(name) {
            report(
                "\(name) is not allowed twice",
                at: "$.quantization.candidates[\(index)]"
            )
        }
        if spec.quantization.recipe.defaultFormat == nil {
            report(
                "\"none\" is not allowed with effective_bits; expected the smallest candidate",
                at: "$.quantization.algorithm"
            )
        }
    }

    private mutating func checkExports(_ exports: [ExportOptions]) {
        func isTwice(_ index: Int) -> Bool {
            let own = exports[index]
            return exports[..<index].contains { other in
                other.format == own.format
                    && (other.precision == nil || own.precision == nil
                        || other.precision == own.precision)
            }
        }
        for index in exports.indices where isTwice(index) {
            report(
                "\(exports[index].format.rawValue) is not allowed twice",
                at: "$.export[\(index)].format"
            )
        }
    }

    private mutating func checkOptimizer(_ options: OptimizerOptions) {
        guard options.minimumLearningRate > options.learningRate else {
            return
        }
        let minimum = JSONValue.number(options.minimumLearningRate).canonicalText
        let rate = JSONValue.number(options.learningRate).canonicalText
        report(
            "\(minimum) is not allowed; expected at most the learning rate \(rate)",
            at: "$.optim.sched.min_lr"
        )
    }

    private mutating func checkDistillation(_ options: TrainSpec.Distillation?) {
        guard let options, options.topCount != nil, options.hiddenWeight > 0 else { return }
        report(
            "not allowed with hidden; the cache holds the teacher's most likely tokens and no hidden "
                + "states",
            at: "$.distillation.teacher_cache"
        )
    }

    private mutating func checkInputScales(_ options: QuantizationOptions) {
        let format = options.recipe.activations
        guard options.inputScales != .dynamic, format?.scaleKind.hasTensorScale != true else {
            return
        }
        let word = options.inputScales.rawValue
        let reason =
            format.map {
                "of \($0.name), which has no scale per tensor: its scales are found "
                    + "as the model runs, and no export could hold a threshold"
            } ?? "while activations are none"
        report(
            "\"\(word)\" is not allowed \(reason); write \"activations\": \"nvfp4\" or "
                + "\"fp8_per_tensor\", or leave it out",
            at: "$.quantization.activation_scales"
        )
    }

    private mutating func checkOscillation(_ spec: TrainSpec) {
        let options = spec.quantization
        let path = "$.quantization.oscillation"
        if options.namesOscillation, options.damping == 0, options.flipThreshold == nil {
            report("missing; expected dampen, freeze or both", at: "\(path)")
        }
        guard options.flipThreshold != nil else { return }
        let reason: String? =
            if spec.lora != nil {
                "with lora: a weight that is the sum of base and adapter cannot stay while both move"
            } else if options.rounding == .stochastic {
                "with stochastic rounding, under which codes flip at random"
            } else if options.scales == .learned {
                "with learned scales, which move the values of frozen codes; write \"scales\": \"kept\""
            } else {
                options.recipe.formats.filter {
                    options.scales == .followed && $0.scaleKind != .e8m0
                }
                .map(\.name).min().map {
                    "with \($0) whose scales follow the weights: all values change with them at "
                        + "every step; write \"scales\": \"kept\""
                }
            }
        if let reason { report("not allowed \(reason)", at: "\(path).freeze") }
    }

    private mutating func checkAdapters(_ spec: TrainSpec) {
        guard let options = spec.lora else { return }
        if spec.quantization.correctsOutputs {
            report(
                "not allowed with lora, which trains adapters and no bias; leave one of both out",
                at: "$.quantization.output_correction"
            )
        }
        if options.dropout > 0 {
            let share = JSONValue.number(options.dropout).canonicalText
            report(
                "\(share) is not allowed: adapter and base are rounded as one weight, so that nothing can be "
                    + "dropped of the adapter's inputs alone; write 0, or leave it out",
                at: "$.lora.lora_dropout"
            )
        }
        if spec.namesFrozen {
            report(
                "not allowed with lora, which trains adapters and no parameter; leave it out, and say in "
                    + "$.lora.target_modules which layers get adapters",
                at: "$.frozen"
            )
        }
    }

    private mutating func checkStages(_ options: QuantizationOptions) {
        let stages = options.recipe.stages
        if options.isProgressive, stages.isEmpty {
            let end = options.recipe.defaultFormat?.name ?? QuantizationFormat.unquantizedName
            report(
                "\"\(QuantizationOptions.progressive)\" is not allowed with algorithm \(end): fp8 and fp6 "
                    + "are no more precise; leave it out, or write {\"stages\": […]}",
                at: "$.quantization.schedule"
            )
        }
        for (index, (earlier, later)) in zip(stages, stages.dropFirst()).enumerated()
        where later.until <= earlier.until {
            let end = JSONValue.number(later.until).canonicalText
            let start = JSONValue.number(earlier.until).canonicalText
            report(
                "\(end) is not allowed; expected more than the stage before, \(start)",
                at: "$.quantization.schedule.stages[\(index + 1)].until"
            )
        }
        if let last = stages.last, last.until < 1 {
            report(
                "\(JSONValue.number(last.until).canonicalText) is not allowed; "
                    + "expected 1 for the last stage",
                at: "$.quantization.schedule.stages[\(stages.count - 1)].until"
            )
        }
    }
}
