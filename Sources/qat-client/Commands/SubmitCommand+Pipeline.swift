internal import ArgumentParser
internal import Foundation
internal import JobSpecs
internal import Protocol

extension SubmitCommand {
    /// Checks a pipeline file, sends what its jobs need, and makes it a pipeline exactly once.
    func performPipeline(_ typed: JobFile, _ home: QatHome) async throws -> ExitStatus {
        let submission = try await TypedSubmission(typed, options.typed, key: key, home) {
            try PipelinePlan($0, name: name)
        }
        if submission.before == nil { try options.requireTime() }
        let (plan, jobFile) = (submission.plan, submission.references.file)
        let ahead =
            dryRun
            ? try await MemoryComparison.checkAhead(plan.trainings, file: jobFile.name, home) : []
        for warning in (showsTables ? plan.warningsBesideTables : plan.warnings) + ahead {
            Console.note("warning: \(jobFile.name): \(warning)")
        }
        try Self.checkSize(plan.request(key: key ?? "", options.schedule))
        guard !dryRun else {
            output.json ? Console.print(json(submission, ahead)) : printDryRun(plan)
            return .succeeded
        }
        let submitted = try await GatewayConnection.with(home) { client in
            if submission.before == nil {
                try await MemoryComparison.check(plan.trainings, file: jobFile.name, client)
            }
            return try await submit(submission, home, client)
        }
        let response = submitted.response
        if output.json {
            Console.print(
                .object([
                    "pipeline_id": .string(response.pipelineID),
                    "created": .boolean(response.created),
                    "jobs": .array(response.jobs.map(JobAnswer.json)),
                ])
            )
        } else {
            if !response.created {
                Console.note("this was submitted before; it is the same pipeline")
            }
            Console.print(response.pipelineID)
            for job in response.jobs {
                let source = job.reusedFrom.isEmpty ? "" : "  reused from job \(job.reusedFrom)"
                Console.note("  \(job.jobID)  \(job.part)\(source)")
            }
        }
        try submitted.recordIfShown(response.pipelineID)
        guard watch else {
            return .succeeded
        }
        return try await WatchCommand.watch(response.pipelineID, home, json: output.json)
    }

    func submit(
        _ submission: TypedSubmission<PipelinePlan>,
        _ home: QatHome,
        _ client: RPCClient
    ) async throws -> Submitted<SubmitPipelineResponse> {
        let plan = submission.plan
        return try await exactlyOnce(submission, home, client) {
            try await checkStored(plan.parts.map(\.plan), submission.before, client)
            try await BlobUploader.upload(plan.uniqueFiles, client)
        } send: { key, schedule in
            try await client.call(QatMethods.submitPipeline, plan.request(key: key, schedule))
        }
    }

    /// A pipeline is one message.
    private static func checkSize(_ request: SubmitPipelineRequest) throws {
        let size = try request.encoded().count
        guard size <= PipelineLimits.messageBytes else {
            throw ClientError(
                .usage,
                "the pipeline takes \(size) bytes to send, its files aside; the limit is "
                    + "\(PipelineLimits.messageBytes): submit it in parts, or pack small files together"
            )
        }
    }

    private func json(
        _ submission: TypedSubmission<PipelinePlan>,
        _ ahead: [String]
    ) -> JSONValue {
        let plan = submission.plan
        return .object([
            "dry_run": .boolean(true),
            "kind": .string("pipeline"),
            "name": .string(plan.name),
            "digest": .string(submission.digest),
            "jobs": .array(
                plan.parts.map { part in
                    .object([
                        "name": .string(part.name),
                        "kind": .string(part.plan.kind),
                        "waits_for": .array(part.waitsFor.map(JSONValue.string)),
                        "after": .array(part.after.map(JSONValue.string)),
                        "spec": JobAnswer.document(part.plan.specJSON),
                        "inputs": .array(part.plan.inputs.map(\.json)),
                        "recipe": part.preview?.json ?? .null,
                        "exports": part.exports.json,
                    ])
                }
            ),
            "byte_count": .number(Double(plan.byteCount)),
            "warnings": .array((plan.warnings + ahead).map(JSONValue.string)),
        ])
    }

    private func printDryRun(_ plan: PipelinePlan) {
        Console.print("pipeline \"\(plan.name)\": the file is valid; nothing was sent")
        var table = TextTable(["JOB", "KIND", "STARTS AFTER", "INPUTS"])
        for part in plan.parts {
            let waits = (part.waitsFor + part.after.filter { !part.waitsFor.contains($0) })
                .joined(separator: ", ")
            let files = part.plan.inputs.reduce(0) { $0 + $1.files.count }
            let size = Quantities.bytes(part.plan.byteCount)
            table.append([
                part.name, part.plan.kind, waits.isEmpty ? "-" : waits,
                files == 0 ? "-" : "\(size) in \(files) files",
            ])
        }
        Console.print(table.rendered())
        for part in plan.parts {
            Console.print("\n\(part.name)")
            printInputs(part.plan)
            printRecipe(part.plan, part.preview, part.exports)
        }
        Console.print(
            "would send at most \(Quantities.bytes(plan.byteCount)) "
                + "in \(plan.uniqueFiles.count) files"
        )
    }
}

/// How large a pipeline may be.
private enum PipelineLimits {
    /// Bytes of the request: one message, less what calls carry beside it.
    static let messageBytes = 250 << 10
}
