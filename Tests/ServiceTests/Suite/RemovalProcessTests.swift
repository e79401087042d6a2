internal import Foundation
internal import Protocol
internal import TestProgram
internal import Testing

/// docs/CLIENT.md, Removing: `jobs rm` and what its `--dry-run` says; several jobs at once; by the built
/// programs.
@Suite struct RemovalProcessTests {
    private let programs: ProgramShell
    private let home: String

    init() throws {
        programs = try ProgramShell()
        home = programs.folder + "/home"
        try GatewayProcess.makeAuthority(home)
    }

    /// A gateway, a client of ada's, and a home of hers.
    private func serve(
        _ body: (GatewayProcess, RPCClient) async throws -> Void
    ) async throws {
        let gateway = try await GatewayProcess(
            state: programs.folder + "/state",
            certificates: home
        )
        defer { gateway.kill() }
        let client = try gateway.client(.user(name: "ada"), "ada")
        let profile =
            #"{"gateway":"\#(try gateway.address())","certificate":"ada.pem","key":"ada.key","#
            + #""ca":"ca.pem"}"#
        try Data(profile.utf8).write(to: URL(fileURLWithPath: home + "/profile.json"))
        try await Self.put("m", client)
        try await body(gateway, client)
        await client.close()
    }

    private static func put(_ text: String, _ client: RPCClient) async throws {
        var left = [Array(text.utf8)]
        let size = UInt64(text.utf8.count)
        _ = try await client.upload(
            QatMethods.putBlob,
            PutBlobRequest(digest: .of(text), size: size),
            size: size,
            digest: .of(text),
            nextChunk: { left.popLast() }
        )
    }

    private static func job(
        _ key: String,
        source: String = "m.gguf",
        after: [String] = []
    ) -> SubmitJobRequest {
        let spec = #"{"model": "\#(source)", "quantization": {"algorithm": "mxfp4"}}"#
        let file = InputFile(path: "m.gguf", digest: .of("m"), size: 1)
        let files = source.hasPrefix("job:") ? [] : [file]
        var request = SubmitJobRequest(
            kind: "quantize",
            name: key,
            key: key,
            specJSON: Array(spec.utf8),
            inputs: [Input(pointer: "/model", source: source, files: files)]
        )
        request.after = after
        return request
    }

    private static func submit(
        _ client: RPCClient,
        _ request: SubmitJobRequest
    ) async throws -> String {
        try await client.call(QatMethods.submitJob, request).jobID
    }

    private static func cancelled(_ client: RPCClient, _ key: String) async throws -> String {
        let id = try await submit(client, job(key))
        _ = try await client.call(QatMethods.cancelJob, CancelJobRequest(jobID: id, now: false))
        return id
    }

    /// Has the jobs that wait run to their ends, by a worker.
    private static func finish(
        _ count: Int,
        _ gateway: GatewayProcess,
        _ outcome: CompleteLeaseRequest.Outcome = .succeeded,
        reason: String = ""
    ) async throws {
        let worker = try gateway.client(
            .service(role: "quant", instance: "quant-1"),
            "quant-" + UUID().uuidString
        )
        _ = try await worker.call(
            QatMethods.registerWorker,
            RegisterWorkerRequest(
                role: "quant",
                instance: "quant-1",
                bootID: "b",
                address: "127.0.0.1:1",
                kinds: ["quantize"],
                stateID: "one"
            )
        )
        for _ in 0..<count {
            let request = AcquireLeaseRequest(instance: "quant-1", bootID: "b", waitSeconds: 10)
            let lease = try #require(try await worker.call(QatMethods.acquireLease, request).lease)
            try await put("out", worker)
            let end = CompleteLeaseRequest(
                jobID: lease.jobID,
                epoch: lease.epoch,
                outcome: outcome,
                reason: reason,
                outputs: [OutputFile(name: "model/o.gguf", digest: .of("out"), size: 3)],
                bootID: "b"
            )
            #expect(try await worker.call(QatMethods.completeLease, end).accepted)
        }
        await worker.close()
    }

