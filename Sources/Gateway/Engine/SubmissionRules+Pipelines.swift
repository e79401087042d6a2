internal import JobSpecs
internal import Jobs
internal import Protocol

extension SubmissionRules {
    /// The jobs of a pipeline, each after those that it waits for.
    ///
    /// - Throws: ``StoreError`` (`invalidArgument`) that names the job and the place in it.
    func order(
        of pipeline: JobEngine.PipelineSubmission
    ) throws -> [JobEngine.PipelineSubmission.Part] {
        try checkKey(pipeline.key)
        try check(pipeline.name, "the name", limits.nameBytes)
        guard (1...limits.pipelineJobs).contains(pipeline.parts.count) else {
            throw Self.refusal(
                "a pipeline of \(pipeline.parts.count) jobs; it has 1 to \(limits.pipelineJobs)"
            )
        }
        var parts: [String: JobEngine.PipelineSubmission.Part] = [:]
        for part in pipeline.parts {
            if let fault = PartName.fault(in: part.name) {
                throw Self.refusal("the job name \(PlainText.quoted(part.name)) \(fault)")
            }
            guard parts.updateValue(part, forKey: part.name) == nil else {
                throw Self.refusal("two jobs are called \(part.name)")
            }
        }
        var needs: [String: [String]] = [:]
        for part in pipeline.parts {
            needs[part.name] = part.job.after
            for name in part.job.after where parts[name] == nil && !JobID.isWhole(name) {
                throw Self.refusal(
                    "job \(part.name): after: no job of the pipeline is called "
                        + PlainText.quoted(name)
                )
            }
            for input in part.job.inputs {
                guard case .job(let name, let output) = InputSource(input.source) else { continue }
                needs[part.name, default: []].append(name)
                guard let source = parts[name] else {
                    guard JobID.isWhole(name) else {
                        throw Self.refusal(
                            "job \(part.name): \(input.pointer): no job of the pipeline is called "
                                + PlainText.quoted(name)
                        )
                    }
                    continue
                }
                guard !PartName.makes(output, source.outputs) else { continue }
                throw Self.refusal(
                    "job \(part.name): \(input.pointer): \(source.job.kind.rawValue) job \(name) "
                        + "makes no \(PlainText.quoted(output)); it makes "
                        + source.outputs.joined(separator: ", ")
                )
            }
        }
        switch DependencyOrder.order(pipeline.parts.map(\.name), needs: needs) {
        case .order(let names): return names.compactMap { parts[$0] }
        case .ring(let names):
            throw Self.refusal(
                "jobs wait for one another in a ring: "
                    + (names + names.prefix(1)).joined(separator: " → ")
            )
        }
    }
}
