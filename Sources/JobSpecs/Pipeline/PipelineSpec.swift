internal import Jobs

/// Jobs that are submitted together and may refer to one another, read from one file.
public struct PipelineSpec: Sendable {
    /// One of the jobs.
    public struct Part: Sendable {
        /// Its name in the file, by which the others refer to it.
        public let name: String
        /// Its kind.
        public let kind: String
        /// The job itself.
        public let job: ParsedJob
        /// Jobs that must end well before it starts: names of others, or ids.
        public let after: [String]
        /// Where it stands in the file, such as `$.jobs.train`.
        public let path: String

        /// A place in the job, such as `$.optim.lr`, as a place in the file.
        public func place(_ path: String) -> String { self.path + path.dropFirst() }
    }

    /// The name the file gives the pipeline.
    public let name: String?
    /// The jobs, each after those that it waits for.
    public let parts: [Part]
    /// What is accepted and does not do what it seems to, a line each.
    public let warnings: [String]

    /// Reads and checks a pipeline file.
    ///
    /// - Throws: ``JobSpecError`` with everything that is wrong.
    public init(document: JSONParser.Document) throws(JobSpecError) {
        var validator = SchemaValidator(document, root: JobSchema.pipeline)
        validator.check(document.value, against: .object(JobSchema.pipeline), path: "$")
        try ParsedJob.refuse(validator)
        var parts: [Part] = []
        var faults: [JobSpecError.Violation] = []
        var warnings: [String] = []
        let members = document.value["jobs"]?.objectValue ?? [:]
        // The file's order where its lines tell it.
        let names = members.keys.sorted { left, right in
            let lines = [left, right].map { document.lines[Self.path(of: $0)] ?? 0 }
            return (lines[0], left) < (lines[1], right)
        }
        for name in names {
            do {
                let part = try Self.part(name, of: document)
                parts.append(part)
                warnings += part.job.warnings.map { warning in
                    "\(part.place(warning.path)): \(warning.message)"
                        + (warning.line.map { " (line \($0))" } ?? "")
                }
                if members[name]?["name"] ?? .null != .null {
                    warnings.append(
                        "\(part.path).name: has no effect: the job is called \(name) here"
                    )
                }
            } catch {
                faults += error.violations
            }
        }
        if faults.isEmpty {
            faults = PipelineReferences(parts, lines: document.lines).faults
        }
        let order = DependencyOrder.order(
            parts.map(\.name),
            needs: Dictionary(uniqueKeysWithValues: parts.map { ($0.name, $0.needs) })
        )
        guard faults.isEmpty, case .order(let sorted) = order else {
            throw JobSpecError(.invalidSpec, faults)
        }
        self.name = document.value["name"]?.stringValue
        self.parts = sorted.compactMap { name in parts.first { $0.name == name } }
        self.warnings = warnings
    }

    private static func path(of name: String) -> String {
        JSONPath.appending(name, to: "$.jobs")
    }

    /// Reads one job, whose places are told from the file's root.
    private static func part(
        _ name: String,
        of document: JSONParser.Document
    ) throws(JobSpecError) -> Part {
        let path = path(of: name)
        let value = document.value["jobs"]?[name] ?? .null
        let after = value["after"]?.arrayValue ?? []
        func own<Value>(_ places: [String: Value]) -> [String: Value] {
            places.reduce(into: [:]) { result, entry in
                guard entry.key.hasPrefix(path + ".") || entry.key.hasPrefix(path + "[") else {
                    return
                }
                result["$" + entry.key.dropFirst(path.count)] = entry.value
            }
        }
        guard let kind = value["kind"]?.stringValue ?? JobSchema.kind(of: value),
            JobSchema.kinds.contains(kind)
        else {
            let fault = JobSpecError.Violation(
                path: path,
                message: "cannot tell whether this is to quantize, train or evaluate; write its "
                    + "\"kind\"",
                line: document.lines[path]
            )
            throw JobSpecError(.invalidSpec, [fault])
        }
        do {
            let job = try ParsedJob(
                kind: kind,
                document: JSONParser.Document(
                    value: value,
                    lines: own(document.lines),
                    fractions: own(document.fractions)
                ),
                beside: JobSchema.part
            )
            return Part(
                name: name,
                kind: kind,
                job: job,
                after: after.compactMap(\.stringValue),
                path: path
            )
        } catch {
            let faults = error.violations.map { fault in
                JobSpecError.Violation(
                    path: path + fault.path.dropFirst(),
                    message: fault.message,
                    line: fault.line ?? document.lines[path]
                )
            }
            throw JobSpecError(error.code, faults)
        }
    }
}

extension PipelineSpec.Part {
    /// The jobs whose outputs it takes or after which it starts, by name or id.
    public var needs: [String] {
        after
            + job.spec.inputReferences.compactMap { reference in
                guard case .job(let id, _) = reference.location else { return nil }
                return id
            }
    }
}

/// What jobs of a pipeline say of one another.
private struct PipelineReferences {
    let lines: [String: Int]
    private(set) var faults: [JobSpecError.Violation] = []
    private let parts: [String: PipelineSpec.Part]

    init(_ parts: [PipelineSpec.Part], lines: [String: Int]) {
        self.lines = lines
        self.parts = Dictionary(uniqueKeysWithValues: parts.map { ($0.name, $0) })
        for part in parts {
            for (index, name) in part.after.enumerated() where self.parts[name] == nil {
                checkID(name, at: "\(part.path).after[\(index)]")
            }
            for reference in part.job.spec.inputReferences {
                check(reference, of: part)
            }
        }
        if faults.isEmpty,
            case .ring(let names) = DependencyOrder.order(
                parts.map(\.name),
                needs: self.parts.mapValues(\.needs)
            )
        {
            let ring = (names + names.prefix(1)).joined(separator: " → ")
            report(
                "not allowed: jobs wait for one another in a ring: \(ring)",
                at: names.first.flatMap { self.parts[$0]?.path } ?? "$.jobs"
            )
        }
    }

    private mutating func report(_ message: String, at path: String) {
        faults.append(.init(path: path, message: message, line: lines[path]))
    }

    private mutating func check(_ reference: InputReference, of part: PipelineSpec.Part) {
        guard case .job(let name, let output) = reference.location else { return }
        let path = part.place(JSONPath.path(ofPointer: reference.pointer))
        guard let source = parts[name] else {
            checkID(name, at: path)
            return
        }
        let outputs = source.job.spec.typedOutputs
        let wanted = output ?? "model"
        let refusal = "\(JSONValue.string(reference.text).canonicalText) is not allowed: "
        let job = "the \(source.kind) job \(name)"
        guard PartName.makes(wanted, outputs.map(\.path)) else {
            let there = outputs.map(\.path).joined(separator: ", ")
            report("\(refusal)\(job) makes no \(wanted); it makes \(there)", at: path)
            return
        }
        if let fault = JobOutput.fault(of: wanted, as: reference.role, among: outputs) {
            report("\(refusal)of \(job), \(fault)", at: path)
        }
    }

    private mutating func checkID(_ name: String, at path: String) {
        guard !JobID.isWhole(name) else { return }
        let near = NearestKey.suggestion(for: name, among: parts.keys.sorted())
        let known = parts.keys.sorted().joined(separator: ", ")
        report(
            "no job of the pipeline is called \(JSONValue.string(name).canonicalText); "
                + (near.map { "did you mean \"\($0)\"?" } ?? "expected one of \(known), or an id"),
            at: path
        )
    }
}
