internal import Foundation
internal import Jobs
internal import Protocol

extension JobEngine {
    /// What a user submits.
    struct Submission: Sendable {
        let owner: String
        let key: String
        let digest: SHA256Digest
        let kind: Kind
        let name: String
        var spec: [UInt8]
        let resources: Resources
        var inputs: [Input]
        /// To whom the files of the inputs must be open; nil if it is enough that anybody has them.
        var holder: String?
        /// Whether the files of the inputs must be there when the job is stored.
        var checksArtifacts = false
        /// Jobs that must end well before it starts.
        var after: [String] = []
        var priority = Priority.normal
        /// When its time is over, in Unix milliseconds.
        var deadline: Int64?
        /// What it computes, but for its inputs.
        var content: SHA256Digest?
        /// Which finished jobs may stand in for it; nil for none.
        var reuse: Reuse?
    }

    /// Inserts a job, or finds the one that was submitted with the same key before.
    ///
    /// - Throws: ``StoreError`` (`alreadyExists`) if that one is different, (`notFound`) if an input
    ///   names a job that does not exist, (`invalidArgument`) above a limit.
    ///
    /// `quota`: What the owner may have waiting.
    func submit(
        _ submission: Submission,
        quota: AccessPolicy.Quota = AccessPolicy.Quota()
    ) async throws -> (id: String, isCreated: Bool) {
        try rules.check(submission)
        while true {
            let moment = now
            if let fault = rules.fault(inDeadline: submission.deadline, at: moment) {
                // One that was taken before may have come again too late.
                guard let known = try await known(submission) else {
                    throw SubmissionRules.refusal(fault)
                }
                return (known, false)
            }
            let prepared: PreparedJob
            do {
                prepared = try await prepare(submission, id: Self.makeID(moment), at: moment)
            } catch let error as StoreError where Self.mayBeRepeated(error) {
                guard let known = try await known(submission) else { throw error }
                return (known, false)
            }
            var batch = JobBatch()
            batch.add(prepared)
            let ceiling = JobBatch.Ceiling.waiting(
                quota.queued,
                of: submission.owner,
                for: prepared.decision.job.state.isWaiting ? 1 : 0
            )
            batch.ceilings = ceiling.map { [$0] } ?? []
            switch try await commit(batch, prepared.decision) {
            case .committed:
                note(prepared.decision)
                return (prepared.decision.job.id, true)
            case .conflict:
                continue
            case .overQuota:
                return try await repeated(submission, unless: overQuota(submission.owner))
            case .artifactsGone:
                return try await repeated(submission, unless: Self.artifactsGone)
            case .taken:
                // The key's, or the id's by chance: then another id is tried.
                guard let known = try await known(submission) else { continue }
                return (known, false)
            }
        }
    }

    /// What is refused now is taken only if it was before.
    private func repeated(
        _ submission: Submission,
        unless refusal: StoreError
    ) async throws -> (id: String, isCreated: Bool) {
        guard let known = try await known(submission) else { throw refusal }
        return (known, false)
    }

    /// Whether what a refusal is about may have been otherwise when the same was submitted before: the
    /// job that makes an input may be removed since, have ended without it, or be damaged; a quota may be less.
    ///
    /// All but what the key was looked up for, and what keeps everything from being looked up.
    static func mayBeRepeated(_ error: StoreError) -> Bool {
        ![.alreadyExists, .unusable, .busy, .stopping, .outOfOrder].contains(error.code)
    }

    static let artifactsGone = StoreError(
        .missingArtifacts,
        "an input is not uploaded any more; upload it, and submit again"
    )

    /// `jobs`: Of a pipeline that is larger than the quota, how many it has.
    func overQuota(_ owner: String, pipelineOf jobs: Int? = nil) -> StoreError {
        let limit = policies.policy.quota(of: owner).queued ?? 0
        if let jobs {
            return StoreError(
                .quota,
                "\(jobs) jobs at once are more than the \(limit) that the quota lets \(owner) have waiting; "
                    + "submit it in parts, or ask an operator for a larger quota"
            )
        }
        return StoreError(
            .quota,
            "\(owner) has as many jobs waiting as the quota allows (\(limit)); "
                + "wait for one to end, or cancel one"
        )
    }

