internal import Jobs
internal import Protocol

/// Finds jobs by what people type: an id, the beginning of one, a name, or `latest`.
struct JobSelector {
    /// What the words of a verb may be, for help texts.
    static let help = "an id or its beginning, a name, latest, or PIPELINE/JOB"

    /// Jobs that are looked through for a beginning or a name, the newest first.
    static let jobLimit = 20_000
    static let pageSize: UInt32 = 200
    /// Bytes of a word that a gateway looks for: those of PIPELINE/JOB at most.
    static let wordLimit = JobLimits().nameBytes + 1 + JobLimits().partBytes
    static let latest = "latest"

    let client: RPCClient
    /// The name of whoever asks, whose jobs `latest` is among.
    var caller: () throws -> String = { try JobFilter.user(QatHome()) }

    /// What is meant, each once, in the order given.
    ///
    /// `isHarmless`: Whether a name that several have means the newest; a verb that changes jobs wants
    /// to be told which.
    ///
    /// - Throws: ``ClientError`` (`usage`) with a line for each word that names nothing or several.
    func targets(_ words: [String], isHarmless: Bool) async throws -> [JobTarget] {
        let (targets, problems) = try await search(words, isHarmless: isHarmless)
        guard problems.isEmpty else {
            throw ClientError(.usage, problems)
        }
        return targets
    }

    /// What verbs of several words act on: as ``targets(_:isHarmless:)``, but that a word that names nothing
    /// keeps them from no other one, as no id does that there is not.
    ///
    /// - Throws: ``ClientError`` (`usage`) if no word names anything.
    ///
    /// - Returns: The targets, and `usage` where some words name nothing, which is printed.
    func actionable(
        _ words: [String],
        isHarmless: Bool = false
    ) async throws -> (targets: [JobTarget], status: ExitStatus) {
        let (targets, problems) = try await search(words, isHarmless: isHarmless)
        guard !problems.isEmpty else { return (targets, .succeeded) }
        guard !targets.isEmpty else { throw ClientError(.usage, problems) }
        Console.complain(problems)
        return (targets, .usage)
    }

    private func search(
        _ words: [String],
        isHarmless: Bool
    ) async throws -> (targets: [JobTarget], problems: [String]) {
        // An operator sees everybody's jobs, and means the own ones by `latest`.
        let user = words.contains(Self.latest) ? try caller() : nil
        var targets: [JobTarget] = []
        var problems: [String] = []
        var unfiltered: Known?
        for word in words {
            // A whole id needs no list; if there is no such job, the gateway says so.
            if let target = Self.whole(word) {
                targets.append(target)
                continue
            }
            let known = try await known(word, user, &unfiltered)
            // Among jobs that were not looked at, the word may mean another one.
            guard isHarmless || known.isComplete || word == Self.latest else {
                problems.append(
                    "there are more than \(Self.jobLimit) jobs: write the whole id instead of "
                        + TerminalText.quoted(word)
                )
                continue
            }
            let choice = Self.choice(
                word,
                among: known.jobs,
                pipelines: known.pipelines,
                isHarmless: isHarmless,
                user: user
            )
            switch choice {
            case .one(let job, let count):
                if count > 1 {
                    Console.note(
                        "\(TerminalText.quoted(word)) is the name of \(count) jobs; taking \(job.jobID)"
                    )
                }
                targets.append(.job(job.jobID))
            case .pipeline(let pipeline, let count):
                let id = pipeline.pipelineID
                if count > 1 {
                    Console.note(
                        "\(TerminalText.quoted(word)) is the name of \(count) jobs; taking pipeline \(id)"
                    )
                }
                targets.append(.pipeline(id))
            case .none(let problem): problems.append(problem)
            }
        }
        var seen: Set<JobTarget> = []
        return (targets.filter { seen.insert($0).inserted }, problems)
    }

