internal import Jobs
internal import Protocol
internal import Synchronization

@testable internal import Gateway

/// A gateway, its workers and their users on a virtual clock: one seed is one life, which replays.
///
/// Everything that may go wrong between them does: commits fail before or after they are stored, the
/// gateway and workers die at any call, answers are lost and calls come again, old leases and other
/// workers' certificates are shown, other processes register in workers' names, checkpoints cannot be
/// used, the wall clock jumps, users cancel, pause, resume and retry at any moment, and some workers know no pause.
final class SimulatedCluster {
    struct Worker {
        let identity: WorkerIdentity
        var boot = 0
        var isRegistered = false
        /// When the gateway heard it last, on the clock that never jumps.
        var heard = Int64.min / 2
        var lease: Lease?
        var step: UInt64 = 0
        /// Whether it is of a version that can be told to pause.
        var knowsPause = true
        /// What the gateway last told it to do.
        var order = HeartbeatResponse.Directive.continue

        var holder: LeaseHolder { LeaseHolder(worker: identity, boot: "b\(boot)") }
    }

    /// A lease as it was given to somebody.
    struct Claim {
        let job: String
        let claim: LeaseClaim
    }

    let store = MemoryJobStore()
    private let clock = VirtualClock()
    var random: SplitMix
    var engine: JobEngine
    var workers: [Worker]
    var history: SimulatedHistory
    /// Submissions that nobody has answered yet: they come again under their key.
    var unanswered: [JobEngine.Submission] = []
    var answered: [(JobEngine.Submission, id: String)] = []
    /// Pipelines that nobody has answered yet.
    var unansweredPipelines: [JobEngine.PipelineSubmission] = []
    private var pipelineCount = 0
    var claims: [Claim] = []
    var isFaulty = true

    init(seed: UInt64) async throws {
        random = SplitMix(state: seed)
        history = SimulatedHistory(seed: seed)
        workers = [
            Worker(identity: WorkerIdentity(role: .train, instance: "train-1")),
            Worker(identity: WorkerIdentity(role: .train, instance: "train-2"), knowsPause: false),
            Worker(identity: WorkerIdentity(role: .quant, instance: "quant-1")),
        ]
        engine = JobEngine(store: store, leaseDuration: .seconds(30))
        try await restart()
    }

    func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

    /// Runs a call of somebody; a failure of the store is an answer that never came.
    func attempt<Result>(_ body: () async throws -> Result) async throws -> Result? {
        if isFaulty, chance(4) { store.fail(chance(50) ? .before : .after) }
        defer { store.fail(nil) }
        do {
            return try await body()
        } catch is StoreError {
            return nil
        }
    }

    // MARK: The gateway and time

    /// The gateway dies and comes again; its memory is gone.
    func restart() async throws {
        engine = JobEngine(
            store: store,
            leaseDuration: .seconds(30),
            clock: { [clock] in clock.now }
        )
        try await engine.start()
    }

    func pass(seconds: Double) async throws {
        clock.advance(milliseconds: Int64(seconds * 1000))
        _ = try await attempt {
            _ = engine.delays.expire(at: engine.now.uptime)
            _ = try await engine.recoverExpired()
            _ = try await engine.endOverdue()
            try await engine.settleLeftovers()
        }
    }

    func jump(hours: Int64) { clock.jump(milliseconds: hours * 3_600_000) }

    // MARK: Users

    func submit() async throws {
        let submission: JobEngine.Submission
        if let open = unanswered.randomElement(using: &random), chance(60) {
            submission = open
        } else if let known = answered.randomElement(using: &random), chance(10) {
            submission = known.0
        } else {
            let source = chance(35) ? store.ids.randomElement(using: &random) : nil
            var new = Self.submission(
                key: "key-\(answered.count + unanswered.count)",
                kind: chance(70) ? .train : .quantize,
                source: source
            )
            schedule(&new)
            submission = new
            unanswered.append(submission)
        }
        guard let answer = try await attempt({ try await engine.submit(submission) }) else {
            // It may have been stored, ended and removed; or what it needs was removed.
            let needed =
                [InputSource(submission.inputs[0].source).job].compactMap(\.self)
                + submission.after
            let isRemoved = try await store.removed(owner: "ada", key: submission.key) != nil
            // Nor does anybody take a job that waits for one which ended badly.
            var isLost = needed.contains { !store.ids.contains($0) }
            for id in needed where store.ids.contains(id) {
                let state = try await store.job(id).job.state
                isLost = isLost || state == .failed || state == .cancelled
            }
            if isRemoved || isLost { unanswered.removeAll { $0.key == submission.key } }
            // Too late: its time was over before anybody took it.
            if let deadline = submission.deadline, deadline <= engine.now.unix,
                try await store.submission(owner: "ada", key: submission.key) == nil
            {
                unanswered.removeAll { $0.key == submission.key }
            }
            return
        }
        history.acknowledge(key: submission.key, id: answer.id)
        unanswered.removeAll { $0.key == submission.key }
        if !answered.contains(where: { $0.0.key == submission.key }) {
            answered.append((submission, answer.id))
        }
    }

