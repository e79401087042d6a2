internal import Formats

extension WarningCollector {
    /// What a training job says in vain.
    mutating func check(_ spec: TrainSpec, _ reader: ObjectReader) {
        checkFormats(spec.quantization, reader)
        checkOscillation(spec, reader.object("quantization").object("oscillation"))
        checkSchedule(spec.quantization.recipe)
        checkExported(spec)
        checkSearch(spec.quantization)
        checkTrainer(spec.trainer, reader.object("trainer"))
        checkRunControl(spec, reader)
        checkOptimizer(spec, reader.object("optim").object("sched"))
        if spec.optimizer.name == .lion {
            warn(
                reader.object("optim"),
                "$.optim",
                haveNoEffect: ["eps"],
                "lion divides by nothing; only adamw takes it"
            )
        }
        if spec.quantization.recipe.stages.count < 2 {
            warn(
                reader.object("optim"),
                "$.optim",
                haveNoEffect: ["stage_change"],
                "$.quantization.schedule has no stages that change"
            )
        }
        checkData(spec.data, reader.object("data"))
        checkExports(reader)
        checkDistillation(spec, reader.object("distillation"))
        if spec.quantization.scales != .learned {
            warn(
                reader.object("quantization"),
                "$.quantization",
                haveNoEffect: ["scale_lr"],
                "no scales are learned; write \"scales\": \"learned\""
            )
        }
        if spec.quantization.inputScales != .learned {
            warn(
                reader.object("quantization"),
                "$.quantization",
                haveNoEffect: ["clip_lr", "clip_decay"],
                "no thresholds are learned; write \"activation_scales\": \"learned\""
            )
        }
        if case .percentile = spec.quantization.scaleSearch {
        } else {
            warn(
                reader.object("quantization"),
                "$.quantization",
                haveNoEffect: ["percentile"],
                "scales are found otherwise; write \"method\": \"percentile\""
            )
        }
        guard !spec.calibrates else { return }
        let reason =
            "training calibrates only where start names a method, for enable_kv_cache, or for "
            + "activation_scales"
        warn(
            reader.object("quantization"),
            "$.quantization",
            haveNoEffect: ["calibration_size"],
            reason
        )
        warn(
            reader.object("data"),
            "$.data",
            haveNoEffect: ["calibration"],
            "\(reason); leave it out, and the texts are not sent"
        )
    }

    private mutating func checkDistillation(
        _ spec: TrainSpec,
        _ section: ObjectReader
    ) {
        guard let options = spec.distillation else { return }
        if options.topCount != nil, !spec.data.repeatsWindows {
            let isText = !spec.data.implementation.isCorpus
            warn(
                "$.distillation.teacher_cache",
                (isText
                    ? "windows at random offsets are hardly ever the same twice"
                    : "documents are shuffled across epochs, so that windows are hardly ever the same twice")
                    + ", so nothing that is kept is found again but by another attempt; write "
                    + (isText ? "\"sampling\": \"epoch\"" : "\"dataloader_type\": \"cyclic\"")
                    + " in data"
            )
        }
        if options.loss != .jensenShannon {
            warn(
                section,
                "$.distillation",
                haveNoEffect: ["beta"],
                "only \"loss\": \"js\" has one"
            )
        }
    }

    private mutating func checkData(_ options: DataOptions, _ data: ObjectReader) {
        let path = "$.data"
        switch options.implementation {
        case .text:
            warn(
                data,
                path,
                haveNoEffect: ["dataloader_type"],
                "it is of corpora; sampling says which windows of texts are drawn"
            )
            if !options.skipsWarmUp {
                warn(
                    "\(path).skip_warmup",
                    "has no effect: texts are tokenized before the first step"
                )
            }
        case .mmap:
            warn(data, path, haveNoEffect: ["text_key"], "corpora hold tokens, not JSON lines")
            if let splits = options.splits, splits.validation > 0, !options.validation.isEmpty {
                warn(
                    "\(path).splits_string",
                    "the second share is read by nothing: $.data.validation names what is validated on"
                )
            }
        }
    }

    /// What every `quantization` section may say in vain.
    mutating func checkFormats(_ options: QuantizationOptions, _ reader: ObjectReader) {
        let section = reader.object("quantization")
        let path = "$.quantization"
        let recipe = options.recipe
        let formats = recipe.formats.union([recipe.activations].compactMap(\.self))
        if !formats.contains(where: { $0.scaleKind == .e8m0 }) {
            if options.scaleMode.isOfPowersOfTwo {
                warn(
                    section,
                    path,
                    haveNoEffect: ["scale_mode"],
                    "no format here has power-of-two scales (mx…)"
                )
            }
            if recipe.straightThrough == .clip {
                warn("\(path).ste", "has no effect: no format here has power-of-two scales (mx…)")
            }
        }
        let places =
            [(path, section)]
            + section.objects("layers").enumerated().map { ("\(path).layers[\($0)]", $1) }
        for (place, object) in places where !options.usesBlockScales {
            warn(
                object,
                place,
                haveNoEffect: ["scaling_granularity"],
                "enable_micro_tensor_scaling false gives every tensor one scale"
            )
        }
        let isUsed =
            recipe.defaultFormat != nil || recipe.activations != nil
            || recipe.rules.contains { $0.format != nil }
        if !isUsed, recipe.stages.allSatisfy({ $0.format == nil }) {
            warn("\(path).algorithm", "nothing is quantized: no format stands here or in layers")
        }
    }