    /// The ids of the jobs that are meant; of a pipeline those of all its jobs.
    func ids(_ words: [String], isHarmless: Bool) async throws -> [String] {
        var ids: [String] = []
        for target in try await targets(words, isHarmless: isHarmless) {
            switch target {
            case .job(let id): ids.append(id)
            case .pipeline(let id):
                let request = GetPipelineRequest(pipelineID: id)
                ids += try await client.call(QatMethods.getPipeline, request).jobs.map(\.jobID)
            }
        }
        var seen: Set<String> = []
        return ids.filter { seen.insert($0).inserted }
    }

    /// What is meant.
    func target(_ word: String, isHarmless: Bool = true) async throws -> JobTarget {
        try await targets([word], isHarmless: isHarmless)[0]
    }

    /// The id of the job that is meant.
    ///
    /// - Throws: ``ClientError`` (`usage`) if it is a pipeline.
    func id(_ word: String, isHarmless: Bool = true) async throws -> String {
        switch try await target(word, isHarmless: isHarmless) {
        case .job(let id): return id
        case .pipeline(let id):
            let request = GetPipelineRequest(pipelineID: id)
            let parts = try await client.call(QatMethods.getPipeline, request).jobs.map(\.part)
            throw ClientError(
                .usage,
                "\(id) is a pipeline; name one of its jobs: "
                    + parts.map { "\(id)/\($0)" }.joined(separator: ", ")
            )
        }
    }

    /// The outcome of a search.
    enum Choice: Equatable {
        /// The job, and how many have the name.
        case one(JobSummary, of: Int)
        /// The pipeline, and how many have the name.
        case pipeline(PipelineSummary, of: Int)
        /// Why there is none.
        case none(String)
    }

    /// The job or pipeline that a word means; `jobs` are the newest first.
    ///
    /// A whole id goes before everything else. Then, for verbs that only look, `latest` (the last
    /// submission of `user`, or of anybody if that is nil) goes before a name or `PIPELINE/JOB`, of which
    /// the newest is taken, and these before the beginning of an id. For a verb that changes jobs these must not mean
    /// different ones.
    static func choice(
        _ word: String,
        among jobs: [JobSummary],
        pipelines: [PipelineSummary] = [],
        isHarmless: Bool,
        user: String? = nil
    ) -> Choice {
        if let job = jobs.first(where: { $0.jobID == word }) {
            return .one(job, of: 1)
        }
        if let pipeline = pipelines.first(where: { $0.pipelineID == word }) {
            return .pipeline(pipeline, of: 1)
        }
        let own = user.map { name in jobs.filter { $0.owner == name } } ?? jobs
        if word == latest, own.isEmpty {
            return .none(jobs.isEmpty ? "there are no jobs yet" : "you have no jobs yet")
        }
        let places =
            word == latest
            ? newest(own, pipelines)
            : part(word, among: jobs, pipelines, isHarmless).map { [.job($0)] } ?? []
        let named = found(jobs.filter { $0.name == word }, pipelines.filter { $0.name == word })
        let begun =
            word.isEmpty
            ? []
            : found(
                jobs.filter { $0.jobID.hasPrefix(word) },
                pipelines.filter { $0.pipelineID.hasPrefix(word) }
            )
        guard isHarmless else { return onlyOne(word, places: places, named: named, begun: begun) }
        if word == latest, let place = places.first { return place.choice(of: 1) }
        // A job may be called like the place of another one.
        let meant = places + named.filter { found in !places.contains { $0.id == found.id } }
        if let newest = meant.max(by: { $0.created < $1.created }) {
            return newest.choice(of: meant.count)
        }
        return begun.count > 1
            ? .none(several(word, begun, "begins")) : begun.first?.choice(of: 1) ?? nobody(word)
    }

    /// The one that a word means in whichever way it is read.
    private static func onlyOne(
        _ word: String,
        places: [Found],
        named: [Found],
        begun: [Found]
    ) -> Choice {
        var ids: Set<String> = []
        let all = (places + named + begun).filter { ids.insert($0.id).inserted }
        guard let only = all.first else { return nobody(word) }
        guard all.count > 1 else { return only.choice(of: 1) }
        if named.count == all.count { return .none(several(word, named, "is the name of")) }
        if begun.count == all.count { return .none(several(word, begun, "begins")) }
        let shown = all.prefix(5).map { found in
            let how =
                places.contains { $0.id == found.id }
                ? "means" : named.contains { $0.id == found.id } ? "is the name of" : "begins"
            return "\(how) \(found.text)"
        }
        return .none(
            "\(TerminalText.quoted(word)) \(shown.joined(separator: ", and "))"
                + (all.count > 5 ? " and \(all.count - 5) more" : "") + "; write the whole id"
        )
    }

