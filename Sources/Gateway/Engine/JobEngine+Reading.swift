internal import Jobs
internal import Protocol

extension JobEngine {
    func detail(_ id: String) async throws -> JobDetail {
        let stored = try await store.job(id)
        let document = try await store.document(id)
        return JobDetail(
            summary: try await summary(stored, busy: try await ownersAtQuota()),
            specJSON: document.spec,
            resultsJSON: document.results,
            outputs: try await store.outputs(of: id),
            lastSeq: UInt64(clamping: stored.job.lastSeq)
        )
    }

    /// Jobs from the newest, and where the next page begins.
    ///
    /// A page holds at most `pageSize` jobs and ``JobLimits/pageBytes`` bytes, and one job at least.
    func list(pageSize: Int, before: Int64?, owner: String? = nil) async throws -> (
        jobs: [JobSummary], next: Int64?
    ) {
        let busy = try await ownersAtQuota()
        let page = try await store.page(before: before, limit: pageSize + 1, owner: owner)
        var jobs: [JobSummary] = []
        var bytes = 0
        for (index, listed) in page.prefix(pageSize).enumerated() {
            let summary = try await summary(listed, busy: busy)
            bytes += try summary.encoded().count + 8
            guard jobs.isEmpty || bytes <= limits.pageBytes else {
                return (jobs, page[index - 1].number)
            }
            jobs.append(summary)
        }
        return (jobs, page.count > pageSize ? page[pageSize - 1].number : nil)
    }

    /// Events after `seq`, in order, and whether the job is over.
    func events(_ id: String, after seq: UInt64, limit: Int) async throws
        -> (events: [JobEvent], isOver: Bool)
    {
        let job = try await store.job(id).job
        let events = try await store.events(of: id, after: Int64(clamping: seq), limit: limit)
        let last = events.last?.seq ?? seq
        return (events, job.state.isTerminal && last >= UInt64(clamping: job.lastSeq))
    }

    /// Whether a job has ended.
    func isOver(_ id: String) async throws -> Bool {
        try await store.job(id).job.state.isTerminal
    }

    private func summary(_ listed: ListedJob, busy: Set<String>) async throws -> JobSummary {
        switch listed {
        case .job(let stored): try await summary(stored, busy: busy)
        case .unreadable(_, let id, let error):
            JobSummary(
                jobID: PlainText.cut(id, byteLimit: limits.keyBytes),
                state: JobState.failed.rawValue,
                reason: JobReason.internalError.rawValue,
                reasonMessage: reportRules.sentence(error.message)
            )
        }
    }

    private func summary(_ stored: StoredJob, busy: Set<String>) async throws -> JobSummary {
        let job = stored.job
        return JobSummary(
            jobID: job.id,
            kind: job.kind.rawValue,
            // Older versions took longer texts.
            name: PlainText.cut(stored.name, byteLimit: limits.nameBytes),
            state: job.state.rawValue,
            reason: job.reason.rawValue,
            reasonMessage: reportRules.sentence(job.message),
            progress: stored.progress ?? JobProgress(),
            createdUnixMs: job.created,
            startedUnixMs: job.started,
            finishedUnixMs: job.finished,
            attempt: UInt32(clamping: job.attempt),
            waitReason: reportRules.sentence(try await waitSentence(stored, busy: busy)),
            cancelRequested: job.cancellation != .none,
            owner: stored.owner
        )
    }

    private func waitSentence(_ stored: StoredJob, busy: Set<String>) async throws -> String {
        switch stored.job.state {
        case .blocked:
            let sources = try await store.inputs(of: stored.job.id).map(\.source)
                .filter { InputSource($0).job != nil }
                .map { PlainText.quoted($0, byteLimit: 120) }
            return "waits for the outputs of \(sources.joined(separator: ", "))"
        case .queued: return waitReason(stored, busy: busy)
        default: return ""
        }
    }
}