    private mutating func checkOscillation(_ spec: TrainSpec, _ section: ObjectReader) {
        let options = spec.quantization
        let path = "$.quantization.oscillation"
        if options.correctsOutputs, options.recipe.formats.isEmpty {
            warn("$.quantization.output_correction", "has no effect: no weight is rounded")
        }
        if options.namesOscillation, options.recipe.formats.isEmpty {
            warn(path, "has no effect: no weight is rounded")
        }
        guard let threshold = options.flipThreshold else {
            return warn(
                section,
                path,
                haveNoEffect: ["flip_momentum"],
                "nothing is frozen; write \"freeze\": 0.02"
            )
        }
        // A weight is seen after the first step, changes after the second, and flips from the third on.
        guard let steps = spec.trainer.maximumSteps else { return }
        var most = 0.0
        for _ in 0..<min(max(steps - 2, 0), 10_000) where most <= threshold {
            most = options.flipMomentum + (1 - options.flipMomentum) * most
        }
        if most <= threshold {
            warn(
                "\(path).freeze",
                "has no effect: in \(steps) steps no running mean with flip_momentum "
                    + "\(JSONValue.number(options.flipMomentum).canonicalText) comes above "
                    + JSONValue.number(threshold).canonicalText
            )
        }
    }

    private mutating func checkSearch(_ options: QuantizationOptions) {
        guard options.scaleSearch == .sweep,
            !options.recipe.formats.contains(where: { $0.scaleKind == .e4m3TwoLevel })
        else { return }
        warn(
            "$.quantization.method",
            "sweep searches as mse does: no format here has E4M3 scales (nv…)"
        )
    }

    private mutating func checkSchedule(_ recipe: QuantizationRecipe) {
        guard let last = recipe.stages.last, last.format != recipe.defaultFormat else {
            return
        }
        let name = recipe.defaultFormat?.name ?? QuantizationFormat.unquantizedName
        let end = last.format?.name ?? QuantizationFormat.unquantizedName
        // A difference in blocks alone would read as "mxfp4 instead of mxfp4".
        guard name != end else {
            return
        }
        warn(
            "$.quantization.algorithm",
            "\(name) is never in force: the schedule ends with \(end), and so does the model; "
                + "write \(end) here, or \(name) in the last stage"
        )
    }

    /// Formats that are trained for and not exported in.
    private mutating func checkExported(_ spec: TrainSpec) {
        let exported = Set(spec.exportGroups.map(\.turn))
        for (turn, format) in spec.quantization.recipe.alternation.enumerated()
        where !exported.contains(turn) {
            warn(
                "$.quantization.formats[\(turn)]",
                "\(format.name) is trained for and validated, but no export is in it"
            )
        }
    }

    private mutating func checkTrainer(_ options: TrainerOptions, _ trainer: ObjectReader) {
        let known = TrainerOptions.singlePrecisions + TrainerOptions.mixedPrecisions
        if !known.contains(options.precision) {
            warn(
                "$.trainer.precision",
                "\(options.precision): CPU workers compute in FP32 then; write \"bf16-mixed\" for BF16 "
                    + "operands with FP32 sums and weights, or \"32-true\""
            )
        }
        if trainer.isNull("gradient_clip_val") {
            warn(
                "$.trainer.gradient_clip_val",
                "null means the default here, 1; write 0 for no clipping"
            )
        }
        if case .count(let interval)? = options.validationInterval,
            let steps = options.maximumSteps,
            interval > steps
        {
            warn(
                "$.trainer.val_check_interval",
                "\(interval) steps are more than the run's \(steps): it is validated before and "
                    + "after only"
            )
        }
    }

    private mutating func checkOptimizer(_ spec: TrainSpec, _ sched: ObjectReader) {
        let options = spec.optimizer
        let path = "$.optim.sched"
        if options.schedule == .constant {
            warn(
                sched,
                path,
                haveNoEffect: ["min_lr", "constant_steps"],
                "the course is constant; write \"name\": \"CosineAnnealing\" for one that falls"
            )
        }
        guard let steps = spec.trainer.maximumSteps else {
            return
        }
        if options.warmupSteps >= steps {
            warn(
                "\(path).warmup_steps",
                "\(options.warmupSteps) is not below the \(steps) steps of the run: the learning "
                    + "rate climbs to the end"
                    + (steps > 1 ? "; write at most \(steps - 1)" : "; write 0")
            )
        } else if options.schedule == .cosineAnnealing,
            options.warmupSteps + options.constantSteps > steps
        {
            warn(
                "\(path).constant_steps",
                "\(options.constantSteps) and the warm-up's \(options.warmupSteps) are more than the "
                    + "\(steps) steps of the run; write at most \(steps - options.warmupSteps)"
            )
        }
    }
}
