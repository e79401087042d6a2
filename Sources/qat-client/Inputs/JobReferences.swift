internal import JobSpecs
internal import Jobs
internal import Protocol

/// What a file says of jobs by a name, the beginning of an id or `latest`, and which jobs these are.
///
/// They are looked up before the file is checked: what is sent and kept names whole ids.
struct JobReferences {
    /// The file with ids in their places.
    let file: JobFile
    /// What stood in these places, and what stands there now.
    private(set) var resolved: [(path: String, from: String, to: String)] = []
    /// The ids that words stand for.
    private(set) var ids: [String: String] = [:]

    /// An id that is nobody's, for the word at a place among all; another one for each.
    static func nobody(_ place: Int) -> String {
        let digits = String(place, radix: 16)
        return String(repeating: "0", count: max(0, 16 - digits.count)) + digits
    }

    /// Looks up what a file names; a file that names whole ids alone, or jobs of its own pipeline, asks nobody.
    ///
    /// `look`: Called once, if there is anything to look up.
    ///
    /// - Throws: ``ClientError`` (`usage`) with a line for each place whose job is not to be found or may be
    ///   several; what a connection throws.
    init(
        _ file: JobFile,
        _ look: ([String]) async throws -> [String: Answer] = JobReferences.ask
    ) async throws {
        let own = Set((file.document.value["jobs"]?.objectValue ?? [:]).keys)
        let names = file.kind == "pipeline" ? own : []
        let mentions = JobMention.all(in: file.document.value, fileKind: file.kind)
            .filter { !names.contains($0.word) && Self.isLookedUp($0.word) }
        guard !mentions.isEmpty else {
            self.file = file
            return
        }
        var seen: Set<String> = []
        let words = mentions.map(\.word).filter { seen.insert($0).inserted }
        let answers: [String: Answer]
        do {
            answers = try await look(words)
        } catch {
            // What is a slip of the pen is told without a gateway.
            let isSlip = words.contains {
                NearestKey.suggestion(for: $0, among: names.sorted()) != nil
            }
            guard isSlip else { throw error }
            self.file = file
            return
        }
        var (value, problems) = (file.document.value, [String]())
        for mention in mentions {
            switch answers[mention.word] {
            case .job(let id):
                let text = mention.text(id: id)
                value = value.replacing(at: mention.pointer, with: .string(text))
                resolved.append((mention.path, "job:" + mention.word + mention.rest, text))
                ids[mention.word] = id
            case .problem(let problem):
                let near = NearestKey.suggestion(for: mention.word, among: names.sorted())
                let hint = near.map { "; did you mean \"\($0)\", a job of this pipeline?" } ?? ""
                problems.append("\(file.name): \(mention.path): \(problem)\(hint)")
            case nil: continue
            }
        }
        guard problems.isEmpty else { throw ClientError(.usage, problems) }
        self.file = file.replacing(value)
    }

    /// The job that a word means, or why there is none.
    enum Answer: Equatable {
        case job(String)
        case problem(String)
    }

    /// Says what the words of the file mean, a line for each place.
    ///
    /// `time`: When they meant that, if it is not now.
    func tell(since time: String?) {
        let then = time.map { ", as in the submission of \($0)" } ?? ""
        for place in resolved {
            Console.note("note: \(file.name): \(place.path): \(place.from) is \(place.to)\(then)")
        }
    }

    /// Whether a word is one to look up: no whole id, and not what examples write where yours belongs.
    private static func isLookedUp(_ word: String) -> Bool {
        !word.isEmpty && !JobID.isWhole(word) && !InputScanner.isPlaceholder(word)
    }

    static func ask(_ words: [String]) async throws -> [String: Answer] {
        try await GatewayConnection.with(QatHome()) { client in
            try await answers(to: words, JobSelector(client: client))
        }
    }

    /// What words mean; as for a verb that changes jobs, one that may mean several is refused.
    static func answers(
        to words: [String],
        _ selector: JobSelector
    ) async throws -> [String: Answer] {
        var answers: [String: Answer] = [:]
        for word in words {
            do {
                switch try await selector.target(word, isHarmless: false) {
                case .job(let id): answers[word] = .job(id)
                case .pipeline(let id):
                    let request = GetPipelineRequest(pipelineID: id)
                    let jobs = try await selector.client.call(QatMethods.getPipeline, request).jobs
                    let choices = jobs.map { "job:\($0.jobID) (\($0.part))" }
                    answers[word] = .problem(
                        "\(TerminalText.quoted(word)) is pipeline \(id), and no job; write one of its jobs: "
                            + choices.joined(separator: ", ")
                    )
                }
            } catch let error as ClientError where error.status == .usage {
                answers[word] = .problem(error.lines.joined(separator: "; "))
            }
        }
        return answers
    }
}
