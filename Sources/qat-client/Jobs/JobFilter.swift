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
    @Option(
        parsing: .unconditional,
        help: "So many jobs at most, the newest. (default: 100 in a list; jobs rm takes all)"
    )
    var limit: Int?

    /// Jobs in a list, unless another number is asked for.
    static let listLimit = 100

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
        guard limit.map((1...100_000).contains) ?? true else {
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

    /// Jobs that are counted beyond those that a list shows: their number is told, no more of them.
    private static let countLimit = 2000

    /// The jobs asked for, the newest first, and the pipelines that they are of: one of which none is
    /// asked for is left out.
    ///
    /// `certificatePath`: Of who asks; read only for `--mine`. `limit`: How many at most; nil for all.
    ///
    /// - Returns: With them how many more there are, and whether that is all of these.
    func jobs(
        _ client: RPCClient,
        certificatePath: String,
        limit: Int?
    ) async throws -> FoundJobs {
        let user = mine ? try Self.user(certificatePath) : ""
        var found = FoundJobs()
        var pipelines: [PipelineSummary] = []
        var seen: Set<String> = []
        var request = request(user: user)
        repeat {
            let page = try await client.call(QatMethods.listJobs, request)
            for job in page.jobs where admits(job, user: user) {
                if limit.map({ found.jobs.count < $0 }) ?? true {
                    found.jobs.append(job)
                } else {
                    found.more += 1
                }
            }
            pipelines += page.pipelines.filter { seen.insert($0.pipelineID).inserted }
            request.pageToken = page.nextPageToken
        } while !request.pageToken.isEmpty && found.more < Self.countLimit
        found.isCounted = request.pageToken.isEmpty
        let parents = Set(found.jobs.map(\.pipelineID))
        found.pipelines = pipelines.filter { parents.contains($0.pipelineID) }
        return found
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

/// Jobs that pass a filter.
struct FoundJobs: Sendable {
    /// The newest first.
    var jobs: [JobSummary] = []
    /// Those that they are of.
    var pipelines: [PipelineSummary] = []
    /// How many others pass.
    var more = 0
    /// Whether these are all, or only as many as were looked through.
    var isCounted = true

    /// What a list says that does not show all; nil if it does.
    var remainder: String? {
        guard more > 0 else { return nil }
        let count = isCounted ? "\(more) more" : "more than \(more) more"
        let all = isCounted ? "; --limit \(jobs.count + more) shows all" : ""
        return more == 1 && isCounted
            ? "1 more job is not shown\(all)" : "\(count) jobs are not shown\(all)"
    }
}
