/// Decides how a run goes on: metrics in, decisions out.
///
/// All of it stands in checkpoints, so that a run which is stopped, killed or moved decides as one that is not.
struct RunControl: Equatable {
    /// What is decided by.
    struct Rules: Equatable {
        var totalSteps: Int
        /// Steps between validations.
        var validationInterval: Int
        /// Steps between checkpoints.
        var checkpointInterval: Int
        /// Whether the best validation's weights are exported.
        var keepsBest = false
        /// Nil for never.
        var earlyStopping: EarlyStopping.Rule?
        /// Nil without a guard.
        var divergence: DivergenceGuard.Rule?

        /// Whether validations decide on anything; the last step is validated then, too.
        var judgesValidations: Bool { keepsBest || earlyStopping != nil }

        /// Whether a step ends with a validation.
        func isValidationDue(_ step: Int) -> Bool {
            step == totalSteps
                ? judgesValidations : step > 0 && step % validationInterval == 0
        }
    }

    /// A validation between steps.
    struct Judged: Equatable {
        var step: Int
        /// Mean loss per target, in nats; of a training for several formats the mean over them.
        var loss: Double
    }

    /// Why a run ended before its last step.
    struct EarlyEnd: Equatable {
        var step: Int
        var cause: EarlyStopping.Cause
    }

    /// What to do about a divergence.
    enum Remedy: Equatable {
        case goBack(RollBack)
        /// The job fails; why nothing else is tried.
        case fail(String)
    }

    let rules: Rules
    /// The step of the newest validation.
    var validated = 0
    /// The validation with the lowest loss; of those since ``lostBest``, if there is one.
    var best: Judged?
    /// The step of the validation that was the best when its checkpoint was found damaged.
    var lostBest: Int?
    var earlyStopping = EarlyStopping()
    var end: EarlyEnd?
    var divergence = DivergenceGuard()
    /// The step of the newest good checkpoint that every course of the run makes; 0 for the start.
    var anchor = 0
    /// The one time that the run went back.
    var rollBack: RollBack?

    init(_ rules: Rules) {
        self.rules = rules
    }

    /// What scheduled learning rates are multiplied by.
    var rateFactor: Double { rollBack == nil ? 1 : RollBack.rateFactor }

    /// Whether a run that has taken so many steps takes no more.
    func isOver(at step: Int) -> Bool { end != nil || step >= rules.totalSteps }

    /// Whether the validation that a step ends with has not been made, as in a checkpoint of a run that was
    /// stopped in it.
    func lacksValidation(at step: Int) -> Bool {
        rules.isValidationDue(step) && validated < step
    }

    // MARK: Metrics in

    /// Takes a step's loss, which is finite, or nil of a step that learned nothing and says nothing; `step` counts
    /// it in.
    mutating func take(_ loss: Double?, step: Int, turn: Int, stageStart: Int) -> Divergence? {
        guard let rule = rules.divergence, let loss,
            let spike = divergence.take(loss, turn: turn, stageStart: stageStart, by: rule)
        else { return nil }
        return Divergence(step: step, cause: .spike, loss: spike.loss, level: spike.level)
    }

    /// Takes a validation's loss; returns whether it is the best so far.
    mutating func validate(_ loss: Double, step: Int) -> Bool {
        validated = step
        let isBest = best.map { loss < $0.loss } ?? true
        if isBest { best = Judged(step: step, loss: loss) }
        // The last step needs no reason to end.
        if let rule = rules.earlyStopping, let cause = earlyStopping.take(loss, by: rule),
            step < rules.totalSteps
        {
            end = EarlyEnd(step: step, cause: cause)
        }
        return isBest
    }

    // MARK: Decisions out

    /// Whether a step that does not end the run is followed by a checkpoint, unless the run is to stop.
    func isCheckpointDue(_ step: Int, isBest: Bool) -> Bool {
        step % rules.checkpointInterval == 0 || isBest && rules.keepsBest
    }

    /// Notes that a checkpoint is written: one that the run may go back to if it comes to it in every course,
    /// whenever it is stopped, and nothing is suspicious.
    mutating func noteCheckpoint(_ step: Int, isBest: Bool) {
        if guardsRun, isCheckpointDue(step, isBest: isBest), !divergence.isSuspicious,
            !lacksValidation(at: step)
        {
            anchor = step
        }
    }

    /// Whether a divergence would make the run go back.
    private var guardsRun: Bool { rules.divergence != nil && rollBack == nil }

    /// The earlier checkpoints that have to go with the one of a step.
    func companions(of step: Int) -> [(role: Companion, step: Int)] {
        var found: [(role: Companion, step: Int)] = []
        if rules.keepsBest, let best, best.step < step { found.append((.best, best.step)) }
        if guardsRun, anchor > 0, anchor < step { found.append((.anchor, anchor)) }
        return found
    }

    /// Notes that an earlier checkpoint is damaged; `step`: what the run would go back to in its place.
    mutating func lose(_ companion: Companion, for step: Int) {
        switch companion {
        case .best:
            lostBest = best?.step
            // The next validation is the best of those whose weights are there.
            best = nil
        case .anchor: anchor = step
        }
    }

    /// What an earlier checkpoint is kept for.
    enum Companion { case best, anchor }

    /// What to do about a divergence.
    func remedy(for divergence: Divergence) -> Remedy {
        guard rules.divergence != nil else { return .fail("the guard is off") }
        if let rollBack {
            return .fail(
                "again, after training went back to \(rollBack.place) and on at "
                    + "\(RollBack.rateFactor) times the learning rate"
            )
        }
        if divergence.isOfWeights(ofStep: anchor) {
            return .fail(
                anchor == 0
                    ? "before the first update"
                    : "the weights of the newest checkpoint do it already"
            )
        }
        return .goBack(RollBack(divergence: divergence, target: anchor))
    }

    /// The step whose weights are exported of a run that has taken so many.
    func exportedStep(of taken: Int) -> Int {
        rules.keepsBest ? best?.step ?? taken : taken
    }
}
