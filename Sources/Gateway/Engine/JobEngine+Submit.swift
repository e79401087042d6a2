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
        let spec: [UInt8]
        let resources: Resources
        let inputs: [Input]
        /// To whom the files of the inputs must be open; nil if it is enough that anybody has them.
        var holder: String?
        /// Whether the files of the inputs must be there when the job is stored.
        var checksArtifacts = false
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
            let inputs: SettledInputs
            do {
                inputs = try await settled(submission.inputs)
            } catch let error as StoreError where error.code == .notFound {
                // Repeated, after the job that made an input was removed.
                guard let known = try await known(submission) else { throw error }
                return (known, false)
            }
            guard inputs.depth < limits.chainDepth else {
                throw SubmissionRules.refusal(
                    "the job would be the \(inputs.depth + 1)th in a row of jobs that wait for "
                        + "one another; the limit is \(limits.chainDepth)"
                )
            }
            let decision = lifecycle.submit(
                id: Self.makeID(moment),
                kind: submission.kind,
                by: submission.owner,
                inputs: inputs.verdict,
                at: moment
            )
            var batch = batch(submission, decision, inputs)
            batch.quota = quota.queued.map { (submission.owner, $0) }
            switch try await store.commit(batch) {
            case .committed:
                note(decision)
                return (decision.job.id, true)
            case .conflict:
                continue
            case .overQuota:
                return try await repeated(submission)
            case .artifactsGone:
                throw StoreError(
                    .missingArtifacts,
                    "an input is not uploaded any more; upload it, and submit again"
                )
            case .taken:
                // The key's, or the id's by chance: then another id is tried.
                guard let known = try await known(submission) else { continue }
                return (known, false)
            }
        }
    }

    /// A submission above the quota is taken only if it was before.
    private func repeated(
        _ submission: Submission
    ) async throws -> (id: String, isCreated: Bool) {
        guard let known = try await known(submission) else {
            throw StoreError(
                .quota,
                "\(submission.owner) has as many jobs waiting as the quota allows; "
                    + "wait for one to end, or cancel one"
            )
        }
        return (known, false)
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
        guard known.digest == digest.bytes else {
            throw StoreError(
                .alreadyExists,
                """
                key \(key) belongs to job \(known.id), which is another one; \
                choose another key
                """
            )
        }
        return known.id
    }

    private func batch(
        _ submission: Submission,
        _ decision: Decision,
        _ inputs: SettledInputs
    ) -> JobBatch {
        var batch = JobBatch()
        batch.insertions = [
            JobBatch.Insertion(
                owner: submission.owner,
                key: submission.key,
                digest: submission.digest,
                name: submission.name,
                spec: submission.spec,
                resources: submission.resources,
                depth: inputs.depth + 1,
                job: decision.job,
                inputs: resolved(submission.inputs, inputs.files)
            )
        ]
        batch.tell(decision)
        batch.conditions = inputs.conditions
        let digests = submission.inputs.flatMap(\.files).map(\.digest)
        if submission.checksArtifacts, !digests.isEmpty {
            batch.needs = [JobBatch.Needs(holder: submission.holder, digests: Set(digests))]
        }
        return batch
    }

    // Ids are short enough to type and sort by time: milliseconds in hexadecimal, then chance.
    private static func makeID(_ moment: Moment) -> String {
        String(format: "%011x", moment.unix) + String(format: "%05x", Int.random(in: 0..<(1 << 20)))
    }
}
