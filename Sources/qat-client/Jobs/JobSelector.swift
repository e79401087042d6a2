internal import Protocol

/// Finds jobs by what people type: an id, the beginning of one, a name, or `latest`.
struct JobSelector {
    /// What the words of a verb may be, for help texts.
    static let help = "an id or its beginning, a name, or latest"

    /// Jobs that are looked through for a beginning or a name, the newest first.
    private static let jobLimit = 20_000
    private static let pageSize: UInt32 = 200
    private static let idLength = 16

    let client: RPCClient

    /// The ids of the jobs that are meant, each once, in the order given.
    ///
    /// `isHarmless`: Whether a name that several jobs have means the newest; a verb that changes jobs
    /// wants to be told which.
    ///
    /// - Throws: ``ClientError`` (`usage`) with a line for each word that names no job or several.
    func ids(_ words: [String], isHarmless: Bool) async throws -> [String] {
        var jobs: [JobSummary]?
        var ids: [String] = []
        var problems: [String] = []
        for word in words {
            // A whole id needs no list; if there is no such job, the gateway says so.
            if Self.isWhole(word) {
                ids.append(word)
                continue
            }
            let known: [JobSummary]
            if let jobs {
                known = jobs
            } else {
                known = try await all()
                jobs = known
            }
            switch Self.choice(word, among: known, isHarmless: isHarmless) {
            case .one(let job, let count):
                if count > 1 {
                    Console.note("\"\(word)\" is the name of \(count) jobs; taking \(job.jobID)")
                }
                ids.append(job.jobID)
            case .none(let problem): problems.append(problem)
            }
        }
        guard problems.isEmpty else {
            throw ClientError(.usage, problems)
        }
        var seen: Set<String> = []
        return ids.filter { seen.insert($0).inserted }
    }

    /// The id of the job that is meant.
    func id(_ word: String, isHarmless: Bool = true) async throws -> String {
        try await ids([word], isHarmless: isHarmless)[0]
    }

    /// The outcome of a search.
    enum Choice: Equatable {
        /// The job, and how many have the name.
        case one(JobSummary, of: Int)
        /// Why there is none.
        case none(String)
    }

    /// The job that a word means; `jobs` are the newest first.
    ///
    /// A whole id goes before `latest`, that before a name, a name before the beginning of an id.
    static func choice(_ word: String, among jobs: [JobSummary], isHarmless: Bool) -> Choice {
        if let job = jobs.first(where: { $0.jobID == word }) {
            return .one(job, of: 1)
        }
        if word == "latest" {
            return jobs.first.map { .one($0, of: 1) } ?? .none("there are no jobs yet")
        }
        let named = jobs.filter { $0.name == word }
        if let job = named.first {
            return named.count == 1 || isHarmless
                ? .one(job, of: named.count) : .none(several(word, named, "is the name of"))
        }
        let begun = word.isEmpty ? [] : jobs.filter { $0.jobID.hasPrefix(word) }
        guard let job = begun.first else {
            return .none("no job has the id or the name \"\(DisplayWidth.printable(word))\"")
        }
        return begun.count == 1 ? .one(job, of: 1) : .none(several(word, begun, "begins"))
    }

    private static func several(_ word: String, _ jobs: [JobSummary], _ what: String) -> String {
        let shown = jobs.prefix(5).map { "\($0.jobID) (\($0.state))" }.joined(separator: ", ")
        let rest = jobs.count > 5 ? " and \(jobs.count - 5) more" : ""
        return "\"\(DisplayWidth.printable(word))\" \(what) several jobs: \(shown)\(rest); "
            + "write more of the id"
    }

    private static func isWhole(_ word: String) -> Bool {
        word.utf8.count == idLength
            && word.utf8.allSatisfy {
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            }
    }

    private func all() async throws -> [JobSummary] {
        var jobs: [JobSummary] = []
        var request = ListJobsRequest(pageSize: Self.pageSize)
        repeat {
            let page = try await client.call(QatMethods.listJobs, request)
            jobs += page.jobs
            request.pageToken = page.nextPageToken
        } while !request.pageToken.isEmpty && jobs.count < Self.jobLimit
        return jobs
    }
}