    /// The job that was submitted with the same key before, if any.
    private func known(_ submission: Submission) async throws -> String? {
        try await known(submission.key, of: submission.owner, submission.digest)
    }

    /// The job that an owner submitted with a key before, if any.
    ///
    /// - Throws: ``StoreError`` (`alreadyExists`) if that was another one, or was removed.
    func known(_ key: String, of owner: String, _ digest: SHA256Digest) async throws -> String? {
        guard let known = try await store.submission(owner: owner, key: key) else {
            guard let id = try await store.removed(owner: owner, key: key) else { return nil }
            throw StoreError(
                .alreadyExists,
                "key \(key) belongs to job \(id), which was removed; choose another key"
            )
        }
        try Self.check(known, is: digest, key: key, "job")
        return known.id
    }

    /// Checks that what was submitted with a key is what is submitted again.
    static func check(
        _ known: (id: String, digest: [UInt8]),
        is digest: SHA256Digest,
        key: String,
        _ what: String
    ) throws {
        guard known.digest == digest.bytes else {
            throw StoreError(
                .alreadyExists,
                """
                key \(key) belongs to \(what) \(known.id), which is another one: what it reads, does or waits \
                for differs; for a new one choose another key
                """
            )
        }
    }

    /// A job that is decided upon and not stored yet.
    struct PreparedJob: Sendable {
        let decision: Decision
        let insertion: JobBatch.Insertion
        let conditions: [(id: String, state: JobState)]
        /// What of its inputs must be there still when it is stored.
        let needs: JobBatch.Needs?
    }

    /// Decides on a new job.
    func prepare(
        _ submission: Submission,
        id: String,
        place: PipelinePlace? = nil,
        overlay: Overlay = Overlay(),
        at moment: Moment
    ) async throws -> PreparedJob {
        let settled = try await settled(
            submission.inputs,
            after: submission.after,
            overlay: overlay
        )
        if let refusal = settled.refusal { throw SubmissionRules.refusal(refusal) }
        let depth = max(settled.depth, try await depth(of: settled.living))
        guard depth < limits.chainDepth else {
            throw SubmissionRules.refusal(
                "the job would be the \(depth + 1)th in a row of jobs that wait for "
                    + "one another; the limit is \(limits.chainDepth)"
            )
        }
        let inputs = resolved(submission.inputs, settled.files)
        var conditions = settled.conditions
        var reused: FinishedJob?
        if settled.verdict == .ready {
            reused = try await finished(submission, inputs)
        }
        if let reused {
            conditions.append((reused.id, .succeeded))
        }
        let decision = lifecycle.submit(
            id: id,
            kind: submission.kind,
            by: submission.owner,
            inputs: reused.map { .reused(from: $0.origin) } ?? settled.verdict,
            deadline: submission.deadline,
            at: moment
        )
        let insertion = JobBatch.Insertion(
            owner: submission.owner,
            key: submission.key,
            digest: submission.digest,
            name: submission.name,
            spec: submission.spec,
            resources: submission.resources,
            depth: depth + 1,
            job: decision.job,
            inputs: inputs,
            after: submission.after,
            priority: submission.priority,
            place: place,
            content: submission.content,
            results: reused?.results ?? [],
            outputs: reused?.outputs ?? []
        )
        let digests = Set(submission.inputs.flatMap(\.files).map(\.digest))
        return PreparedJob(
            decision: decision,
            insertion: insertion,
            conditions: conditions,
            needs: submission.checksArtifacts && !digests.isEmpty
                ? JobBatch.Needs(holder: submission.holder, digests: digests) : nil
        )
    }

    // Ids are short enough to type and sort by time: milliseconds in hexadecimal, then chance.
    static func makeID(_ moment: Moment) -> String {
        String(format: "%011x", moment.unix) + String(format: "%05x", Int.random(in: 0..<(1 << 20)))
    }
}

extension JobBatch {
    /// Adds a new job with its history, and opens what it has to its owner.
    mutating func add(_ prepared: JobEngine.PreparedJob) {
        insertions.append(prepared.insertion)
        tell(prepared.decision)
        conditions += prepared.conditions
        if let needs = prepared.needs { self.needs.append(needs) }
        let owner = Grant.holder(user: prepared.insertion.owner)
        grants += prepared.insertion.outputs.map {
            Opening(holder: owner, digest: $0.digest, size: $0.size)
        }
    }
}
