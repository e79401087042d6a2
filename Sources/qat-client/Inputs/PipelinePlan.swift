internal import JobSpecs
internal import Jobs
internal import Protocol

/// A pipeline file, checked, with the inputs of all its jobs found and hashed.
struct PipelinePlan: Sendable {
    /// One of its jobs.
    struct Part: Sendable {
        let name: String
        let after: [String]
        let plan: SubmissionPlan
        /// How it will be exported; empty while its model is not at hand.
        let exports: ExportTable
        /// What its recipe does to its model, if that is at hand.
        let preview: RecipePreview?
        /// The other jobs of the pipeline that it waits for.
        let waitsFor: [String]
    }

    let name: String
    /// The jobs, each after those that it waits for.
    let parts: [Part]
    /// What the submitter should know, a line each.
    let warnings: [String]
    /// Those of them that the tables of the exports do not show.
    let warningsBesideTables: [String]

    /// Checks a file and finds its inputs; each job is checked as one that is submitted alone.
    ///
    /// - Throws: ``ClientError`` (`usage`) with a line for each thing that is wrong.
    init(_ file: JobFile, name: String?) throws {
        let spec: PipelineSpec
        do {
            spec = try PipelineSpec(document: file.document)
        } catch {
            throw ClientError(.usage, error.lines(file: file.name))
        }
        let names = Set(spec.parts.map(\.name))
        let title = name ?? spec.name ?? file.defaultName
        try Self.checkName(title, spec, file.name)
        var parts: [Part] = []
        var warnings = file.notes + spec.warnings
        var warningsBesideTables = warnings
        var problems: [String] = []
        for part in spec.parts {
            do {
                let plan = try SubmissionPlan(
                    part.job,
                    name: "\(title)/\(part.name)",
                    folder: file.folder,
                    file: file.name,
                    names: names
                )
                let inputs = try InputValidation(plan, file: file.name)
                let preview = try RecipePreview(plan.spec, inputs: plan.inputs)
                let rest =
                    (preview?.warnings ?? []).map { Self.placed($0, part) }
                    + SubmitCommand.warnings(plan.spec).map { "\(part.path): \($0)" }
                warnings += inputs.remarks.map { Self.placed($0, part) } + rest
                warningsBesideTables +=
                    inputs.remarksBesideTable.map { Self.placed($0, part) } + rest
                parts.append(
                    Part(
                        name: part.name,
                        after: part.after,
                        plan: plan,
                        exports: inputs.exports,
                        preview: preview,
                        waitsFor: spec.parts.map(\.name).filter(part.needs.contains)
                    )
                )
            } catch let error as ClientError {
                let prefix = file.name + ": "
                problems += error.lines.map { line in
                    let rest = line.hasPrefix(prefix) ? String(line.dropFirst(prefix.count)) : line
                    return prefix + Self.placed(rest, part)
                }
            }
        }
        guard problems.isEmpty else {
            throw ClientError(.usage, problems)
        }
        self.name = title
        self.parts = parts
        self.warnings = warnings
        self.warningsBesideTables = warningsBesideTables
    }

    /// Checks that each job has a name, which is the pipeline's and its own.
    private static func checkName(_ title: String, _ spec: PipelineSpec, _ file: String) throws {
        let longest = spec.parts.map(\.name).max { $0.utf8.count < $1.utf8.count } ?? ""
        let limit = JobLimits().nameBytes
        guard title.utf8.count + 1 + longest.utf8.count > limit else { return }
        throw ClientError(
            .usage,
            "\(file): the pipeline's name has \(title.utf8.count) bytes, and with /\(longest), the longest "
                + "of its jobs, more than the \(limit) of a job's name"
        )
    }

    /// A sentence about a place in a job as one about a place in the file.
    private static func placed(_ sentence: String, _ part: PipelineSpec.Part) -> String {
        sentence.hasPrefix("$") ? part.place(sentence) : "\(part.path): \(sentence)"
    }

    /// The trainings whose memory is known.
    var trainings: [MemoryComparison.Training] {
        parts.compactMap { part in
            MemoryComparison.Training(
                name: "the training \(part.name)",
                of: part.plan.spec,
                part.preview?.memory
            )
        }
    }

    /// Each local file once.
    var uniqueFiles: [PlannedFile] { PlannedFile.unique(parts.flatMap(\.plan.inputs)) }

    var byteCount: UInt64 { uniqueFiles.reduce(0) { $0 + $1.size } }

    /// The digest of everything that makes the pipeline what it is, as it was typed.
    func digest(_ schedule: TypedSchedule) -> String {
        let content = JSONValue.object([
            "pipeline": .string(name),
            "jobs": .array(
                parts.map { part in
                    .array(
                        [.string(part.name), .string(part.plan.digest)]
                            + part.after.map(JSONValue.string)
                    )
                }
            ),
            "schedule": schedule.json,
        ])
        return SHA256Digest.digest(of: content.canonicalBytes).hex
    }

    /// What is sent; the schedule is that of every job.
    func request(key: String, _ schedule: Schedule) -> SubmitPipelineRequest {
        SubmitPipelineRequest(
            name: name,
            key: key,
            jobs: parts.map { part in
                var job = part.plan.request(key: "", schedule)
                job.after = part.after + schedule.after
                return PipelineJob(name: part.name, job: job)
            }
        )
    }
}