    private static func nobody(_ word: String) -> Choice {
        .none("no job has the id or the name \(TerminalText.quoted(word))")
    }

    /// The newest job, or the pipeline that it is of.
    private static func newest(_ jobs: [JobSummary], _ pipelines: [PipelineSummary]) -> [Found] {
        guard let job = jobs.first else { return [] }
        let pipeline = pipelines.first { $0.pipelineID == job.pipelineID }
        return [pipeline.map(Found.pipeline) ?? .job(job)]
    }

    /// The job that `PIPELINE/JOB` means, if it means one.
    private static func part(
        _ word: String,
        among jobs: [JobSummary],
        _ pipelines: [PipelineSummary],
        _ isHarmless: Bool
    ) -> JobSummary? {
        guard let slash = word.lastIndex(of: "/"),
            case .pipeline(let pipeline, _) = choice(
                String(word[..<slash]),
                among: [],
                pipelines: pipelines,
                isHarmless: isHarmless
            )
        else { return nil }
        let name = word[word.index(after: slash)...]
        return jobs.first { $0.pipelineID == pipeline.pipelineID && $0.part == name }
    }

    /// A job or a pipeline that a word may mean.
    private enum Found {
        case job(JobSummary)
        case pipeline(PipelineSummary)

        func choice(of count: Int) -> Choice {
            switch self {
            case .job(let job): .one(job, of: count)
            case .pipeline(let pipeline): .pipeline(pipeline, of: count)
            }
        }

        var id: String {
            switch self {
            case .job(let job): job.jobID
            case .pipeline(let pipeline): pipeline.pipelineID
            }
        }

        var created: Int64 {
            switch self {
            case .job(let job): job.createdUnixMs
            case .pipeline(let pipeline): pipeline.createdUnixMs
            }
        }

        var text: String {
            switch self {
            case .job(let job): "\(job.jobID) (\(job.state))"
            case .pipeline(let pipeline): "\(pipeline.pipelineID) (\(pipeline.state))"
            }
        }
    }

    /// Jobs and pipelines together, the newest first.
    private static func found(_ jobs: [JobSummary], _ pipelines: [PipelineSummary]) -> [Found] {
        guard !pipelines.isEmpty else { return jobs.map(Found.job) }
        return (jobs.map(Found.job) + pipelines.map(Found.pipeline))
            .sorted { $0.created > $1.created }
    }

    private static func several(_ word: String, _ found: [Found], _ what: String) -> String {
        let shown = found.prefix(5).map(\.text).joined(separator: ", ")
        let rest = found.count > 5 ? " and \(found.count - 5) more" : ""
        return "\(TerminalText.quoted(word)) \(what) several jobs: \(shown)\(rest); "
            + "write more of the id"
    }

    /// What a whole id means, without asking.
    private static func whole(_ word: String) -> JobTarget? {
        if JobID.isWhole(word) { return .job(word) }
        return PipelineID.isWhole(word) ? .pipeline(word) : nil
    }
}

/// What a verb acts on.
enum JobTarget: Hashable, Sendable {
    /// A job, by id.
    case job(String)
    /// A pipeline with all its jobs, by id.
    case pipeline(String)

    /// The id.
    var id: String {
        switch self {
        case .job(let id), .pipeline(let id): id
        }
    }

    /// Whether it is several jobs.
    var isPipeline: Bool {
        switch self {
        case .job: false
        case .pipeline: true
        }
    }

    /// `job ID` or `pipeline ID`.
    var description: String {
        switch self {
        case .job(let id): "job \(id)"
        case .pipeline(let id): "pipeline \(id)"
        }
    }
}
