internal import ArgumentParser
internal import Foundation
internal import JobSpecs
internal import Jobs
internal import Protocol

/// `submit`: checks a job file, sends what it needs, and makes it a job exactly once.
struct SubmitCommand: ClientVerb {
    static let doesMoreThanPrint = true
    static let configuration = CommandConfiguration(
        commandName: "submit",
        abstract: "Submit a job file or a pipeline and print its id.",
        usage: "qat-client submit [KIND] FILE [OPTIONS]",
        discussion: """
            KIND is quantize, train, evaluate, serve or pipeline; without it the file's keys tell. FILE is \
            JSON or YAML, or - for the standard input; relative paths in it start from its folder, \
            or from the current one. Where it means a model or a text, job:JOB/OUTPUT is another \
            job's output: JOB is an id or its beginning, a name, or latest.

            A pipeline is {"jobs": {NAME: JOB, …}}: jobs of any kind, submitted all or none. \
            job:NAME/OUTPUT is an output of one of them before it is another job's; "after": \
            [NAME, …] lets it start later. --set NAME.KEY=VALUE reaches into a job. See "explain \
            pipeline".
            """
    )

    @Argument(
        help: ArgumentHelp("The kind, unless the file's keys tell it, and the file."),
        completion: .file()
    )
    var words: [String]
    @Option(
        name: .customLong("set"),
        help: ArgumentHelp(
            """
            A value instead of the file's, such as trainer.max_steps=10 or tasks[0].windows=4: \
            JSON, or text without quotes; again for several.
            """,
            valueName: "key=value"
        )
    )
    var overrides: [String] = []
    @Option(help: "A name for people, instead of the file's.")
    var name: String?
    @Option(help: "The submission's key; submitting twice under one key makes one job.")
    var key: String?
    @Flag(help: "Follow the job to its end.")
    var watch = false
    @Flag(help: "Check everything and say what would be sent, but send nothing.")
    var dryRun = false
    @OptionGroup(title: "Scheduling") var options: ScheduleOptions
    @OptionGroup var output: OutputOptions

    /// The kind, if it is given.
    var kind: String? { words.count > 1 ? words[0] : nil }
    /// Whether tables follow that say what is remarkable of the exports.
    var showsTables: Bool { dryRun && !output.json }
    /// The file.
    var file: String { words.last ?? "" }

    func validate() throws {
        guard (1...2).contains(words.count) else {
            throw ValidationError("submit takes a kind and a file, or a file alone.")
        }
        let kinds = JobSchema.fileKinds
        if let kind, !kinds.contains(kind) {
            let hint = JobSchema.hint(for: kind, among: kinds)
            throw ValidationError("\(TerminalText.short(kind)) is no kind of job; \(hint)")
        }
        if words.count == 1, kinds.contains(file),
            !FileManager.default.fileExists(atPath: file)
        {
            throw ValidationError("The job file is missing: qat-client submit \(file) FILE.")
        }
        let isKey = key.map { key in
            (1...64).contains(key.utf8.count) && key.utf8.allSatisfy { (0x21...0x7E).contains($0) }
        }
        guard isKey ?? true else {
            throw ValidationError("--key takes 1 to 64 printable ASCII characters without spaces.")
        }
        let limit = JobLimits().nameBytes
        if let name, !(1...limit).contains(name.utf8.count) {
            throw ValidationError("--name takes 1 to \(limit) bytes, not \(name.utf8.count).")
        }
    }

