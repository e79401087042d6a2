internal import Foundation
internal import Jobs
internal import Testing

@testable internal import Gateway
@testable internal import Protocol

/// What the ways into the gateway have in common, and what a stopping gateway tells those who wait.
struct GatewayAPITests {
    /// A job's inputs are told on demand, with the bytes that it was given, those of another job's output among
    /// them; and to nobody who does not see the job.
    @Test func inputsAreToldWithTheirDigests() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let worker = try await gateway.worker(.quant, "quant-1")
            let first = try await gateway.submit(ada, text: "weights")
            let second = try await gateway.submit(
                ada,
                key: "2",
                source: "job:\(first)",
                uploads: false
            )
            func inputs(_ id: String, _ client: RPCClient) async throws -> JobDetail {
                try await client.call(QatMethods.getJob, GetJobRequest(jobID: id, inputs: true))
            }
            #expect(try await inputs(second, ada).inputs.map(\.files.count) == [0])
            let lease = try await gateway.lease(worker, "quant-1")
            try await gateway.put("rounded", worker)
            let done = CompleteLeaseRequest(
                jobID: first,
                epoch: lease.epoch,
                outputs: [OutputFile(name: "model", digest: .of("rounded"), size: 7)],
                bootID: "b1"
            )
            #expect(try await worker.call(QatMethods.completeLease, done).accepted)
            let told = try await inputs(first, ada)
            #expect(told.inputs.map(\.pointer) == ["/model"])
            #expect(told.inputs.flatMap(\.files).map(\.digest) == [.of("weights")])
            // Both do not fit into one message.
            #expect(told.specJSON.isEmpty && told.outputs.isEmpty)
            #expect(told.summary.state == "SUCCEEDED")
            let next = try await inputs(second, ada).inputs
            #expect(next.map(\.source) == ["job:\(first)"])
            #expect(next.flatMap(\.files).map(\.digest) == [.of("rounded")])
            let whole = try await ada.call(QatMethods.getJob, GetJobRequest(jobID: first))
            #expect(whole.inputs.isEmpty && !whole.specJSON.isEmpty)
            let eve = try gateway.user("eve")
            #expect(await code { _ = try await inputs(first, eve) } == .notFound)
        }
    }

    static func api() throws -> GatewayAPI {
        let jobs = try StoreFixture()
        let audit = AuditLog { _ in }
        return GatewayAPI(
            engine: jobs.engine,
            artifacts: try ArtifactStore(root: jobs.folder + "/cas"),
            logs: try JobLogStore(folder: jobs.folder + "/logs"),
            authority: Authority(policies: PolicyFile(AccessPolicy()), audit: audit)
        )
    }

    /// The policy speaks of what the wire offers, no more and no less.
    @Test func everyMethodIsAnOperationOfThePolicy() throws {
        let routed = Set(RPCAdapter(api: try Self.api()).router.routes.keys)
        #expect(routed == Set(Operation.allCases.map(\.rawValue)))
    }

    @Test(.timeLimit(.minutes(5)))
    func whoWaitsForAJobHearsAtOnceThatTheGatewayStops() async throws {
        try await GatewayFixture.run { fixture in
            let worker = try await fixture.worker(.train, "train-1")
            let request = AcquireLeaseRequest(instance: "train-1", bootID: "b1", waitSeconds: 30)
            async let lease = worker.call(
                QatMethods.acquireLease,
                request,
                timeout: .seconds(60)
            )
            while fixture.jobs.engine.hub.subscriberCount(JobEngine.queueTopic) == 0 {
                try await Task.sleep(for: .milliseconds(5))
            }
            let start = ContinuousClock.now
            fixture.jobs.engine.hub.close()
            #expect(try await lease.lease == nil)
            // Half of what the call would have waited for.
            #expect(ContinuousClock.now - start < .seconds(15))
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func watchersAreToldToComeAgain() async throws {
        try await GatewayFixture.run { fixture in
            let ada = try fixture.user("ada")
            let id = try await fixture.submit(ada)
            fixture.jobs.engine.hub.close()
            let error = await #expect(throws: RPCError.self) {
                try await ada.stream(QatMethods.watchJob, WatchJobRequest(jobID: id)) { _ in }
            }
            #expect(error?.code == .unavailable)
        }
    }

    /// Seen: whoever sees only their own jobs got these whatever owner they asked for.
    @Test func theListOfAnotherOwnerIsEmptyForWhoMayNotSeeIt() async throws {
        var policy = AccessPolicy()
        policy.operators = ["olga"]
        try await GatewayFixture.run(policy) { gateway in
            let ada = try gateway.user("ada")
            let eve = try gateway.user("eve")
            let olga = try gateway.user("olga")
            for (user, name) in [(ada, "ada"), (eve, "eve")] {
                try await gateway.submit(user, key: name, text: name)
            }
            func owners(_ owner: String, _ client: RPCClient) async throws -> [String] {
                try await client.call(QatMethods.listJobs, ListJobsRequest(owner: owner))
                    .jobs.map(\.owner)
            }
            for other in ["ada", "nobody"] { #expect(try await owners(other, eve).isEmpty) }
            #expect(try await owners("eve", eve) == ["eve"])
            #expect(try await owners("", eve) == ["eve"])
            #expect(try await owners("ada", olga) == ["ada"])
        }
    }

    /// Seen: what was computed on was not what the job says for good.
    @Test(arguments: [
        ("job:0123456789abcdef/model", "m.gguf"), ("m.gguf", "job:0123456789abcdef/model"),
        ("job:0123456789abcdef/model", "job:0123456789abcdee/model"),
        ("sha256:\(String(repeating: "0", count: 64))", "m.gguf"),
        ("m.gguf", "sha256:\(String(repeating: "0", count: 64))"),
    ])
    func anInputIsWhatTheSpecificationSays(said: String, sent: String) async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let digest = try await gateway.put("m", ada)
            let spec = #"{"model": "\#(said)", "quantization": {"algorithm": "mxfp4"}}"#
            let request = SubmitJobRequest(
                kind: "quantize",
                name: "n",
                key: "k",
                specJSON: Array(spec.utf8),
                inputs: [
                    Input(
                        pointer: "/model",
                        source: sent,
                        files: [InputFile(path: "m.gguf", digest: digest, size: 1)]
                    )
                ]
            )
            let error = await #expect(throws: RPCError.self) {
                _ = try await ada.call(QatMethods.submitJob, request)
            }
            #expect(error?.code == .invalidArgument, "\(error.map(String.init(describing:)) ?? "")")
            // The handler ran, and says so.
            #expect(error?.processed == .yes)
        }
    }

    /// Whether what was asked for is done already nobody knows who could not read it.
    ///
    /// Seen: a damaged database refused a submission that it had taken before, and said that this was its answer.
    @Test(
        arguments: [
            (.unusable, false), (.corrupt, false), (.noSpace, false), (.busy, false),
            (.stopping, false), (.outOfOrder, false), (.notFound, true), (.alreadyExists, true),
            (.invalidState, true), (.missingArtifacts, true), (.invalidArgument, true),
            (.tooLarge, true), (.quota, true),
        ] as [(StoreError.Code, Bool)]
    )
    func onlyWhatWasLookedUpIsAnAnswer(code: StoreError.Code, isAnswer: Bool) {
        let error = StoreError(code, "no").rpcError(isHandled: true)
        #expect(error.processed == (isAnswer ? .yes : .maybe))
    }

    /// The same over a real connection: the index of keys is gone, and with it what was submitted.
    @Test func aDatabaseThatCannotBeReadLeavesOpenWhatWasTaken() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            try await gateway.submit(ada)
            try await gateway.jobs.execute("ALTER TABLE job RENAME TO elsewhere")
            let error = await #expect(throws: RPCError.self) { try await gateway.submit(ada) }
            #expect(error?.processed == .maybe, "\(error.map(String.init(describing:)) ?? "")")
        }
    }

    /// What this version refuses was taken by an earlier one, or what a limit forbids, before it was lowered.
    @Test func aKeyIsLookedUpForWhateverIsRefused() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let id = try await gateway.submit(ada)
            for json in [#"{"model": 7}"#, "no JSON"] {
                let request = SubmitJobRequest(
                    kind: "quantize",
                    name: "n",
                    key: "k",
                    specJSON: Array(json.utf8)
                )
                let error = await #expect(throws: RPCError.self) {
                    _ = try await ada.call(QatMethods.submitJob, request)
                }
                #expect(error?.code == .alreadyExists && error?.message.contains(id) == true)
            }
        }
    }

    /// What a worker may have, for whoever submits what needs much.
    @Test func theListOfWorkersSaysTheirMemory() async throws {
        try await GatewayFixture.run { gateway in
            let worker = try gateway.client(.service(role: "train", instance: "train-1"))
            var request = RegisterWorkerRequest(
                role: "train",
                instance: "train-1",
                bootID: "b1",
                address: "127.0.0.1:1",
                kinds: ["train"]
            )
            request.memoryBytes = 25_300_000_000
            _ = try await worker.call(QatMethods.registerWorker, request)
            let status = try await gateway.user("ada").call(QatMethods.status, StatusRequest())
            #expect(status.services.map(\.memoryBytes) == [25_300_000_000])
        }
    }

    /// Seen: `sha256:` with digits in capitals was refused as not what the specification says.
    @Test func theDigitsOfADigestMayBeCapitals() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let digest = try await gateway.put("m", ada)
            let texts = ["sha256:" + digest.hex.uppercased(), "sha256:" + digest.hex]
            for (number, (said, sent)) in zip(texts, texts.reversed()).enumerated() {
                let spec = #"{"model": "\#(said)", "quantization": {"algorithm": "mxfp4"}}"#
                let file = InputFile(path: "m.gguf", digest: digest, size: 1)
                let request = SubmitJobRequest(
                    kind: "quantize",
                    name: "n",
                    key: "k\(number)",
                    specJSON: Array(spec.utf8),
                    inputs: [Input(pointer: "/model", source: sent, files: [file])]
                )
                #expect(try await ada.call(QatMethods.submitJob, request).created)
            }
        }
    }

    /// Of a job that is over, too: what an output is does not change.
    @Test func anOutputIsWhatTheSpecificationAsksFor() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let first = try await gateway.submit(ada)
            for isOver in [false, true] {
                if isOver {
                    _ = try await ada.call(
                        QatMethods.cancelJob,
                        CancelJobRequest(jobID: first, now: true)
                    )
                }
                let error = await #expect(throws: RPCError.self) {
                    try await gateway.submit(
                        ada,
                        key: "k\(isOver)",
                        source: "job:\(first)/report.html"
                    )
                }
                #expect(
                    error?.message
                        == "/model: of quantize job \(first), report.html is a report, no model; "
                        + "expected model"
                )
            }
        }
    }

    /// Seen: two files, or another one's digest, were taken and dropped in silence.
    @Test(arguments: [["m", "m"], ["n"]])
    func aDigestAsSourceIsOneFileOfThatDigest(contents: [String]) async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let source = "sha256:\(try await gateway.put("m", ada).hex)"
            let spec = #"{"model": "\#(source)", "quantization": {"algorithm": "mxfp4"}}"#
            let files = contents.enumerated().map { index, text in
                InputFile(path: "\(index).gguf", digest: .of(text), size: 1)
            }
            let request = SubmitJobRequest(
                kind: "quantize",
                name: "n",
                key: "k",
                specJSON: Array(spec.utf8),
                inputs: [Input(pointer: "/model", source: source, files: files)]
            )
            #expect(
                await code { _ = try await ada.call(QatMethods.submitJob, request) }
                    == .invalidArgument
            )
        }
    }

    /// Seen: a job that was retried, and one that was cancelled, went on with an estimate of its end.
    @Test func aJobThatDoesNotRunHasNoPace() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let id = try await fixture.submit("k")
        let lease = try #require(try await fixture.acquire())
        let event = JobEvent(
            jobID: id,
            type: .progress,
            progress: JobProgress(
                step: 848,
                totalSteps: 60_000,
                loss: 2.4,
                tokensPerSecond: 10,
                etaSeconds: 342,
                phase: "train"
            )
        )
        _ = try await fixture.heartbeat(lease, events: [event])
        func progress() async throws -> JobProgress {
            try await fixture.engine.detail(id).summary.progress
        }
        #expect(try await progress().etaSeconds == 342)
        #expect(try await fixture.complete(lease, .failed, reason: "USER_ERROR"))
        let ended = try await progress()
        #expect(ended.step == 848 && ended.etaSeconds == nil && ended.tokensPerSecond == nil)
        try await fixture.engine.retry(id, by: "ada")
        // No checkpoint: it begins anew.
        #expect(try await progress() == JobProgress(totalSteps: 60_000))
    }

    /// Seen: every call of Health/Check was a write and two flushes of the disk.
    @Test func theDiskIsLookedAtOnceHoweverOftenHealthIsAsked() async {
        let monitor = HealthMonitor()
        let probe = Probe()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<200 {
                group.addTask {
                    _ = await monitor.health { try await probe.run() }
                }
            }
        }
        // A second passes on a machine that is busy; two do not.
        #expect((1...2).contains(await probe.count))
    }

    /// A full disk is no fault of the request: workers wait, and lose nothing.
    @Test(arguments: [
        NSError(domain: NSPOSIXErrorDomain, code: Int(ENOSPC)),
        NSError(domain: NSPOSIXErrorDomain, code: Int(EDQUOT)),
        NSError(domain: NSCocoaErrorDomain, code: 640),
    ])
    func aFullDiskIsWorthTryingLater(error: NSError) throws {
        #expect(try #require(StoreError(error)).rpcError().code == .unavailable)
    }
}

/// Counts how often the disk is looked at.
private actor Probe {
    private(set) var count = 0

    func run() async throws {
        count += 1
        try await Task.sleep(for: .milliseconds(20))
    }
}
