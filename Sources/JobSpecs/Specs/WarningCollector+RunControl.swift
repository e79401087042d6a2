extension WarningCollector {
    /// What a training job says in vain about its end and its guard.
    mutating func checkRunControl(_ spec: TrainSpec, _ reader: ObjectReader) {
        let trainer = reader.object("trainer")
        if spec.trainer.divergenceGuard == nil {
            warn(
                trainer.object("divergence_guard"),
                "$.trainer.divergence_guard",
                haveNoEffect: ["loss_factor", "patience"],
                "the guard is off"
            )
        }
        guard spec.judgesValidations else { return }
        let isStopping = spec.trainer.earlyStopping != nil
        let path = isStopping ? "$.trainer.early_stopping" : "$.export_from"
        if spec.data.validation.isEmpty, !spec.data.validatesOnShare {
            warn(
                path,
                "validations are of the training text, which gets better even where nothing else does; "
                    + "name another one in data.validation"
            )
        }
        guard case .count(let interval)? = spec.trainer.validationInterval,
            let steps = spec.trainer.maximumSteps
        else { return }
        let count = (steps + interval - 1) / interval
        if let warning = Self.judgement(of: spec, validations: count, steps: steps) {
            warn(warning.path, warning.message)
        }
    }
}

extension TrainSpec {
    /// Whether validations between steps decide on anything.
    public var judgesValidations: Bool {
        trainer.earlyStopping != nil || exportSource == .best
    }

    /// What validations cannot decide in a run that has so few of them; nil if they can.
    public func idleJudgement(validations: Int, steps: Int) -> String? {
        WarningCollector.judgement(of: self, validations: validations, steps: steps)
            .map { "\($0.path): \($0.message)" }
    }
}

extension WarningCollector {
    fileprivate static func judgement(
        of spec: TrainSpec,
        validations: Int,
        steps: Int
    ) -> (path: String, message: String)? {
        // One at least is the best, and as many as the patience have to come after it, the last step's aside.
        if let options = spec.trainer.earlyStopping, options.threshold == nil,
            validations <= options.patience + 1
        {
            return (
                "$.trainer.early_stopping",
                "the run's \(steps) steps have \(validations) validations, too few to end it: patience is "
                    + "\(options.patience); write a smaller val_check_interval or patience"
            )
        }
        guard spec.exportSource == .best, validations < 2 else { return nil }
        return (
            "$.export_from",
            "the run's \(steps) steps have one validation, the last step's, which is the best then; write a "
                + "smaller val_check_interval"
        )
    }
}