    func perform() async throws -> ExitStatus {
        let typed = try JobFile(file, kind: kind, overrides: overrides)
        let home = QatHome()
        guard typed.kind != "pipeline" else {
            return try await performPipeline(typed, home)
        }
        let submission = try await TypedSubmission(typed, options.typed, key: key, home) {
            try SubmissionPlan($0, name: name)
        }
        if submission.before == nil { try options.requireTime() }
        let (plan, jobFile) = (submission.plan, submission.references.file)
        let inputs = try InputValidation(plan, file: jobFile.name)
        let preview = try RecipePreview(plan.spec, inputs: plan.inputs)
        let trainings = [
            MemoryComparison.Training(name: "the training", of: plan.spec, preview?.memory)
        ].compactMap { $0 }
        let ahead =
            dryRun
            ? try await MemoryComparison.checkAhead(trainings, file: jobFile.name, home) : []
        func warnings(_ remarks: [String]) -> [String] {
            plan.warnings.map(\.description) + remarks + (preview?.warnings ?? []) + ahead
        }
        for warning in warnings(showsTables ? inputs.remarksBesideTable : inputs.remarks) {
            Console.note("warning: \(jobFile.name): \(warning)")
        }
        for warning in Self.warnings(plan.spec) {
            Console.note("note: \(warning)")
        }
        guard !dryRun else {
            printDryRun(submission, preview, inputs.exports, warnings: warnings(inputs.remarks))
            return .succeeded
        }
        let submitted = try await GatewayConnection.with(home) { client in
            // What was submitted before may be a job already, whatever workers there are now.
            if submission.before == nil {
                try await MemoryComparison.check(trainings, file: jobFile.name, client)
            }
            return try await submit(submission, home, client)
        }
        let response = submitted.response
        if output.json {
            var members: [String: JSONValue] = [
                "job_id": .string(response.jobID),
                "created": .boolean(response.created),
            ]
            if !response.reusedFrom.isEmpty {
                members["reused_from"] = .string(response.reusedFrom)
            }
            Console.print(.object(members))
        } else {
            if !response.created {
                Console.note("this was submitted before; it is the same job")
            }
            if !response.reusedFrom.isEmpty {
                Console.note("reused from job \(response.reusedFrom), which did the same")
            }
            Console.print(response.jobID)
        }
        try submitted.recordIfShown(response.jobID)
        guard watch else {
            return .succeeded
        }
        return try await WatchCommand.watch(response.jobID, home, json: output.json)
    }

    func submit(
        _ submission: TypedSubmission<SubmissionPlan>,
        _ home: QatHome,
        _ client: RPCClient
    ) async throws -> Submitted<SubmitJobResponse> {
        let plan = submission.plan
        return try await exactlyOnce(submission, home, client) {
            try await checkStored([plan], submission.before, client)
            try await BlobUploader.upload(plan.uniqueFiles, client)
        } send: { key, schedule in
            try await client.call(QatMethods.submitJob, plan.request(key: key, schedule))
        }
    }

    /// What is asked for, with the jobs of `--after` found.
    func schedule(_ client: RPCClient) async throws -> Schedule {
        var schedule = options.schedule
        if !options.after.isEmpty {
            schedule.after = try await JobSelector(client: client)
                .ids(options.after, isHarmless: false)
        }
        return schedule
    }

    /// Runs a submission under a key that stands in the journal first; the key of an unfinished one of
    /// the same, if there is one, and with what its words meant when it was made.
    ///
    /// `prepare`: What comes before the submission itself; where it fails, nothing was submitted.
    func exactlyOnce<Plan, Response: Sendable>(
        _ submission: TypedSubmission<Plan>,
        _ home: QatHome,
        _ client: RPCClient,
        prepare: () async throws -> Void,
        send: (_ key: String, Schedule) async throws -> Response
    ) async throws -> Submitted<Response> {
        try home.create()
        let (journal, before) = (SubmitJournal(home), submission.before)
        let key = self.key ?? before?.key ?? UUIDv7.now().description
        let schedule: Schedule
        if let known = before?.schedule {
            schedule = known
        } else {
            schedule = try await self.schedule(client)
        }
        if let sentence = before?.sentence(schedule) {
            Console.note("note: goes on with \(sentence)")
        }
        do {
            try await prepare()
        } catch let error as RPCError where error.isConnectionLoss && before != nil {
            throw Self.resumable(error, key)
        }
        try journal.record(
            .init(
                key: key,
                isOwnKey: self.key != nil,
                digest: submission.digest,
                file: file,
                schedule: schedule,
                references: submission.references.ids,
                unixMs: Int64(Date.now.timeIntervalSince1970 * 1000)
            )
        )
        do {
            let response = try await send(key, schedule)
            return Submitted(response: response, key: key, journal: journal)
        } catch let error as RPCError where error.isConnectionLoss {
            throw Self.resumable(error, key)
        } catch var error as RPCError
            where error.category == .permanent || error.code == .resourceExhausted
        {
            error.message = Self.placed(error.message)
            // Who was refused before the gateway looked up the key does not know yet what became of what was sent
            // under it, by an earlier command or an attempt of this one.
            if error.processed == .maybe || before != nil && error.processed == .no {
                error.message +=
                    "; whether it was taken is not known: the same command asks again"
                throw error
            }
            if let sentence = before?.sentence(schedule) {
                error.message += "; that was \(sentence): submit the file again for a new one"
            }
            for digest in Set([submission.digest, before?.digest ?? submission.digest]) {
                try journal.recordRefusal(
                    key: key,
                    isOwnKey: self.key != nil,
                    digest: digest,
                    reason: error.message
                )
            }
            throw error
        }
    }

