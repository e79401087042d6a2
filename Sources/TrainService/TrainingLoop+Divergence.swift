internal import ComputeKit
internal import Formats
internal import Jobs
internal import ServiceKit
internal import Transformer

/// What is done about a run that diverges.
extension TrainingLoop {
    /// The error that ends this course of the run: one that has it go back, or the job's failure.
    ///
    /// `message`: What happened, with the layer.
    func remedy(
        for divergence: Divergence,
        saying message: String,
        _ control: RunControl
    ) throws -> any Error {
        switch control.remedy(for: divergence) {
        case .fail(let why):
            return ComputeFailure(.diverged, "\(message) (\(why))")
        case .goBack(let wanted):
            reporter.log(message)
            // What an attempt does again from here on nobody needs to wait for.
            reporter.holdWork(false)
            let rollBack = try checkpoints.goBack(wanted)
            reporter.log(rollBack.sentence)
            return rollBack
        }
    }

    /// The same of losses that stay far above their level.
    func remedy(
        for divergence: Divergence,
        _ engine: TrainingEngine,
        _ control: RunControl,
        _ progress: Double
    ) throws -> any Error {
        let turn = plan.turn(ofStep: divergence.step - 1)
        let layers = try LayerReport.measure(
            engine.parameters,
            recipe: plan.turns[turn],
            progress: progress,
            team: team
        )
        let figures = layers.map { layer in
            (layer.module, LayerFigures(.init(report: layer, course: LayerCourse())))
        }
        // The suspicious steps are those of one format, with the others' between them.
        let streak = control.divergence.levels[turn]?.streak ?? 1
        let place = DivergencePlace.sentence(
            recorder.history.rows,
            began: divergence.step - (streak - 1) * plan.turns.count,
            last: RunHistory.Row(
                step: divergence.step,
                time: 0,
                stage: layerTables[turn].precision(at: progress),
                format: plan.formatName(ofTurn: turn),
                values: [:],
                layers: Dictionary(uniqueKeysWithValues: figures)
            )
        )
        let message =
            "\(divergence.sentence); "
            + (place ?? "no layer's figures were taken before; lower log_every_n_steps")
            + "; lower the learning rate"
        return try remedy(for: divergence, saying: message, control)
    }
}