    /// Some jobs have a place in the queue, a time, others to wait for, or may take what is there.
    private func schedule(_ submission: inout JobEngine.Submission) {
        if chance(20) {
            submission.priority =
                Priority(rawValue: .random(in: -100...100, using: &random))
                ?? .normal
        }
        if chance(15) {
            submission.deadline = engine.now.unix + .random(in: 1_000...600_000, using: &random)
        }
        if chance(20), let id = store.ids.randomElement(using: &random) {
            submission.after = [id]
        }
        if chance(15) {
            submission.reuse = JobEngine.Reuse(owner: nil) { _ in true }
        }
    }

    /// Three jobs: the second takes an output of the first, the third starts after both.
    func submitPipeline() async throws {
        let pipeline: JobEngine.PipelineSubmission
        if let open = unansweredPipelines.randomElement(using: &random), chance(60) {
            pipeline = open
        } else {
            pipelineCount += 1
            let key = "pipeline-\(pipelineCount)"
            let parts = ["a", "b", "c"].map { name in
                var job = Self.submission(
                    key: "",
                    kind: chance(50) ? .train : .quantize,
                    source: name == "b" ? "a" : nil
                )
                job.after = name == "c" ? ["a", "b"] : []
                if chance(10) {
                    job.deadline =
                        engine.now.unix + .random(in: 1_000...600_000, using: &random)
                }
                return JobEngine.PipelineSubmission.Part(name: name, job: job, outputs: ["model"])
            }
            pipeline = JobEngine.PipelineSubmission(
                owner: "ada",
                key: key,
                digest: .of(key),
                name: key,
                parts: parts
            )
            unansweredPipelines.append(pipeline)
        }
        let answer = try await attempt { try await engine.submit(pipeline) }
        guard let answer else {
            // It was stored without an answer, ended, and was removed: its key stays taken.
            if let known = try await store.pipeline(owner: "ada", key: pipeline.key),
                try await store.parts(of: known.id).jobs.isEmpty
            {
                unansweredPipelines.removeAll { $0.key == pipeline.key }
            }
            // Too late: its time was over before anybody took it.
            if let deadline = pipeline.parts.compactMap(\.job.deadline).min(),
                deadline <= engine.now.unix,
                try await store.pipeline(owner: "ada", key: pipeline.key) == nil
            {
                unansweredPipelines.removeAll { $0.key == pipeline.key }
            }
            return
        }
        history.acknowledge(key: pipeline.key, pipeline: answer.id)
        unansweredPipelines.removeAll { $0.key == pipeline.key }
    }

    private static func submission(
        key: String,
        kind: Kind,
        source: String?
    ) -> JobEngine.Submission {
        let file = InputFile(path: "m", digest: .of("m"), size: 1)
        return JobEngine.Submission(
            owner: "ada",
            key: key,
            digest: .of(key),
            kind: kind,
            name: key,
            spec: Array("{}".utf8),
            resources: Resources(),
            inputs: [
                Input(
                    pointer: "/model",
                    source: source.map { "job:\($0)" } ?? "m",
                    files: source == nil ? [file] : []
                )
            ],
            content: .of(kind.rawValue)
        )
    }

    func cancel() async throws {
        guard let id = store.ids.randomElement(using: &random) else { return }
        let stored = try await store.job(id)
        let before = stored.job
        let isNow = chance(50)
        if let pipeline = stored.place?.pipeline, chance(30) {
            _ = try await attempt {
                try await engine.cancelPipeline(pipeline, now: isNow, by: "ada")
            }
            return
        }
        let isDone = try await attempt {
            try await engine.cancel(id, now: isNow, by: "ada")
            return true
        }
        if isDone == true, !before.state.isTerminal {
            history.cancelled(id, after: try await store.job(id).job.lastSeq)
        }
    }

