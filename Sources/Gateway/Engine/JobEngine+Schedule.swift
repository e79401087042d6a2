internal import JobSpecs
internal import Jobs
internal import Protocol
internal import ServiceKit

extension JobEngine {
    /// A submission with when and whether it is to run, as its request says.
    ///
    /// - Throws: ``StoreError`` (`invalidArgument`) for what cannot be, (`quota`) for a priority above
    ///   the user's.
    func scheduled(
        _ submission: Submission,
        _ request: SubmitJobRequest,
        _ spec: JobSpec,
        by user: User,
        artifacts: ArtifactStore
    ) throws -> Submission {
        var submission = submission
        submission.after = request.after
        submission.priority = try priority(request.priority, of: user)
        submission.deadline = try deadline(request)
        // That a model was served once is no reason not to serve it.
        guard submission.kind != .serve else { return submission }
        let document = try? JSONParser.parse(submission.spec).value
        submission.content = JobContent.digest(
            kind: submission.kind,
            document ?? .null,
            pointers: spec.inputReferences.map(\.pointer),
            version: SuiteVersion.current
        )
        if request.reuse {
            submission.reuse = Reuse(owner: user.onlyOwner) { outputs in
                for output in outputs {
                    guard artifacts.size(output.digest) == output.size,
                        // Damage that is found here sets the file aside; the job runs.
                        (try? await artifacts.verify(output.digest)) != nil
                    else { return false }
                }
                return true
            }
        }
        return submission
    }

    private func priority(_ value: Int64, of user: User) throws -> Priority {
        guard let priority = Priority(rawValue: value) else {
            throw SubmissionRules.refusal(
                "priority \(value) is not allowed; expected -100 to 100"
            )
        }
        let highest = policies.policy.quota(of: user.name).priority ?? Priority.range.upperBound
        guard value <= highest || user.isOperator else {
            throw StoreError(
                .quota,
                "priority \(value) is above the highest that \(user.name) may give, \(highest)"
            )
        }
        return priority
    }

    private func deadline(_ request: SubmitJobRequest) throws -> Int64? {
        let (instant, duration) = (request.deadlineUnixMs, request.deadlineMs)
        guard instant >= 0, duration >= 0, instant == 0 || duration == 0,
            duration <= limits.deadlineReach
        else {
            throw SubmissionRules.refusal(
                "the deadline is an instant or a duration of at most ten years, none negative, and "
                    + "not both"
            )
        }
        return duration > 0 ? now.unix + duration : instant > 0 ? instant : nil
    }
}

extension SubmitJobRequest {
    /// What it says of when and whether to run, for the digest of a submission; nothing if it says
    /// nothing, so that older submissions keep theirs.
    var scheduleBytes: [UInt8] {
        guard !after.isEmpty || priority != 0 || deadlineUnixMs != 0 || deadlineMs != 0 || reuse
        else { return [] }
        let words = after + ["\(priority)", "\(deadlineUnixMs)", "\(deadlineMs)", "\(reuse)"]
        return Array(words.joined(separator: "\n").utf8)
    }
}
