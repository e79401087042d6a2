internal import Jobs
internal import Protocol

extension JobSelector {
    /// Jobs that the gateway listed, the newest first.
    struct Known {
        var jobs: [JobSummary] = []
        var pipelines: [PipelineSummary] = []
        /// Whether there are no more than these.
        var isComplete = false

        /// With those of another list behind these, each once.
        func joined(with other: Known) -> Known {
            let ids = Set(jobs.map(\.jobID))
            let pipelineIDs = Set(pipelines.map(\.pipelineID))
            return Known(
                jobs: jobs + other.jobs.filter { !ids.contains($0.jobID) },
                pipelines: pipelines
                    + other.pipelines.filter { !pipelineIDs.contains($0.pipelineID) },
                isComplete: other.isComplete
            )
        }
    }

    /// The jobs that a word may mean, among others perhaps: what an older gateway lists for any word is kept in
    /// `unfiltered` for the next one.
    func known(
        _ word: String,
        _ user: String?,
        _ unfiltered: inout Known?
    ) async throws -> Known {
        if let unfiltered { return unfiltered }
        // Other letters have several spellings in bytes, all of which are meant.
        let isPlain = word.utf8.allSatisfy { $0 < 128 } && word.utf8.count <= Self.wordLimit
        var request = ListJobsRequest(pageSize: Self.pageSize)
        if isPlain { request.word = word }
        let known = try await list(request) { _ in false }
        guard word != Self.latest else { return try await newest(user).joined(with: known) }
        let isFiltered = known.jobs.allSatisfy { Self.mayMean(word, $0, known.pipelines) }
        if !isPlain || !isFiltered { unfiltered = known }
        return known
    }

    /// The newest job of a user; of anybody if that is nobody or has none.
    private func newest(_ user: String?) async throws -> Known {
        let request = ListJobsRequest(pageSize: 1, owner: user ?? "")
        let own = try await list(request) { $0.owner == user ?? $0.owner }
        guard own.jobs.isEmpty, user != nil else { return own }
        return try await list(ListJobsRequest(pageSize: 1)) { _ in true }
    }

    /// Lists jobs until one is what is looked for.
    private func list(
        _ request: ListJobsRequest,
        until isFound: (JobSummary) -> Bool
    ) async throws -> Known {
        var (known, request) = (Known(), request)
        var seen: Set<String> = []
        repeat {
            let page = try await client.call(QatMethods.listJobs, request)
            known.jobs += page.jobs
            known.pipelines += page.pipelines.filter { seen.insert($0.pipelineID).inserted }
            request.pageToken = page.nextPageToken
            // An older gateway may have begun with others' jobs.
            request.pageSize = Self.pageSize
        } while !request.pageToken.isEmpty && known.jobs.count < Self.jobLimit
            && !known.jobs.contains(where: isFound)
        known.isComplete = request.pageToken.isEmpty
        return known
    }

    /// Whether a gateway that knows ``ListJobsRequest/word`` would list a job for it.
    private static func mayMean(
        _ word: String,
        _ job: JobSummary,
        _ pipelines: [PipelineSummary]
    ) -> Bool {
        func isPipeline(_ word: Substring) -> Bool {
            job.pipelineID.hasPrefix(word) && !job.pipelineID.isEmpty
                || pipelines.contains { $0.pipelineID == job.pipelineID && $0.name == word }
        }
        if job.name == word || job.jobID.hasPrefix(word) || isPipeline(word[...]) { return true }
        guard let slash = word.lastIndex(of: "/"), slash > word.startIndex else { return false }
        return job.part == word[word.index(after: slash)...] && isPipeline(word[..<slash])
    }
}
