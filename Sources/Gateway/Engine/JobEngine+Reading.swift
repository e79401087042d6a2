internal import Jobs
internal import Protocol
internal import Synchronization

extension JobEngine {
    func detail(_ id: String) async throws -> JobDetail {
        let stored = try await store.job(id)
        let document = try await store.document(id)
        return JobDetail(
            summary: summary(
                stored,
                busy: try await ownersAtQuota(),
                try await surroundings([stored]),
                after: try await store.predecessors(of: id)
            ),
            specJSON: document.spec,
            resultsJSON: document.results,
            outputs: try await store.outputs(of: id),
            lastSeq: UInt64(clamping: stored.job.lastSeq)
        )
    }

    /// A job with its inputs, and nothing else that is long.
    func inputs(_ id: String) async throws -> JobDetail {
        let stored = try await store.job(id)
        var detail = JobDetail(
            summary: summary(
                stored,
                busy: try await ownersAtQuota(),
                try await surroundings([stored])
            ),
            lastSeq: UInt64(clamping: stored.job.lastSeq)
        )
        detail.inputs = try await store.inputs(of: id)
        return detail
    }

    /// Jobs from the newest, and where the next page begins.
    ///
    /// A page holds at most `pageSize` jobs and ``JobLimits/pageBytes`` bytes, the pipelines that its
    /// jobs are of included, and one job at least.
    func list(
        pageSize: Int,
        before: Int64?,
        of choice: JobChoice = JobChoice()
    ) async throws -> JobPage {
        let busy = try await ownersAtQuota()
        let listed = try await store.page(before: before, limit: pageSize + 1, of: choice)
        let around = try await surroundings(listed.prefix(pageSize).compactMap(\.stored))
        let places = listed.prefix(pageSize).compactMap(\.pipeline)
        var known: [String: PipelineSummary] = [:]
        for pipeline in try await store.pipelines(Set(places)) {
            known[pipeline.id] = Self.summary(pipeline)
        }
        var page = JobPage()
        var bytes = 0
        for (index, job) in listed.prefix(pageSize).enumerated() {
            let summary = self.summary(job, busy: busy, around)
            bytes += try summary.encoded().count + 8
            let pipeline = known.removeValue(forKey: summary.pipelineID)
            bytes += try pipeline.map { try $0.encoded().count + 8 } ?? 0
            guard page.jobs.isEmpty || bytes <= limits.pageBytes else {
                page.next = listed[index - 1].number
                return page
            }
            page.jobs.append(summary)
            page.pipelines += pipeline.map { [$0] } ?? []
        }
        page.next = listed.count > pageSize ? listed[pageSize - 1].number : nil
        return page
    }

    /// Jobs as lists show them, those that cannot be read last.
    func summaries(_ stored: StoredJobs) async throws -> [JobSummary] {
        let busy = try await ownersAtQuota()
        let around = try await surroundings(stored.jobs)
        let summaries = stored.jobs.map { summary($0, busy: busy, around) }
        return summaries + stored.unreadable.map { unreadable($0.id, $0.error) }
    }

    /// Events after `seq`, in order, and whether the job is over.
    func events(_ id: String, after seq: UInt64, limit: Int) async throws
        -> (events: [JobEvent], isOver: Bool)
    {
        let job = try await store.job(id).job
        let read = try await store.events(of: id, after: Int64(clamping: seq), limit: limit)
        for fault in read.faults { remarks.tell(fault) }
        let last = read.events.last?.seq ?? seq
        return (read.events, job.state.isTerminal && last >= UInt64(clamping: job.lastSeq))
    }

    /// When the newest job was last heard of, in Unix milliseconds; nil without one that can be read.
    func lastKnown() async throws -> Int64? {
        let page = try await store.page(before: nil, limit: 1, of: JobChoice())
        guard case .job(let newest) = page.first else { return nil }
        return newest.job.finished ?? newest.job.started ?? newest.job.created
    }

    /// Whether a job has ended.
    func isOver(_ id: String) async throws -> Bool {
        try await store.job(id).job.state.isTerminal
    }

    /// What summaries tell of other jobs.
    private struct Surroundings {
        /// What those that are blocked wait for.
        var waits: [String: StoredWait] = [:]
        /// Those that others have their outputs from, and that are still there.
        var origins: Set<String> = []
    }

