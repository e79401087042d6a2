internal import JobSpecs
internal import Protocol

/// A pipeline's jobs with what came of them.
struct PipelineResults: Sendable {
    let summary: PipelineSummary
    /// In the order of their dependencies.
    let jobs: [JobDetail]

    /// Asks for a pipeline and its jobs in detail.
    static func fetch(_ id: String, _ client: RPCClient) async throws -> PipelineResults {
        let request = GetPipelineRequest(pipelineID: id)
        let pipeline = try await client.call(QatMethods.getPipeline, request)
        var jobs: [JobDetail] = []
        for job in pipeline.jobs {
            jobs.append(
                try await client.call(QatMethods.getJob, GetJobRequest(jobID: job.jobID))
            )
        }
        let results = PipelineResults(summary: pipeline.summary, jobs: jobs)
        // What several measured is told apart by the bytes that they read.
        guard results.evaluations.count > 1 else { return results }
        for index in jobs.indices where Self.isEvaluation(jobs[index]) {
            let request = GetJobRequest(jobID: jobs[index].summary.jobID, inputs: true)
            jobs[index].inputs = try await client.call(QatMethods.getJob, request).inputs
        }
        return PipelineResults(summary: pipeline.summary, jobs: jobs)
    }

    /// Whether every job has ended; one that was retried meanwhile has not.
    var isOver: Bool { jobs.allSatisfy { ExitStatus(jobState: $0.summary.state) != nil } }

    /// How a process exits that waited for it.
    var status: ExitStatus {
        .worst(jobs.map { ExitStatus(jobState: $0.summary.state) ?? .failed })
    }

    /// How it ended, each job's results, and one table of all evaluations if there are several.
    ///
    /// `columns`: Of the terminal; nil for as wide as it comes.
    func lines(columns: Int?) -> [String] {
        var lines = [
            Self.line([summary.pipelineID, summary.name, summary.state])
        ]
        for job in jobs {
            let job = (summary: job.summary, detail: job)
            let origin = JobAnswer.origin(of: job.summary)
            let source = origin.isEmpty ? "" : "reused \(origin)"
            lines += [
                "",
                Self.line([
                    job.summary.part, job.summary.state, job.summary.jobID, job.summary.reason,
                    source.isEmpty ? job.summary.reasonMessage : source,
                ]),
            ]
            if !job.detail.resultsJSON.isEmpty {
                lines += ResultsTable(job.detail, columns: columns).lines
            }
        }
        let groups = comparable
        for group in groups where group.count > 1 {
            let names = group.map(\.summary.part).joined(separator: ", ")
            let isAll = groups.count == 1
            lines += ["", isAll ? "all evaluations" : "evaluations by the same tasks: \(names)"]
            let table = JSONValue.object(["rows": .array(rows(of: group))])
            lines += ResultsTable(table, columns: columns).lines
        }
        return lines
    }

    /// Evaluations by what they measure: of other texts or windows, figures are not to be compared.
    private var comparable: [[JobDetail]] {
        var groups: [(measured: MeasuredTasks, jobs: [JobDetail])] = []
        for job in evaluations {
            let measured = MeasuredTasks(job)
            if let index = groups.firstIndex(where: { $0.measured.isComparable(to: measured) }) {
                groups[index].jobs.append(job)
                groups[index].measured.add(measured)
            } else {
                groups.append((measured, [job]))
            }
        }
        return groups.map(\.jobs)
    }

    private static func line(_ parts: [String]) -> String {
        DisplayWidth.printable(parts.filter { !$0.isEmpty }.joined(separator: "  "))
    }

    private var evaluations: [JobDetail] {
        jobs.filter(Self.isEvaluation)
    }

    private static func isEvaluation(_ job: JobDetail) -> Bool {
        job.summary.kind == "evaluate" && !job.resultsJSON.isEmpty
    }

    /// The rows of evaluations, each called after its job where the pipeline has several.
    private func rows(of jobs: [JobDetail]) -> [JSONValue] {
        let isAlone = evaluations.count <= 1
        return jobs.flatMap { job in
            let rows = JobAnswer.document(job.resultsJSON)["rows"]?.arrayValue ?? []
            return rows.map { row in
                guard var members = row.objectValue, !isAlone else { return row }
                let label = row["label"]?.stringValue ?? "-"
                members["label"] = .string("\(job.summary.part): \(label)")
                members["job"] = .string(job.summary.part)
                // They refer to the settings of one evaluation's tasks.
                members["measurements"] = nil
                return .object(members)
            }
        }
    }

    var json: JSONValue {
        var members = JobAnswer.json(summary).objectValue ?? [:]
        members["jobs"] = .array(jobs.map(JobAnswer.json))
        members["rows"] = .array(rows(of: evaluations))
        return .object(members)
    }
}
