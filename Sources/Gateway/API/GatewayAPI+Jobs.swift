internal import Foundation
internal import Jobs
internal import Protocol
internal import ServiceKit

extension GatewayAPI {
    private static let pageLimit = 200

    /// One job, whole but for its inputs, or with these alone: both are more than one message holds.
    func job(_ request: GetJobRequest, by principal: Principal) async throws -> JobDetail {
        let id = request.jobID
        _ = try await user(Caller(principal, .getJob), to: .see, id)
        return request.inputs ? try await engine.inputs(id) : try await engine.detail(id)
    }

    /// Asks that a job be cancelled; a waiting one ends at once.
    func cancel(_ request: CancelJobRequest, by principal: Principal) async throws -> JobSummary {
        try await change(request.jobID, Caller(principal, .cancelJob)) { user in
            try await engine.cancel(request.jobID, now: request.now, by: user.name)
        }
    }

    /// Changes a job for a user who may have their way with it; the audit log says so if it is a change.
    ///
    /// `body`: Makes it, and says whether anything changed.
    func change(
        _ id: String,
        _ caller: Caller,
        _ body: (User) async throws -> Bool
    ) async throws -> JobSummary {
        let user = try await user(caller, to: .act, id)
        if try await body(user) { authority.audit.allow(caller, "job \(id)") }
        return try await engine.detail(id).summary
    }

    /// Puts a failed or cancelled job back into the queue.
    func retry(_ request: RetryJobRequest, by principal: Principal) async throws -> JobSummary {
        let caller = Caller(principal, .retryJob)
        let user = try await user(caller, to: .act, request.jobID)
        try await checkRoom(of: try await engine.store.row(request.jobID).owner)
        let outcome = try await engine.retry(
            request.jobID,
            by: user.name,
            withDependents: request.withDependents
        ) { outcome in
            // What was changed is told also if the call ends before all is.
            var changed = outcome.isJobRetried ? ["job \(request.jobID)"] : []
            if outcome.dependents > 0 {
                changed.append("\(outcome.dependents) dependents of job \(request.jobID)")
            }
            guard !changed.isEmpty else { return }
            authority.audit.allow(caller, changed.joined(separator: ", "))
        }
        var summary = try await engine.detail(request.jobID).summary
        summary.dependentsRetried = UInt32(clamping: outcome.dependents)
        summary.dependentsLeft = UInt32(clamping: outcome.left)
        return summary
    }

    /// The caller, who may have their way with a job.
    func user(_ caller: Caller, to access: JobAccess, _ id: String) async throws -> User {
        let user = try authority.user(caller)
        let row = try await engine.store.row(id)
        try authority.check(user, access, job: id, of: row.owner, caller)
        return user
    }

    /// A page of the jobs that the principal sees.
    func jobs(
        _ request: ListJobsRequest,
        by principal: Principal
    ) async throws -> ListJobsResponse {
        let user = try authority.user(Caller(principal, .listJobs))
        var before: Int64?
        if !request.pageToken.isEmpty {
            guard let token = Int64(request.pageToken) else {
                throw StoreError(
                    .invalidArgument,
                    "page token \(PlainText.quoted(request.pageToken)) is none of ours"
                )
            }
            before = token
        }
        let choice = try choice(request, by: user)
        // Of others nobody learns anything, not even by asking for theirs.
        guard request.owner.isEmpty || choice.owner == request.owner else {
            return ListJobsResponse()
        }
        let page = try await engine.list(
            pageSize: Self.pageSize(request.pageSize),
            before: before,
            of: choice
        )
        return ListJobsResponse(
            jobs: page.jobs,
            nextPageToken: page.next.map { "\($0)" } ?? "",
            pipelines: page.pipelines
        )
    }

    /// The jobs that a user asks for, among those that they see.
    private func choice(_ request: ListJobsRequest, by user: User) throws -> JobChoice {
        let states = request.states.compactMap(JobState.init(rawValue:))
        guard states.count == request.states.count else {
            let known = JobState.allCases.map(\.rawValue).joined(separator: ", ")
            throw StoreError(.invalidArgument, "a state is none of \(known)")
        }
        let kinds = request.kinds.compactMap(Kind.init(rawValue:))
        guard kinds.count == request.kinds.count else {
            let known = Kind.allCases.map(\.rawValue).joined(separator: ", ")
            throw StoreError(.invalidArgument, "a kind is none of \(known)")
        }
        guard request.name.utf8.count <= engine.limits.nameBytes else {
            throw StoreError(
                .invalidArgument,
                "a part of a name has at most \(engine.limits.nameBytes) bytes"
            )
        }
        // The longest that a job is called: PIPELINE/JOB.
        let wordLimit = engine.limits.nameBytes + 1 + engine.limits.partBytes
        guard request.word.utf8.count <= wordLimit else {
            throw StoreError(.invalidArgument, "a word for jobs has at most \(wordLimit) bytes")
        }
        let owner = request.owner.isEmpty ? nil : request.owner
        return JobChoice(
            owner: user.onlyOwner ?? owner,
            states: Set(states),
            kinds: Set(kinds),
            name: request.name,
            word: request.word
        )
    }

    /// The suite's state, and the newest jobs that the principal sees.
    func status(
        _ request: StatusRequest,
        by principal: Principal
    ) async throws -> StatusResponse {
        let user = try authority.user(Caller(principal, .status))
        let page = try await engine.list(
            pageSize: Self.pageSize(request.pageSize),
            before: nil,
            of: JobChoice(owner: user.onlyOwner)
        )
        return StatusResponse(
            version: SuiteVersion.current,
            uptimeSeconds: (ContinuousClock.now - started) / .seconds(1),
            services: try await engine.services(),
            jobs: page.jobs,
            certificateEndsUnixMs: certificateEnds,
            pipelines: page.pipelines
        )
    }

    private static func pageSize(_ asked: UInt32) -> Int {
        asked == 0 ? 50 : min(Int(asked), pageLimit)
    }
}
