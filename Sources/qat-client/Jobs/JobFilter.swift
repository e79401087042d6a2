internal import ArgumentParser
internal import JobSpecs
internal import Jobs
internal import Protocol

/// Which jobs a list shows.
struct JobFilter: ParsableArguments {
    @Option(
        help: "Jobs in this state only; again for several.",
        completion: .list(Self.states.map { $0.lowercased() })
    )
    var state: [String] = []
    @Option(
        help: "Jobs of this kind only; again for several.",
        completion: .list(JobSchema.kinds)
    )
    var kind: [String] = []
    @Option(help: "Jobs whose name has this in it, whatever the case.")
    var name: String?
    @Flag(help: "Your own jobs only, where you may see those of others.")
    var mine = false
    @Option(parsing: .unconditional, help: "So many jobs at most, the newest.")
    var limit: Int = 100

    static let states = JobState.allCases.map(\.rawValue)
    static let kinds = JobSchema.kinds

    func validate() throws {
        for word in state where !Self.states.contains(word.uppercased()) {
            throw Self.refusal("--state", word, Self.states.map { $0.lowercased() })
        }
        guard !kind.contains("pipeline") else {
            throw ValidationError(
                "--kind pipeline: filters choose jobs; a pipeline is shown by its id, and above its jobs."
            )
        }
        for word in kind where !Self.kinds.contains(word) {
            throw Self.refusal("--kind", word, Self.kinds)
        }
        guard (1...100_000).contains(limit) else {
            throw ValidationError("--limit takes a number from 1 to 100000.")
        }
    }

    private static func refusal(
        _ option: String,
        _ word: String,
        _ known: [String]
    ) -> ValidationError {
        let near = NearestKey.suggestion(for: word, among: known)
        let hint =
            near.map { "did you mean \($0)?" } ?? "expected \(known.joined(separator: ", "))."
        return ValidationError("\(option) \(TerminalText.short(word)): \(hint)")
    }

    /// Whether every job passes, but for the number.
    var isOpen: Bool { state.isEmpty && kind.isEmpty && name == nil && !mine }

    /// Whether a job is one of those asked for.
    ///
    /// `user`: Who asks.
    func admits(_ job: JobSummary, user: String) -> Bool {
        let states = state.map { $0.uppercased() }
        let isNamed = name.map { job.name.lowercased().contains($0.lowercased()) } ?? true
        return (states.isEmpty || states.contains(job.state))
            && (kind.isEmpty || kind.contains(job.kind)) && isNamed
            && (!mine || job.owner == user)
    }

    /// The jobs asked for, the newest first, and the pipelines that they are of: one of which none is
    /// asked for is left out.
    ///
    /// `certificatePath`: Of who asks; read only for `--mine`.
    func jobs(
        _ client: RPCClient,
        certificatePath: String
    ) async throws -> (jobs: [JobSummary], pipelines: [PipelineSummary]) {
        let user = mine ? try Self.user(certificatePath) : ""
        var jobs: [JobSummary] = []
        var pipelines: [PipelineSummary] = []
        var seen: Set<String> = []
        var request = request(user: user)
        repeat {
            let page = try await client.call(QatMethods.listJobs, request)
            jobs += page.jobs.filter { admits($0, user: user) }
            pipelines += page.pipelines.filter { seen.insert($0.pipelineID).inserted }
            request.pageToken = page.nextPageToken
        } while !request.pageToken.isEmpty && jobs.count < limit
        let chosen = jobs.prefix(limit)
        let parents = Set(chosen.map(\.pipelineID))
        return (Array(chosen), pipelines.filter { parents.contains($0.pipelineID) })
    }

    /// What the gateway is asked: it looks for the jobs itself, so that it sends no others.
    func request(user: String) -> ListJobsRequest {
        ListJobsRequest(
            pageSize: 200,
            states: state.map { $0.uppercased() },
            kinds: kind,
            // Other letters have several spellings in bytes, all of which are meant: ``admits(_:user:)`` finds them.
            name: name.map { $0.utf8.allSatisfy { $0 < 128 } ? $0 : "" } ?? "",
            owner: user
        )
    }

    /// The name under which the gateway knows whoever uses this home.
    static func user(_ home: QatHome) throws -> String {
        try user(try Profile.load(home).certificatePath)
    }

    /// The name under which the gateway knows the certificate's owner.
    static func user(_ certificatePath: String) throws -> String {
        let identity = try PeerIdentity(certificatePath: certificatePath)
        guard case .user(let name) = identity.subject else {
            return identity.description
        }
        return name
    }
}
