internal import ArgumentParser
internal import Jobs
internal import Protocol

/// `pause`: holds jobs back until they are resumed.
struct PauseCommand: ClientVerb {
    static let doesMoreThanPrint = true
    static let configuration = CommandConfiguration(
        commandName: "pause",
        abstract: "Hold jobs back until they are resumed; what waits for them goes on waiting.",
        discussion: """
            A job that waits rests at once. One at work stops at its next step: a training with a checkpoint, from \
            which it goes on; a quantize or evaluate job, which has none, at once, and it begins anew when it is \
            resumed. A deadline goes on counting.
            """
    )

    @Argument(help: "Jobs and pipelines: \(JobSelector.help); a name of several is not enough.")
    var ids: [String]
    @OptionGroup var output: OutputOptions

    func perform() async throws -> ExitStatus {
        // What waits for others first, lest it takes the place of what stops.
        try await JobVerb.forEach(ids, order: CancellationOrder.dependentsFirst) { target, client in
            switch target {
            case .job(let id):
                let job = try await client.call(QatMethods.pauseJob, PauseJobRequest(jobID: id))
                JobVerb.report(job, json: output.json)
                Self.note(of: [job]).map(Console.note)
            case .pipeline(let id):
                let request = PausePipelineRequest(pipelineID: id)
                let pipeline = try await client.call(QatMethods.pausePipeline, request)
                JobVerb.report(pipeline, json: output.json)
                Self.note(of: pipeline.jobs).map(Console.note)
            }
        }
    }

    /// What is said of jobs that have a worker, which has to stop first; nil if none has.
    static func note(of jobs: [JobSummary]) -> String? {
        let kinds = Set(
            jobs.filter { $0.state == JobState.pausing.rawValue }.map {
                Kind(rawValue: $0.kind) ?? .train
            }
        )
        guard !kinds.isEmpty else { return nil }
        // The others have no steps.
        let training =
            kinds.contains(.train)
            ? "a training stops at its next step, which may take a while, and goes on from there when it is resumed"
            : nil
        let others =
            kinds.subtracting([.train]).isEmpty
            ? nil
            : "a job that is no training has no checkpoint: it stops at once, and begins anew when it is resumed"
        return [training, others].compactMap(\.self).joined(separator: "; ")
    }
}

/// `resume`: lets jobs go on that are paused.
struct ResumeCommand: ClientVerb {
    static let doesMoreThanPrint = true
    static let configuration = CommandConfiguration(
        commandName: "resume",
        abstract: "Let paused jobs go on, from their last checkpoint.",
        discussion: """
            They wait for a worker again, in their old place in the queue; one that has not stopped yet runs on. \
            Jobs that failed or were cancelled are retried (see retry).
            """
    )

    @Argument(help: "Jobs and pipelines: \(JobSelector.help); a name of several is not enough.")
    var ids: [String]
    @OptionGroup var output: OutputOptions

    func perform() async throws -> ExitStatus {
        try await JobVerb.forEach(ids) { target, client in
            switch target {
            case .job(let id):
                let job = try await client.call(QatMethods.resumeJob, ResumeJobRequest(jobID: id))
                JobVerb.report(job, json: output.json)
                try JobVerb.checkLife(of: job)
            case .pipeline(let id):
                let before = try await JobVerb.pipeline(id, client)
                let request = ResumePipelineRequest(pipelineID: id)
                let pipeline = try await client.call(QatMethods.resumePipeline, request)
                JobVerb.report(pipeline, json: output.json)
                try JobVerb.checkLife(of: pipeline, before: before)
            }
        }
    }
}