    /// A user holds a job or a pipeline back.
    func pause() async throws {
        guard let id = store.ids.randomElement(using: &random) else { return }
        if let pipeline = try await store.job(id).place?.pipeline, chance(30) {
            let isDone = try await attempt {
                _ = try await engine.pausePipeline(pipeline, by: "ada")
                return true
            }
            for part in try await store.parts(of: pipeline).jobs where isDone == true {
                notePause(part.job)
            }
            return
        }
        let isDone = try await attempt {
            try await engine.pause(id, by: "ada")
            return true
        }
        if isDone == true { notePause(try await store.job(id).job) }
    }

    private func notePause(_ job: Job) {
        if job.isHeldBack {
            history.paused(job.id, after: job.lastSeq)
        } else if !job.state.isTerminal, job.state != .cancelling {
            history.fail("\(job.id) was paused and is \(job.state)")
        }
    }

    /// A user lets a job go on, or a pipeline, or all that are held back.
    func resume() async throws {
        guard let id = store.ids.randomElement(using: &random) else { return }
        if let pipeline = try await store.job(id).place?.pipeline, chance(30) {
            for part in try await store.parts(of: pipeline).jobs { history.mayResume(part.job.id) }
            _ = try await attempt { try await engine.resumePipeline(pipeline, by: "ada") }
        } else {
            try await resume(id)
        }
    }

    private func resume(_ id: String) async throws {
        history.mayResume(id)
        let isDone = try await attempt {
            try await engine.resume(id, by: "ada")
            return true
        }
        let job = try await store.job(id).job
        if isDone == true, job.isHeldBack { history.fail("\(id) was resumed and is \(job.state)") }
    }

    /// Users let everything go on that is held back.
    func resumeAll() async throws {
        for stored in try await store.jobs(in: [.paused, .pausing], after: 0, limit: .max).jobs {
            try await resume(stored.job.id)
        }
    }

    /// Somebody removes a job, or the gateway does, for its age; or it thins it out.
    func remove() async throws {
        guard let id = store.ids.randomElement(using: &random) else { return }
        let stored = try await store.job(id)
        guard chance(60) else {
            _ = try await attempt { try await engine.trim(stored) }
            _ = try await attempt { try await engine.forgetCheckpoint(of: id) }
            if stored.job.state.isTerminal { history.thinned(id) }
            return
        }
        if let pipeline = stored.place?.pipeline {
            try await remove(try await store.parts(of: pipeline).jobs) {
                _ = try await engine.removePipeline(pipeline)
            }
            // One of them alone never goes.
            if try await attempt({ try await engine.remove(id) }) != nil {
                history.fail("\(id) left \(pipeline)")
            }
        } else {
            try await remove([stored]) { _ = try await engine.remove(id) }
        }
    }

    private func remove(_ jobs: [StoredJob], _ body: () async throws -> Void) async throws {
        let isNeeded = jobs.contains { stored in
            store.jobs(naming: stored.job.id).contains { !$0.job.state.isTerminal }
        }
        let mayGo = !isNeeded && jobs.allSatisfy { $0.job.state.isTerminal }
        let isDone = try await attempt {
            try await body()
            return true
        }
        for stored in jobs {
            let id = stored.job.id
            let isGone = !store.ids.contains(id)
            history.removed(id, isGone: isGone, mayGo: mayGo)
            if stored.job.state.isTerminal { history.thinned(id) }
            if isDone == true, !isGone { history.fail("\(id) was removed and is there") }
        }
    }

    func retry() async throws {
        guard let id = store.ids.randomElement(using: &random) else { return }
        let before = store.lastSeqs
        let isAll = chance(50)
        let pipeline = try await store.job(id).place?.pipeline
        _ = try await attempt {
            if let pipeline, isAll {
                try await engine.retryPipeline(pipeline, by: "ada")
            } else {
                _ = try await engine.retry(id, by: "ada", withDependents: isAll)
            }
        }
        // Stored or not answered: either way a cancellation may be over.
        for (id, seq) in store.lastSeqs where seq > before[id] ?? 0 {
            history.retried(id)
            history.mayResume(id)
        }
    }
}

/// Two clocks that stand until they are moved: the wall's, and the one that never jumps.
final class VirtualClock: Sendable {
    private let moment = Mutex(Moment(unix: 1_700_000_000_000, uptime: 1_000))

    var now: Moment { moment.withLock { $0 } }

    func advance(milliseconds: Int64) {
        moment.withLock {
            $0.unix += milliseconds
            $0.uptime += milliseconds
        }
    }

    func jump(milliseconds: Int64) { moment.withLock { $0.unix += milliseconds } }
}

/// Sebastiano Vigna's SplitMix64: the same numbers from a seed everywhere.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