    /// What summaries of some jobs tell of others, read for all of them at once.
    private func surroundings(_ jobs: [StoredJob]) async throws -> Surroundings {
        let blocked = Set(jobs.filter { $0.job.state == .blocked }.map(\.job.id))
        let origins = Set(jobs.compactMap(\.job.reusedFrom))
        return Surroundings(
            waits: blocked.isEmpty ? [:] : try await store.waits(of: blocked),
            origins: origins.isEmpty ? [] : try await store.existing(among: origins)
        )
    }

    private func summary(
        _ listed: ListedJob,
        busy: Set<String>,
        _ around: Surroundings
    ) -> JobSummary {
        switch listed {
        case .job(let stored): summary(stored, busy: busy, around)
        case .unreadable(_, let id, let error): unreadable(id, error)
        }
    }

    private func unreadable(_ id: String, _ error: StoreError) -> JobSummary {
        JobSummary(
            jobID: PlainText.cut(id, byteLimit: limits.keyBytes),
            state: JobState.failed.rawValue,
            reason: JobReason.internalError.rawValue,
            reasonMessage: reportRules.sentence(error.message)
        )
    }

    /// `after`: The jobs after which it starts, where they are wanted whatever its state.
    private func summary(
        _ stored: StoredJob,
        busy: Set<String>,
        _ around: Surroundings,
        after: [String] = []
    ) -> JobSummary {
        let job = stored.job
        let wait = around.waits[job.id] ?? StoredWait()
        var summary = JobSummary(
            jobID: job.id,
            kind: job.kind.rawValue,
            // Older versions took longer texts.
            name: PlainText.cut(stored.name, byteLimit: limits.nameBytes),
            state: job.state.rawValue,
            reason: job.reason.rawValue,
            reasonMessage: reportRules.sentence(job.message),
            progress: Self.progress(stored),
            createdUnixMs: job.created,
            startedUnixMs: job.started,
            finishedUnixMs: job.finished,
            attempt: UInt32(clamping: job.attempt),
            waitReason: reportRules.sentence(waitSentence(stored, busy: busy, wait)),
            // A deadline asks the same of the worker, and is nobody's request.
            cancelRequested: job.cancellation != .none && !job.isOverdue,
            owner: stored.owner
        )
        summary.pipelineID = stored.place?.pipeline ?? ""
        summary.part = stored.place?.part ?? ""
        summary.priority = stored.priority.rawValue
        summary.deadlineUnixMs = job.deadline ?? 0
        summary.after = after.isEmpty ? wait.after : after
        summary.reusedFrom = job.reusedFrom ?? ""
        summary.isReusedRemoved = job.reusedFrom.map { !around.origins.contains($0) } ?? false
        return summary
    }

    /// How far a job is: of one that waits, where it will begin, and of one that is over, no pace.
    private static func progress(_ stored: StoredJob) -> JobProgress {
        var progress = stored.progress ?? JobProgress()
        guard !JobState.leased.contains(stored.job.state) else { return progress }
        progress.etaSeconds = nil
        progress.tokensPerSecond = nil
        guard JobState.waiting.contains(stored.job.state) else { return progress }
        return JobProgress(
            step: UInt64(clamping: stored.job.checkpointStep),
            totalSteps: progress.totalSteps
        )
    }

    private func waitSentence(
        _ stored: StoredJob,
        busy: Set<String>,
        _ wait: StoredWait
    ) -> String {
        switch stored.job.state {
        case .blocked:
            if let fault = wait.fault {
                remarks.tell(fault)
                return fault
            }
            // What it waited for and has is no reason any more.
            let missing = wait.sources.map { PlainText.quoted($0, byteLimit: 120) }
            let running = wait.after.filter(wait.unfinished.contains)
            let outputs =
                missing.isEmpty ? [] : ["the outputs of \(missing.joined(separator: ", "))"]
            let ends = running.isEmpty ? [] : ["the end of \(running.joined(separator: ", "))"]
            // All is there, and what follows from it comes in a moment.
            guard !missing.isEmpty || !running.isEmpty else { return "is about to be queued" }
            return "waits for " + (outputs + ends).joined(separator: ", and ")
        case .queued:
            guard hasArtifacts else {
                return
                    "waits until the gateway's artifacts can be used again: its operator must see to it"
            }
            return faults.withLock { $0[stored.job.id] } ?? waitReason(stored, busy: busy)
        case .paused:
            return "\(stored.job.pauseWords ?? ""); qat-client resume \(stored.job.id)"
        default: return ""
        }
    }
}

/// A page of a list.
struct JobPage: Sendable {
    /// The jobs, newest first.
    var jobs: [JobSummary] = []
    /// The pipelines that they are of.
    var pipelines: [PipelineSummary] = []
    /// Where the next page begins; nil after the last.
    var next: Int64?
}
