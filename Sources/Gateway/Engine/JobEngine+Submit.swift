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
            let inputs = try await settled(submission.inputs)
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
        guard
            let known = try await store.submission(owner: submission.owner, key: submission.key)
        else { return nil }
        guard known.digest == submission.digest.bytes else {
            throw StoreError(
                .alreadyExists,
                """
                key \(submission.key) belongs to job \(known.id), which is another one; \
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
        return batch
    }

    // Ids are short enough to type and sort by time: milliseconds in hexadecimal, then chance.
    private static func makeID(_ moment: Moment) -> String {
        String(format: "%011x", moment.unix) + String(format: "%05x", Int.random(in: 0..<(1 << 20)))
    }
}
