internal import Foundation
internal import ModelFiles
internal import Protocol
internal import ServiceKit
internal import Transformer

/// The checkpoints of a run: its weights and state, what was measured before it began, how it is controlled, and
/// what was recorded on the way.
struct RunCheckpoints {
    private let store: CheckpointStore
    /// Identifies the settings that they belong to.
    private let fingerprint: String
    private let recorder: RunRecorder
    private let reporter: ComputeReporter

    init(
        folder: String,
        fingerprint: String,
        recorder: RunRecorder,
        reporter: ComputeReporter
    ) {
        store = CheckpointStore(folder: folder) { path in
            let (digest, byteCount) = try SHA256Digest.digest(ofFile: path)
            return (digest.bytes, Int(byteCount))
        }
        self.fingerprint = fingerprint
        self.recorder = recorder
        self.reporter = reporter
    }

    /// Restores the newest checkpoint, and what was recorded up to it; the step and the values stored with it.
    func restore(_ engine: TrainingEngine) -> (step: Int, values: [String: Double])? {
        let manifest = store.restoreNewest(
            fingerprint: fingerprint,
            into: engine.stored,
            state: engine.state,
            onSkip: { reporter.log($0) }
        )
        guard let manifest else { return nil }
        engine.resume(atStep: manifest.step)
        do {
            try store.history(of: manifest).map(recorder.restore)
        } catch {
            reporter.log("the run's records up to the checkpoint are lost: \(error)")
        }
        return (manifest.step, manifest.values)
    }

    /// Saves a checkpoint, with the earlier ones that the run may still want.
    ///
    /// `isBest`: Whether it is of the best validation so far.
    func save(
        _ engine: TrainingEngine,
        _ values: [String: Double],
        _ control: inout RunControl,
        isBest: Bool
    ) throws {
        let step = engine.stepCount
        control.noteCheckpoint(step, isBest: isBest)
        let name = try store.save(
            step: step,
            fingerprint: fingerprint,
            parameters: engine.stored,
            state: engine.state,
            values: values.merging(control.values) { $1 },
            history: try recorder.history.stored(),
            companions: control.companions(of: step).map { .init(.init($0.role), step: $0.step) }
        )
        reporter.checkpoint(step: step, name: name)
        reporter.log("checkpoint of step \(step) written\(isBest ? ", the best so far" : "")")
    }

    /// Puts the weights of the best validation where the engine's are.
    ///
    /// - Throws: `ModelFileError` if its checkpoint is damaged.
    func restoreBest(_ engine: TrainingEngine, step: Int) throws {
        try store.restore(
            .init(.best, step: step),
            fingerprint: fingerprint,
            into: engine.stored,
            state: engine.state
        )
        engine.show(step: step)
    }

    /// Makes the checkpoint that a run goes back to its newest; where it goes back to then.
    func goBack(_ rollBack: RollBack) throws -> RollBack {
        var found = rollBack
        do {
            try store.goBack(to: rollBack.target, fingerprint: fingerprint)
        } catch {
            reporter.log("\(error): training begins anew")
            found.target = 0
            try store.goBack(to: 0, fingerprint: fingerprint)
        }
        return found
    }
}

extension CheckpointCompanion.Role {
    fileprivate init(_ companion: RunControl.Companion) {
        switch companion {
        case .best: self = .best
        case .anchor: self = .anchor
        }
    }
}