    /// What is said of a submission of which nobody knows whether the gateway took it.
    private static func resumable(_ error: RPCError, _ key: String) -> ClientError {
        ClientError(
            ExitStatus(error),
            "\(error.message); submit the same file again to continue under key \(key)"
        )
    }

    /// A gateway's sentence with the place in the job file as everything else writes it: `$.model` for
    /// `/model`.
    static func placed(_ sentence: String) -> String {
        guard let prefix = sentence.prefixMatch(of: #/(job [^\s:]+: )?(/[a-z0-9_/]+): /#) else {
            return sentence
        }
        let place = JSONPath.path(ofPointer: String(prefix.output.2))
        return (prefix.output.1 ?? "") + place + ": " + sentence[prefix.range.upperBound...]
    }

    /// What the submitter should know though nothing is wrong.
    static func warnings(_ spec: JobSpec) -> [String] {
        let resources = spec.resources
        // Whether a worker offers that is the gateway's to know.
        let wants =
            resources.runsCode
            ? "takes \(resources.description), which eval workers with --allow-code-execution offer; "
                + "while none does, it waits, and status says so"
            : resources.waitReason
        return (wants.map { ["the job \($0)"] } ?? [])
            + spec.unsupported.map { "no worker of this version does this: \($0)" }
    }

    /// Refuses what names artifacts that the gateway lacks, before anything is sent; unless it may be a job
    /// already, which was made when they were there: then the gateway says so.
    func checkStored(
        _ plans: [SubmissionPlan],
        _ before: SubmitJournal.Intent?,
        _ client: RPCClient
    ) async throws {
        let digests = plans.flatMap { $0.inputs.flatMap(\.stored).map(\.digest) }
        guard !digests.isEmpty, before == nil, key == nil else {
            return
        }
        let request = FindMissingRequest(digests: digests)
        let missing = try await client.call(QatMethods.findMissing, request).digests
        guard missing.isEmpty else {
            throw ClientError(
                .usage,
                missing.map {
                    "the gateway has no artifact sha256:\($0.hex); "
                        + "\"qat-client artifacts put\" stores one"
                }
            )
        }
    }

    private func printDryRun(
        _ submission: TypedSubmission<SubmissionPlan>,
        _ preview: RecipePreview?,
        _ exports: ExportTable,
        warnings: [String]
    ) {
        let plan = submission.plan
        if output.json {
            Console.print(
                .object([
                    "dry_run": .boolean(true),
                    "kind": .string(plan.kind),
                    "name": .string(plan.name),
                    "digest": .string(submission.digest),
                    "spec": JobAnswer.document(plan.specJSON),
                    "inputs": .array(plan.inputs.map(\.json)),
                    "byte_count": .number(Double(plan.byteCount)),
                    "unsupported": .array(
                        plan.spec.unsupported.map { .string($0.description) }
                    ),
                    "warnings": .array(warnings.map(JSONValue.string)),
                    "recipe": preview?.json ?? .null,
                    "exports": exports.json,
                ])
            )
            return
        }
        Console.print("\(plan.kind) job \"\(plan.name)\": the file is valid; nothing was sent")
        printInputs(plan)
        printRecipe(plan, preview, exports)
        Console.print(
            "would send at most \(Quantities.bytes(plan.byteCount)) "
                + "in \(plan.uniqueFiles.count) files"
        )
    }

    func printInputs(_ plan: SubmissionPlan) {
        var table = TextTable(["INPUT", "SIZE", "SHA-256", "FILE"])
        for input in plan.inputs {
            let path = JSONPath.path(ofPointer: input.pointer)
            if input.files.isEmpty {
                table.append([path, "-", "-", input.source])
            }
            for file in input.files {
                let digest = String(file.digest.hex.prefix(12))
                table.append([path, Quantities.bytes(file.size), digest, file.path])
            }
        }
        Console.print(table.rendered())
    }

    func printRecipe(_ plan: SubmissionPlan, _ preview: RecipePreview?, _ exports: ExportTable) {
        if let preview {
            preview.print()
            Console.print(exports.text)
        } else if ![Kind.evaluate, .serve].map(\.rawValue).contains(plan.kind) {
            Console.print("the model is not at hand, so its layers cannot be listed here")
        }
    }
}

/// A submission that the gateway has taken.
struct Submitted<Response: Sendable>: Sendable {
    let response: Response
    let key: String
    let journal: SubmitJournal

    /// Records what it became, once that is shown: whoever never saw the id submits the same again, and
    /// is to get the same job.
    func recordIfShown(_ id: String) throws {
        guard Console.isOutputWhole else { return }
        try journal.recordJob(key: key, jobID: id)
    }
}
