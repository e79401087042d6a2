internal import JobSpecs
internal import Jobs
internal import Protocol

/// What would come of the removal of jobs, one after the other.
///
/// Who sees a job's dependents is told of them; those of others are the gateway's to know.
struct RemovalForecast {
    let client: RPCClient
    /// Jobs and pipelines that would be gone by now.
    private var gone: Set<String> = []
    /// Jobs that are not over, with those that they need; nil until somebody asks.
    private var living: [Living]?
    /// Whether the gateway can remove anything at this moment, once somebody asked.
    private var isPossible = false

    private struct Living {
        let job: JobSummary
        let needed: Set<String>
    }

    private static let pageSize: UInt32 = 200

    init(client: RPCClient) { self.client = client }

    /// Takes a job, or all jobs of a pipeline, for gone.
    ///
    /// - Throws: What the gateway would refuse it with.
    mutating func remove(_ id: String) async throws {
        try await checkPossible()
        guard PipelineID.isPipeline(id) else {
            let request = GetJobRequest(jobID: id)
            let job = try await client.call(QatMethods.getJob, request).summary
            guard !gone.contains(job.pipelineID) else {
                throw RPCError(.notFound, "no job \(PlainText.quoted(id))")
            }
            guard job.pipelineID.isEmpty else {
                throw Self.refusal(Retention.refusal(of: id, partOf: job.pipelineID))
            }
            return try await remove([job], as: id)
        }
        let request = GetPipelineRequest(pipelineID: id)
        try await remove(try await client.call(QatMethods.getPipeline, request).jobs, as: id)
    }

    /// A removal begins with whether the store takes any; the removal of no artifact at all tells, and changes
    /// nothing.
    private mutating func checkPossible() async throws {
        guard !isPossible else { return }
        do {
            _ = try await client.call(QatMethods.removeBlobs, RemoveBlobsRequest())
        } catch let error as RPCError where error.code == .permissionDenied {
            // Who may remove jobs and no artifacts is not told.
        }
        isPossible = true
    }

    private mutating func remove(_ jobs: [JobSummary], as id: String) async throws {
        for job in jobs {
            let refusal = Retention.refusal(of: job.jobID, in: job.state)
            if let refusal { throw Self.refusal(refusal) }
        }
        let own = Set(jobs.map(\.jobID))
        let others = try await others().filter { !own.contains($0.job.jobID) }
        for job in jobs {
            guard let user = others.first(where: { $0.needed.contains(job.jobID) })?.job else {
                continue
            }
            throw Self.refusal(
                Retention.refusal(of: job.jobID, neededBy: user.jobID, in: user.state)
            )
        }
        gone.insert(id)
    }

    private static func refusal(_ sentence: String) -> RPCError {
        RPCError(.failedPrecondition, sentence)
    }

    private mutating func others() async throws -> [Living] {
        if let living { return living }
        var found: [Living] = []
        let states = JobState.living.map(\.rawValue)
        var request = ListJobsRequest(pageSize: Self.pageSize, states: states)
        repeat {
            let page = try await client.call(QatMethods.listJobs, request)
            for job in page.jobs {
                let request = GetJobRequest(jobID: job.jobID)
                let detail: JobDetail
                do {
                    detail = try await client.call(QatMethods.getJob, request)
                } catch let error as RPCError where error.code == .notFound {
                    // It ended and went meanwhile.
                    continue
                }
                found.append(Living(job: job, needed: Self.needed(by: detail)))
            }
            request.pageToken = page.nextPageToken
        } while !request.pageToken.isEmpty
        // The gateway names the one that was submitted first.
        found.reverse()
        living = found
        return found
    }

    /// The jobs that a job has for inputs, or starts after.
    static func needed(by job: JobDetail) -> Set<String> {
        let spec = try? JobSpec.parse(kind: job.summary.kind, json: job.specJSON)
        let inputs = (spec?.inputReferences ?? []).compactMap { reference in
            if case .job(let id, _) = reference.location { id } else { nil }
        }
        return Set(inputs + job.summary.after)
    }
}
