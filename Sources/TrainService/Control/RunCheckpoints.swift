internal import Foundation
internal import Jobs
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
    /// One of these that is damaged on the disk is left out and said: the run goes on without it. `isBest`: Whether it
    /// is of the best validation so far.
    func save(
        _ engine: TrainingEngine,
        _ values: [String: Double],
        _ control: inout RunControl,
        isBest: Bool
    ) throws {
        let step = engine.stepCount
        control.noteCheckpoint(step, isBest: isBest)
        let whole = control.companions(of: step).compactMap { role, earlier -> WholeCompanion? in
            do {
                return try find(role, step: earlier)
            } catch {
                reporter.log("\(role.sentence(step: earlier)), and left out from here on: \(error)")
                let other = role == .anchor ? anchor(before: step) : nil
                control.lose(role, for: other?.companion.step ?? step)
                return other
            }
        }
        let name = try Self.ofWorker {
            try store.save(
                step: step,
                fingerprint: fingerprint,
                parameters: engine.stored,
                state: engine.state,
                values: values.merging(control.values) { $1 },
                history: try recorder.history.stored(),
                companions: whole
            )
        }
        reporter.checkpoint(step: step, name: name)
        reporter.log("checkpoint of step \(step) written\(isBest ? ", the best so far" : "")")
    }

    private func find(_ role: RunControl.Companion, step: Int) throws -> WholeCompanion {
        try store.find(.init(.init(role), step: step), fingerprint: fingerprint)
    }

    /// The newest checkpoint before a step that is whole.
    private func anchor(before step: Int) -> WholeCompanion? {
        for earlier in store.steps().reversed() where earlier < step {
            if let found = try? find(.anchor, step: earlier) { return found }
        }
        return nil
    }

    /// Puts the weights of the best validation where the engine's are; returns whether its checkpoint is whole.
    ///
    /// Where it is not, the engine is as it was, and the log says so.
    func restoreBest(_ engine: TrainingEngine, step: Int) throws -> Bool {
        let found: WholeCompanion
        do {
            found = try find(.best, step: step)
        } catch {
            reporter.log("\(RunControl.Companion.best.sentence(step: step)): \(error)")
            return false
        }
        try Self.ofWorker {
            try store.restore(found, into: engine.stored, state: engine.state)
        }
        engine.show(step: step)
        return true
    }

    /// Makes the checkpoint that a run goes back to its newest; where it goes back to then.
    ///
    /// Of one that is damaged, the newest before it that is whole, or else the first after it: the run begins anew only
    /// where there is none.
    func goBack(_ rollBack: RollBack) throws -> RollBack {
        var found = rollBack
        let steps = rollBack.target == 0 ? [] : store.steps()
        let places =
            [rollBack.target] + steps.filter { $0 < rollBack.target }.reversed()
            + steps.filter { $0 > rollBack.target && !rollBack.divergence.isOfWeights(ofStep: $0) }
        for step in places where step > 0 {
            do {
                try store.goBack(to: step, fingerprint: fingerprint)
                found.target = step
                return found
            } catch {
                reporter.log(
                    "training does not go back to the checkpoint of step \(step): \(error)"
                )
            }
        }
        found.target = 0
        try Self.ofWorker { try store.goBack(to: 0, fingerprint: fingerprint) }
        return found
    }

    /// Runs work on files of this worker's own: what is wrong with them is no fault of the job's.
    private static func ofWorker<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as ModelFileError where error.code != .noSpace {
            throw ComputeFailure(
                .internalError,
                "\(error.message); look at the disk of this worker's state"
            )
        }
    }
}

extension RunControl.Companion {
    /// What is said of one that is damaged, as a sentence's beginning.
    fileprivate func sentence(step: Int) -> String {
        switch self {
        case .best: "the checkpoint of the best validation, that of step \(step), is damaged"
        case .anchor:
            "the checkpoint that the run would go back to, that of step \(step), is damaged"
        }
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
