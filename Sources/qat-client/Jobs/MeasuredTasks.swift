internal import JobSpecs
internal import ModelFiles
internal import Protocol

/// What an evaluation measures, however its file spells it: defaults are filled in, and a text is its bytes,
/// wherever they lay.
///
/// An older gateway does not tell which bytes they were; then a path is the one that it leads to.
struct MeasuredTasks: Equatable {
    /// Tasks over texts, in their order.
    private var texts: [EvaluateSpec.Task] = []
    /// Timed generations; none compares with any.
    private var benchmarks: [EvaluateSpec.Task] = []
    /// The tasks as they are written, of a file that this version cannot read.
    private var unread: JSONValue?

    init(_ job: JobDetail) {
        guard
            case .evaluate(let spec) = try? JobSpec.parse(kind: "evaluate", json: job.specJSON)
        else {
            unread = JobAnswer.document(job.specJSON)["tasks"] ?? .null
            return
        }
        for (place, task) in spec.tasks.enumerated() {
            let read = job.inputs.first { $0.pointer == "/tasks/\(place)/text" }?.files ?? []
            switch task {
            case .perplexity(let windows): texts.append(.perplexity(Self.resolved(windows, read)))
            case .accuracy(let windows): texts.append(.accuracy(Self.resolved(windows, read)))
            case .divergence(let windows, let reference):
                texts.append(.divergence(Self.resolved(windows, read), reference: reference))
            case .choices(let task), .problems(let task):
                var task = task
                func bytes(_ key: String, _ index: Int) -> [InputFile] {
                    let pointer = "/tasks/\(place)/\(key)/\(index)"
                    return job.inputs.first { $0.pointer == pointer }?.files ?? []
                }
                task.questions = task.questions.enumerated().map {
                    Self.resolved($1, bytes("questions", $0))
                }
                task.examples = task.examples.enumerated().map {
                    Self.resolved($1, bytes("examples", $0))
                }
                texts.append(task.type == .gsm8k ? .problems(task) : .choices(task))
            case .code(var problems):
                let read =
                    job.inputs.first { $0.pointer == "/tasks/\(place)/problems" }?.files ?? []
                problems.file = Self.resolved(problems.file, read)
                texts.append(.code(problems))
            case .benchmark(var settings):
                // What is allowed is not measured.
                settings.allowsLongContext = false
                benchmarks.append(.benchmark(settings))
            }
        }
    }

    /// Whether figures of both may stand in one table: the same texts, and no other benchmarks.
    func isComparable(to other: MeasuredTasks) -> Bool {
        guard unread == nil, other.unread == nil else { return self == other }
        guard texts == other.texts else { return false }
        // Of benchmarks alone, nothing else is there to compare.
        guard !texts.isEmpty else { return benchmarks == other.benchmarks }
        return benchmarks.isEmpty || other.benchmarks.isEmpty || benchmarks == other.benchmarks
    }

    /// Takes in another one that it is comparable to.
    mutating func add(_ other: MeasuredTasks) {
        if benchmarks.isEmpty { benchmarks = other.benchmarks }
    }

    private static func resolved(
        _ windows: EvaluateSpec.TextWindows,
        _ files: [InputFile]
    ) -> EvaluateSpec.TextWindows {
        var windows = windows
        windows.text = resolved(windows.text, files)
        windows.allowsLongContext = false
        // Of plain texts, nothing is looked up under it.
        if !files.isEmpty, !files.contains(where: { TextFile.isJSONLines(name: $0.path) }) {
            windows.textKey = TextFile.defaultKey
        }
        return windows
    }

    /// `files`: What was read, as the gateway keeps it; none if it does not tell.
    private static func resolved(_ text: String, _ files: [InputFile]) -> String {
        guard files.isEmpty else {
            // The same bytes are another text as JSON lines, which a name says.
            return files.map { file in
                (TextFile.isJSONLines(name: file.path) ? "lines " : "plain ") + file.digest.hex
            }.joined(separator: ", ")
        }
        return switch InputReference.Location(parsing: text) {
        case .digest(let hex): "sha256:" + hex
        case .path(let path): normal(path)
        case .job, nil: text
        }
    }

    /// A path without detours; what leads out of the file's folder stays.
    private static func normal(_ path: String) -> String {
        var parts: [Substring] = []
        for part in path.split(separator: "/") where part != "." {
            if part == "..", let last = parts.last, last != ".." {
                parts.removeLast()
            } else {
                parts.append(part)
            }
        }
        return (path.hasPrefix("/") ? "/" : "") + parts.joined(separator: "/")
    }
}