    private func run(_ line: String) async throws -> TestProgram.Outcome {
        let programs = programs
        return try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(with: Result { try programs.run("qat-client \(line)") })
            }
        }
    }

    private static func lines(_ outcome: TestProgram.Outcome) -> Int {
        outcome.output.split(separator: "\n").count
    }

    /// Seen: 100 of 111 went, the others in silence; `--limit 1` took the oldest.
    @Test func filtersTakeAllThatTheyFit() async throws {
        defer { programs.remove() }
        try await serve { _, client in
            var ids: [String] = []
            for number in 0..<106 { ids.append(try await Self.cancelled(client, "bulk\(number)")) }
            let list = try await run("status")
            #expect(list.errors.contains("6 more jobs are not shown; --limit 106 shows all"))
            #expect(try await run("status --limit 106").errors.isEmpty)
            #expect(
                try await run("status --state cancelled --limit 105").errors
                    == "1 more job is not shown; --limit 106 shows all\n"
            )
            let dry = try await run("jobs rm --name bulk --dry-run")
            #expect(Self.lines(dry) == 106 && dry.errors.isEmpty, "\(dry)")
            let one = try await run("jobs rm --state cancelled --limit 1")
            #expect(one.output.hasPrefix(ids[105]) && Self.lines(one) == 1, "\(one)")
            #expect(one.errors == "105 more are left\n")
            let rest = try await run("jobs rm --name bulk")
            #expect(Self.lines(rest) == 105 && rest.errors.isEmpty && rest.status == 0)
            #expect(try await run("status").output.contains("no jobs"))
        }
    }

    /// Seen: behind `| head -1`, and at a full disk, the first of several was done, and the exit said success.
    @Test func aReaderThatGoesAwayEndsThePrintingAlone() async throws {
        defer { programs.remove() }
        try await serve { _, client in
            func states() async throws -> [String] {
                try await client.call(QatMethods.listJobs, ListJobsRequest()).jobs.map(\.state)
            }
            for number in 0..<4 { _ = try await Self.submit(client, Self.job("c\(number)")) }
            let cancelled = try await run("cancel c0 c1 c2 c3 | true; exit ${PIPESTATUS[0]}")
            #expect(cancelled.status == 0 && cancelled.errors.isEmpty, "\(cancelled)")
            #expect(try await states() == Array(repeating: "CANCELLED", count: 4))
            let retried = try await run("retry c0 c1 c2 > /dev/full")
            #expect(retried.status == 1 && retried.errors.contains("the work goes on without"))
            #expect(try await states().filter { $0 == "QUEUED" }.count == 3)
            _ = try await run("cancel c0 c1 c2")
            let removed = try await run("jobs rm --name c | true; exit ${PIPESTATUS[0]}")
            #expect(removed.status == 0)
            #expect(try await states().isEmpty)
        }
    }

    /// Seen: a name that there is not kept `cancel` from all others, which whole ids did not, and nobody was told.
    @Test func aNameThatThereIsNotKeepsNoOtherJobFromIt() async throws {
        defer { programs.remove() }
        try await serve { _, client in
            let id = try await Self.submit(client, Self.job("a1"))
            let mixed = try await run("cancel a1 a2")
            #expect(mixed.status == 2 && mixed.output == "\(id)  CANCELLED\n", "\(mixed)")
            #expect(mixed.errors.contains("no job has the id or the name \"a2\""), "\(mixed)")
            let none = try await run("cancel a2 a3")
            #expect(none.status == 2 && Self.lines(none) == 0)
            let removed = try await run("jobs rm a2 a1")
            #expect(removed.status == 2 && removed.output.hasPrefix("\(id)  removed"), "\(removed)")
        }
    }

    /// Each is tried with and without `--dry-run`: what is said of a refusal, and the exit, are the same.
    ///
    /// Seen: "would go" of what is needed, of a part of a pipeline, and of what there is not.
    @Test func aDryRunSaysWhatWouldComeOfIt() async throws {
        defer { programs.remove() }
        try await serve { gateway, client in
            let first = try await Self.submit(client, Self.job("first"))
            let second = try await Self.submit(client, Self.job("second"))
            let parts = SubmitPipelineRequest(
                key: "p",
                jobs: ["a", "b"].map { PipelineJob(name: $0, job: Self.job("")) }
            )
            let made = try await client.call(QatMethods.submitPipeline, parts)
            try await Self.finish(4, gateway)
            let later = try await Self.submit(client, Self.job("later", after: [first]))
            let user = try await Self.submit(
                client,
                Self.job("user", source: "job:\(second)/model")
            )
            let partsUser = try await Self.submit(
                client,
                Self.job("parts-user", source: "job:\(made.jobs[1].jobID)/model")
            )
            let alone = try await Self.cancelled(client, "alone")
            let part = made.jobs[0].jobID
            let pipeline = made.pipelineID
            let cases: [(words: String, said: [String], status: Int32)] = [
                (later, ["is QUEUED; cancel it first"], 5),
                (first, ["is needed by job \(later), which is QUEUED"], 5),
                (second, ["is needed by job \(user), which is QUEUED"], 5),
                (part, ["is of pipeline \(pipeline), which goes whole"], 5),
                (pipeline, ["is needed by job \(partsUser), which is QUEUED"], 5),
                ("0123456789abcdef", ["no job 0123456789abcdef"], 2),
                ("p-0123456789abcdef", ["no pipeline p-0123456789abcdef"], 2),
                ("\(first) 0123456789abcdef", ["is needed by", "no job"], 5),
                ("0123456789abcdef \(alone)", ["no job"], 2),
            ]
            for (words, said, status) in cases {
                let dry = try await run("jobs rm --dry-run \(words)")
                #expect(dry.status == status, "\(words): \(dry)")
                for sentence in said { #expect(dry.errors.contains(sentence), "\(dry)") }
                let real = try await run("jobs rm \(words)")
                #expect(real.status == dry.status && real.errors == dry.errors, "\(dry) \(real)")
                #expect(Self.lines(real) == Self.lines(dry), "\(dry) \(real)")
            }
            // Filters, too.
            let dry = try await run("jobs rm --state succeeded --dry-run")
            let real = try await run("jobs rm --state succeeded")
            #expect(dry.status == 5 && dry.output.isEmpty, "\(dry)")
            #expect(real.status == 5 && real.errors == dry.errors, "\(real)")
            // Once the others have ended, all goes; what goes with its pipeline is not there any more.
            for id in [later, user, partsUser] {
                _ = try await client.call(
                    QatMethods.cancelJob,
                    CancelJobRequest(jobID: id, now: false)
                )
            }
            let all = "\(first) \(second) \(pipeline) \(part)"
            let dryAll = try await run("jobs rm --dry-run \(all)")
            let realAll = try await run("jobs rm \(all)")
            #expect(Self.lines(dryAll) == 3 && dryAll.status == 2, "\(dryAll)")
            #expect(realAll.status == 2 && realAll.errors == dryAll.errors, "\(realAll)")
        }
    }

    /// Seen: `cancel A B` where B waits for A: A was cancelled, and B failed for it.
    @Test func thoseThatWaitForOthersAreCancelledFirst() async throws {
        defer { programs.remove() }
        try await serve { _, client in
            for (number, reversed) in [false, true].enumerated() {
                let first = try await Self.submit(client, Self.job("a\(number)"))
                let second = try await Self.submit(client, Self.job("b\(number)", after: [first]))
                let third = try await Self.submit(
                    client,
                    Self.job("c\(number)", source: "job:\(second)/model")
                )
                // Also where the one between is not named.
                let ids = reversed ? [third, second, first] : [first, third]
                let cancel = try await run("cancel \(ids.joined(separator: " "))")
                #expect(cancel.status == 0, "\(cancel)")
                let end = try await run("wait \(first) \(third)")
                #expect(end.status == 3 && !end.output.contains("FAILED"), "\(end)")
            }
        }
    }

    /// Seen: `wait --timeout 3 DONE WAITING` showed nothing of DONE, and `--timeout 0 DONE` was 124.
    @Test func aWaitThatIsOverShowsWhatHasEnded() async throws {
        defer { programs.remove() }
        try await serve { _, client in
            let done = try await Self.cancelled(client, "done")
            let waiting = try await Self.submit(client, Self.job("waiting"))
            for (words, status, shown, isUp) in [
                ("--timeout 0 \(done)", 3, 1, false), ("--timeout 0 \(waiting)", 124, 0, true),
                ("--timeout 0 done \(waiting)", 124, 1, true),
                ("--timeout 1 \(waiting) \(done)", 124, 1, true),
                ("--timeout 1 --json \(waiting) \(done)", 124, 1, true),
                ("--timeout 1h \(done)", 3, 1, false), ("\(done)", 3, 1, false),
                ("--timeout 0 nobody", 2, 0, false),
            ] {
                let outcome = try await run("wait \(words)")
                #expect(outcome.status == Int32(status), "\(words): \(outcome)")
                #expect(Self.lines(outcome) == shown, "\(words): \(outcome)")
                #expect(shown == 0 || outcome.output.contains(done), "\(words): \(outcome)")
                #expect(outcome.errors.contains("the time is up") == isUp, "\(words): \(outcome)")
            }
        }
    }

    /// Seen: `wait` was ended by the signal, without a word.
    @Test func ctrlCLeavesAWait() async throws {
        defer { programs.remove() }
        try await serve { _, client in
            let id = try await Self.submit(client, Self.job("waiting"))
            let notes = programs.folder + "/notes"
            let wait = try TestProgram(
                try LocalSuiteFixture.programFolder() + "/qat-client",
                ["wait", id],
                environment: ["QAT_HOME": home, "QAT_GATEWAY": nil],
                errors: .file(notes)
            )
            // Once it listens for the signal.
            func listens() throws -> Bool {
                let path = "/proc/\(wait.processID)/status"
                let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
                let mask = lines.first { $0.hasPrefix("SigCgt:") }?.split(separator: "\t").last
                return mask.flatMap { UInt64($0, radix: 16) }.map { $0 & 2 != 0 } ?? false
            }
            while try wait.isRunning && !listens() { try await Task.sleep(for: .milliseconds(5)) }
            wait.signal(SIGINT)
            while wait.isRunning { try await Task.sleep(for: .milliseconds(5)) }
            #expect(wait.wait() == .exited(130))
            #expect(try String(contentsOfFile: notes, encoding: .utf8).contains("jobs go on"))
            let state = try await client.call(QatMethods.getJob, GetJobRequest(jobID: id))
            #expect(state.summary.state == "QUEUED")
        }
    }

    /// Seen: what a job has that failed at an export counted in the quota, and was in no list.
    @Test func outputsOfAJobThatFailedAreListed() async throws {
        defer { programs.remove() }
        try await serve { gateway, client in
            let good = try await Self.submit(client, Self.job("good"))
            try await Self.finish(1, gateway)
            let failed = try await Self.submit(client, Self.job("failed"))
            try await Self.finish(1, gateway, .failed, reason: "EXPORT_FAILED")
            let never = try await Self.cancelled(client, "never")
            let list = try await run("artifacts ls")
            #expect(Self.lines(list) == 3, "\(list)")
            for (id, isThere) in [(good, true), (failed, true), (never, false)] {
                #expect(list.output.contains(id) == isThere, "\(list)")
            }
        }
    }
}
