internal import ArgumentParser
internal import Foundation
internal import JobSpecs
internal import Jobs
internal import Protocol
internal import Synchronization
internal import Testing
@testable internal import qat_client

@Suite struct JobWatcherTests {
    private static func event(_ seq: UInt64, _ state: String = "RUNNING") -> JobEvent {
        JobEvent(jobID: "j", seq: seq, type: .state, state: state)
    }

    private func follow(
        _ gateway: ScriptedGateway
    ) async throws -> (state: String, seen: [UInt64]) {
        try await gateway.serve { client in
            var seen: [UInt64] = []
            let patience = gateway.patience
            let watcher = JobWatcher(client: client, jobID: "j", patience: patience)
            let state = try await watcher.follow { seen.append($0.seq) }
            return (state, seen)
        }
    }

    @Test func continuesAfterALostConnectionWithoutRepeatingEvents() async throws {
        let gateway = try ScriptedGateway(playbacks: [
            .init(events: [Self.event(1), Self.event(2)], error: ScriptedGateway.loss),
            .init(events: [Self.event(2), Self.event(3)]),
            .init(events: [Self.event(3), Self.event(4, "SUCCEEDED")]),
        ])
        let (state, seen) = try await follow(gateway)
        #expect(state == "SUCCEEDED")
        #expect(seen == [1, 2, 3, 4])
        #expect(gateway.state.withLock { $0.watches.map(\.fromSeq) } == [0, 2, 3])
    }

    @Test func givesUpAtOnceWhenItNeverConnected() async throws {
        let lost = ScriptedGateway.Playback(events: [], error: ScriptedGateway.loss)
        let gateway = try ScriptedGateway(playbacks: [lost])
        let error = await #expect(throws: ClientError.self) { try await follow(gateway) }
        #expect(error?.status == .unreachable)
    }

    @Test func passesOnWhatTheGatewayRefuses() async throws {
        let gateway = try ScriptedGateway(playbacks: [
            .init(events: [], error: RPCError(.notFound, "no job j"))
        ])
        let error = await #expect(throws: RPCError.self) { try await follow(gateway) }
        #expect(error?.code == .notFound)
    }
}

@Suite struct SubmissionTests {
    private let folder: TemporaryHome
    private let plan: SubmissionPlan

    init() throws {
        folder = try TemporaryHome()
        try folder.writeModel()
        try folder.write("t.txt", [UInt8](repeating: 0x61, count: 200_000))
        let file = try folder.write(
            "job.json",
            #"{"data": {"train": ["t.txt"]}, "model": "m.gguf", "quantization": {"algorithm": "fp4"}}"#
        )
        plan = try SubmissionPlan(kind: "train", file: file, name: nil)
    }

    private func submit(
        _ gateway: ScriptedGateway,
        _ arguments: [String] = []
    ) async throws -> SubmitJobResponse {
        try await submitted(gateway, ["train", "job.json"] + arguments).response
    }

    private func submitted(
        _ gateway: ScriptedGateway,
        _ arguments: [String],
        attempts: Int = 1
    ) async throws -> Submitted<SubmitJobResponse> {
        let home = folder.home
        let file = folder.home.path + "/" + (arguments.first { $0.hasSuffix(".json") } ?? "")
        return try await gateway.serve(attempts: attempts) { client in
            let command = try SubmitCommand.parse(arguments)
            let submission = try await TypedSubmission(
                JobFile(file, kind: command.kind, overrides: []),
                command.options.typed,
                key: command.key,
                home
            ) { try SubmissionPlan($0, name: nil) }
            return try await command.submit(submission, home, client)
        }
    }

    @Test func sendsMissingFilesOnceAndTheCanonicalSpecification() async throws {
        let gateway = try ScriptedGateway()
        #expect(try await submit(gateway).jobID == "job-1")
        _ = try await submit(gateway)
        let state = gateway.state.withLock { $0 }
        #expect(state.uploads == plan.uniqueFiles.map(\.digest))
        #expect(state.blobs[plan.inputs[1].files[0].digest]?.count == 200_000)
        let request = try #require(state.submissions.first)
        #expect(request.kind == "train")
        #expect(request.name == "job")
        #expect(request.inputs.map(\.pointer) == ["/model", "/data/train/0"])
        #expect(
            request.inputs[0].files == [
                InputFile(path: "m.gguf", digest: plan.inputs[0].files[0].digest, size: 72)
            ]
        )
        #expect(
            String(decoding: request.specJSON, as: UTF8.self)
                == #"{"data":{"train":["t.txt"]},"model":"m.gguf","quantization":{"algorithm":"fp4"}}"#
        )
        // Two submissions that both got their answers are two jobs.
        #expect(Set(state.submissions.map(\.key)).count == 2)
    }

    @Test func takesTheKeyOfTheCommandLine() async throws {
        let gateway = try ScriptedGateway()
        _ = try await submit(gateway, ["--key", "mine"])
        #expect(gateway.state.withLock { $0.submissions.map(\.key) } == ["mine"])
    }

    /// Seen: `--after latest --key K` twice, as a timer has it, was refused, for `latest` was another job by
    /// then, and `--deadline 17:30` across 17:30.
    @Test func aKeyTwiceMeansTheSameJobWhateverWordsMeanByThen() async throws {
        let words = ["--key", "mine", "--after", "base", "--deadline", "17:30"]
        var submitted: [SubmitJobRequest] = []
        for id in ["00aa000000000001", "00aa000000000002"] {
            let gateway = try ScriptedGateway(jobs: [
                JobSummary(jobID: id, name: "base", state: "RUNNING")
            ])
            _ = try await submit(gateway, words)
            submitted += gateway.state.withLock { $0.submissions }
        }
        #expect(submitted.map(\.after) == [["00aa000000000001"], ["00aa000000000001"]])
        #expect(submitted[0].deadlineUnixMs == submitted[1].deadlineUnixMs)
        #expect(submitted[0].deadlineUnixMs > 0 && submitted.map(\.key) == ["mine", "mine"])
    }

    /// Whoever never saw the id submits again, and is to get the same job.
    @Test func whatWasNotShownIsUnfinished() async throws {
        let gateway = try ScriptedGateway()
        let submitted = try await submitted(gateway, ["train", "job.json"])
        let journal = SubmitJournal(folder.home)
        func key() -> String? {
            journal.unfinished(.init(plan.digest), isRunning: { _ in false })?.key
        }
        #expect(key() == submitted.key)
        try submitted.recordIfShown(submitted.response.jobID)
        #expect(key() == nil)
    }

    private func typed(_ one: String, _ two: String) async throws -> String {
        let file = try folder.write(
            "e.json",
            """
            {"models": [{"label": "one", "model": "\(one)"}, {"label": "two", "model": "\(two)"}],
             "tasks": [{"type": "perplexity", "text": "t.txt", "seq_length": 16}]}
            """
        )
        return try await TypedSubmission<SubmissionPlan>.neutral(
            JobFile(file, kind: nil, overrides: []),
            TypedSchedule()
        ) { try SubmissionPlan($0, name: nil) }.digest
    }

    /// Where each word stands is part of what was typed.
    ///
    /// Seen: with two models exchanged a file was the same, and the one that was meant became a second job.
    @Test func filesWithWordsExchangedAreDifferent() async throws {
        let digests = [
            try await typed("job:qa", "job:qb"), try await typed("job:qb", "job:qa"),
            try await typed("job:qa", "job:qa"), try await typed("job:qa", "job:qb"),
        ]
        #expect(Set(digests).count == 3 && digests[0] == digests[3])
    }

    /// Seen: `"job:0000000000000000//x" is not allowed`, which nobody had written.
    @Test func whatIsWrongIsSaidInTheWordsThatWereTyped() async throws {
        let error = await #expect(throws: ClientError.self) {
            try await typed("job:qa", "job:qb//x")
        }
        let lines = (error?.lines ?? []).joined(separator: "\n")
        #expect(lines.contains("job:qb//x") && !lines.contains("000000"), "\(lines)")
    }

    /// Seen: the same command with its own key was refused once its deadline had passed.
    @Test func aDeadlineThatPassedIsNoObstacleToTheSameAgain() async throws {
        let past = "2026-01-01T00:00:00Z"
        let gateway = try ScriptedGateway()
        let words = ["--key", "mine", "--deadline", past]
        _ = try await submit(gateway, words)
        let options = try SubmitCommand.parse(["train", "job.json"] + words).options
        #expect(throws: ClientError.self) { try options.requireTime() }
        _ = try await submit(gateway, words)
        #expect(gateway.state.withLock { $0.submissions.map(\.key) } == ["mine", "mine"])
    }

    @Test func namesStoredArtifactsByTheirDigests() async throws {
        let digest = SHA256Digest.digest(of: [1, 2, 3])
        let file = try folder.write(
            "stored.json",
            #"{"model": "sha256:\#(digest.hex)", "quantization": {"algorithm": "fp4"}}"#
        )
        #expect(file.hasSuffix("/stored.json"))
        let gateway = try ScriptedGateway()
        let submit = { try await submitted(gateway, ["quantize", "stored.json"]) }
        let error = await #expect(throws: ClientError.self) { try await submit() }
        #expect(error?.status == .usage)
        // Nothing was submitted, and nothing is gone on with.
        #expect(!FileManager.default.fileExists(atPath: folder.home.journalPath))
        gateway.state.withLock { $0.blobs[digest] = [1, 2, 3] }
        _ = try await submit()
        let files = gateway.state.withLock { $0.submissions.first?.inputs.first?.files }
        #expect(files == [InputFile(path: digest.hex + ".gguf", digest: digest)])
    }

    @Test func namesTheKeyWhenTheReplyIsLostAndKeepsItInTheJournal() async throws {
        let gateway = try ScriptedGateway()
        gateway.state.withLock { $0.submitError = RPCError(.unavailable, "gone") }
        let error = await #expect(throws: ClientError.self) { try await submit(gateway) }
        let key = try #require(gateway.state.withLock { $0.submissions.first?.key })
        #expect(error?.status == .unreachable)
        #expect(error?.lines.first?.hasSuffix("continue under key \(key)") == true)
        let journal = SubmitJournal(folder.home)
        #expect(journal.unfinished(.init(plan.digest), isRunning: { _ in false })?.key == key)
    }

    /// docs/CLIENT.md, Once.
    ///
    /// Seen: a job was made and its id lost; a policy refused the same for an hour; then it was made again.
    @Test func aRefusalThatDidNotLookKeepsTheKey() async throws {
        let gateway = try ScriptedGateway()
        let journal = SubmitJournal(folder.home)
        func isKnown() -> Bool { journal.intent(key: "k", .init(plan.digest)) != nil }
        func refuse(_ error: RPCError) async -> RPCError? {
            gateway.state.withLock { $0.submitError = error }
            return await #expect(throws: RPCError.self) {
                try await submit(gateway, ["--key", "k"])
            }
        }
        gateway.state.withLock { $0.submitError = RPCError(.unavailable, "gone") }
        await #expect(throws: ClientError.self) { try await submit(gateway, ["--key", "k"]) }
        for code in [RPCError.Code.permissionDenied, .invalidArgument] {
            let error = await refuse(RPCError(code, "no", processed: .no))
            #expect(error?.message.contains("the same command asks again") == true)
            #expect(isKnown())
        }
        // What was refused once the key had been looked up is no job.
        _ = await refuse(RPCError(.failedPrecondition, "no", processed: .yes))
        #expect(!isKnown())
    }

    /// Seen: a job was taken and its answer lost; the same command's own second try was refused unread, and the
    /// command again made a second job.
    @Test(
        arguments: [
            [
                RPCError(.unavailable, "lost"),
                RPCError(.resourceExhausted, "too many connections", processed: .no),
            ],
            [RPCError(.unavailable, "lost"), RPCError(.permissionDenied, "no", processed: .no)],
            // An answer that cannot be read, and one of a database that cannot.
            [RPCError(.dataLoss, "the message has an odd end")],
            [RPCError(.internal, "broken")],
        ]
    )
    func aRefusalThatDidNotLookKeepsTheKeyOfOneCommand(errors: [RPCError]) async throws {
        let gateway = try ScriptedGateway()
        gateway.state.withLock { $0.submitErrors = errors }
        let error = await #expect(throws: RPCError.self) {
            try await submitted(gateway, ["train", "job.json"], attempts: 3)
        }
        #expect(error?.message.contains("the same command asks again") == true)
        let keys = Set(gateway.state.withLock { $0.submissions.map(\.key) })
        let journal = SubmitJournal(folder.home)
        let known = journal.unfinished(.init(plan.digest), isRunning: { _ in false })?.key
        #expect(keys.count == 1 && known != nil && keys.first == known)
        #expect(gateway.state.withLock { $0.submissions.count } == errors.count)
    }

    /// Seen: what had been submitted under a key was refused by the client once its artifact was damaged.
    @Test func whatMayBeAJobAlreadyIsAskedAboutWhateverIsStored() async throws {
        let digest = SHA256Digest.of("artifact")
        try folder.write(
            "stored.json",
            #"{"model": "sha256:\#(digest.hex)", "quantization": {"algorithm": "fp4"}}"#
        )
        let gateway = try ScriptedGateway()
        _ = try await submitted(gateway, ["quantize", "stored.json", "--key", "k"])
        #expect(gateway.state.withLock { $0.submissions.map(\.key) } == ["k"])
    }

    /// Seen: what was refused for a quota took the `latest` of then, once it was submitted again.
    ///
    /// A first try that was refused unread is no job either.
    @Test(
        arguments: [RPCError.Code.invalidArgument, .resourceExhausted, .permissionDenied],
        [RPCError.Processed.yes, .no]
    )
    func forgetsTheKeyWhenTheGatewayRefuses(
        code: RPCError.Code,
        processed: RPCError.Processed
    ) async throws {
        let gateway = try ScriptedGateway()
        gateway.state.withLock { $0.submitError = RPCError(code, "no", processed: processed) }
        await #expect(throws: RPCError.self) { try await submit(gateway) }
        let journal = SubmitJournal(folder.home)
        #expect(journal.unfinished(.init(plan.digest), isRunning: { _ in false })?.key == nil)
    }
}

@Suite struct BlobUploaderTests {
    /// docs/CLIENT.md, Exits.
    ///
    /// Seen: a gateway whose disk was full for a moment was given up in under a second.
    @Test(arguments: [(2, 1, Int32?.none), (9, 0, 4)])
    func aFileThatTheGatewayHasNoRoomForIsSentAgainForAWhile(
        refusals: Int,
        uploads: Int,
        exit: Int32?
    ) async throws {
        let home = try TemporaryHome()
        let path = home.home.path + "/file"
        try Data("some bytes".utf8).write(to: URL(fileURLWithPath: path))
        let (digest, size) = try SHA256Digest.digest(ofFile: path)
        let file = PlannedFile(name: "file", path: path, digest: digest, size: size)
        let gateway = try ScriptedGateway()
        let full = RPCError(.unavailable, "10 bytes do not fit")
        gateway.state.withLock { $0.uploadErrors = Array(repeating: full, count: refusals) }
        let error = try await gateway.serve { client in
            let pauses = Array(repeating: Duration.milliseconds(1), count: 4)
            do {
                try await BlobUploader(client: client, pauses: pauses).upload([file])
                return RPCError?.none
            } catch let error as RPCError {
                return error
            }
        }
        #expect(error.map { ExitStatus($0).rawValue } == exit)
        #expect(gateway.state.withLock { $0.uploads.count } == uploads)
        // Five tries in all.
        #expect(gateway.state.withLock { $0.uploadErrors.count } == max(0, refusals - 5))
    }
}

extension BlobUploaderTests {
    /// Seen: `98362432 bytes of sha256 … came instead of 98362432 of …`, exit 5, and no name.
    @Test(
        arguments: [
            ("SOME BYTES", RPCError.Code.dataLoss, true), ("some bytes", .dataLoss, false),
            // Of a connection that is lost the size has to do.
            ("some bytes and more", .unavailable, true), ("some", .aborted, true),
            ("other byte", .unavailable, false),
        ] as [(String, RPCError.Code, Bool)]
    )
    func aFileThatChangesWhileItIsSentIsNamed(
        now: String,
        code: RPCError.Code,
        isNamed: Bool
    ) async throws {
        let home = try TemporaryHome()
        let path = try home.write("mod.gguf", "some bytes")
        let (digest, size) = try SHA256Digest.digest(ofFile: path)
        let file = PlannedFile(name: "mod.gguf", path: path, digest: digest, size: size)
        try home.write("mod.gguf", now)
        let gateway = try ScriptedGateway()
        gateway.state.withLock { $0.uploadErrors = [RPCError(code, "refused")] }
        let error = await #expect(throws: (any Error).self) {
            try await gateway.serve { client in
                try await BlobUploader(client: client, pauses: []).upload([file])
            }
        }
        let named = error as? ClientError
        #expect((named != nil) == isNamed, "\(error.map(String.init(describing:)) ?? "")")
        if isNamed {
            #expect(named?.status == .usage)
            #expect(named?.lines.first?.hasPrefix("\(path) changed while it was sent") == true)
        }
    }
}

@Suite struct BlobDownloaderTests {
    private let folder: TemporaryHome
    private let content = [UInt8]("content".utf8)

    init() throws {
        folder = try TemporaryHome()
    }

    private func fetch(_ gateway: ScriptedGateway, to path: String) async throws -> Bool {
        let digest = SHA256Digest.digest(of: content)
        return try await gateway.serve { client in
            try await BlobDownloader(client: client).fetch(digest, size: nil, to: path)
        }
    }

    @Test func writesTheFileOnceAndKeepsIt() async throws {
        let gateway = try ScriptedGateway()
        gateway.state.withLock { $0.blobs[.digest(of: content)] = content }
        let path = folder.home.path + "/model/x.bin"
        #expect(try await fetch(gateway, to: path))
        #expect(FileManager.default.contents(atPath: path) == Data(content))
        #expect(try await !fetch(gateway, to: path))
    }

    /// Ctrl-C and lost connections leave a beginning; a damaged one is thrown away.
    @Test(arguments: ["con", "", "content", "content and more", "CON"])
    func goesOnWithWhatAnEarlierDownloadLeft(left: String) async throws {
        let gateway = try ScriptedGateway()
        gateway.state.withLock { $0.blobs[.digest(of: content)] = content }
        let path = folder.home.path + "/x.bin"
        let partial = path + "." + SHA256Digest.digest(of: content).hex.prefix(12) + ".part"
        try Data(left.utf8).write(to: URL(filePath: partial))
        #expect(try await fetch(gateway, to: path))
        #expect(FileManager.default.contents(atPath: path) == Data(content))
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder.home.path) == ["x.bin"]
        )
        let sent = gateway.state.withLock { $0.sentByteCount }
        switch left {
        case "con": #expect(sent == 4)
        case "content": #expect(sent == 0)
        default: #expect(sent >= content.count)
        }
    }

    @Test func aFileWithAnotherContentIsReplacedOnlyIfAskedFor() async throws {
        let gateway = try ScriptedGateway()
        gateway.state.withLock { $0.blobs[.digest(of: content)] = content }
        let path = try folder.write("x.bin", "CONTENT")
        let error = await #expect(throws: ClientError.self) { try await fetch(gateway, to: path) }
        #expect(error?.status == .usage)
        #expect(
            error?.lines.first?.hasPrefix("\(path) is there already with another content") == true
        )
        #expect(error?.lines.first?.contains("--overwrite") == true)
        #expect(FileManager.default.contents(atPath: path) == Data("CONTENT".utf8))
        #expect(gateway.state.withLock { $0.sentByteCount } == 0)
        let digest = SHA256Digest.digest(of: content)
        let isNew = try await gateway.serve { client in
            try await BlobDownloader(client: client, overwrites: true)
                .fetch(digest, size: nil, to: path)
        }
        #expect(isNew && FileManager.default.contents(atPath: path) == Data(content))
        // A folder is no file, whatever is asked for.
        let inner = try folder.write("f/g", "x")
        let above = URL(filePath: inner).deletingLastPathComponent().path(percentEncoded: false)
        await #expect(throws: ClientError.self) { try await fetch(gateway, to: above) }
        #expect(FileManager.default.contents(atPath: inner) == Data("x".utf8))
    }

    /// The longest names that the gateway accepts; one that was begun is gone on with.
    ///
    /// Seen: above 237 bytes "File name too long".
    @Test(arguments: [237, 238, 255])
    func aNameOfAnyLengthComesDown(count: Int) async throws {
        let name = String(repeating: "é", count: count / 2) + (count % 2 == 1 ? "x" : "")
        #expect(PlainText.pathFault(in: "model/" + name, byteLimit: JobLimits().pathBytes) == nil)
        #expect(PlainText.pathFault(in: name + "y", byteLimit: 1024) == nil || count == 255)
        let gateway = try ScriptedGateway()
        gateway.state.withLock { $0.blobs[.digest(of: content)] = content }
        let path = folder.home.path + "/model/" + name
        let partial = BlobDownloader.partial(of: path, .digest(of: content))
        try folder.write("model/" + (partial as NSString).lastPathComponent, "con")
        #expect(try await fetch(gateway, to: path))
        #expect(FileManager.default.contents(atPath: path) == Data(content))
        #expect(gateway.state.withLock { $0.sentByteCount } == 4)
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.home.path + "/model")
        #expect(left == [name])
    }

    @Test func aPlaceIsWhatIsThere() throws {
        let digest = SHA256Digest.digest(of: content)
        let same = try folder.write("same", content)
        let other = try folder.write("other", "CONTENT")
        let longer = try folder.write("longer", "content!")
        let link = folder.home.path + "/link"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: same)
        func place(_ path: String, size: UInt64? = 7) -> BlobDownloader.Place {
            BlobDownloader.place(of: digest, size: size, at: path)
        }
        #expect(place(same) == .same && place(link) == .same && place(same, size: nil) == .same)
        #expect(place(other) == .other && place(longer) == .other)
        #expect(place(folder.home.path) == .special)
        #expect(place(folder.home.path + "/none") == .free)
    }

    /// What is on a full disk, as root can make one: the sentence, and a beginning to go on from.
    @Test(.enabled(if: FullDiskVolume.canBeMade))
    func aFullDiskIsNamedAndTheDownloadGoesOnLater() async throws {
        let volume = try FullDiskVolume(byteCount: 256 << 10)
        defer { volume.remove() }
        let content = (0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 * 31 >> 3) }
        let gateway = try ScriptedGateway()
        gateway.state.withLock { $0.blobs[.digest(of: content)] = content }
        let path = volume.path + "/x.bin"
        let fetch = {
            try await gateway.serve { client in
                try await BlobDownloader(client: client)
                    .fetch(.digest(of: content), size: UInt64(content.count), to: path)
            }
        }
        let error = await #expect(throws: ClientError.self) { try await fetch() }
        let line = error?.lines.first ?? ""
        #expect(error?.status == .failed)
        // The system's own word for it, as `strerror` has it.
        #expect(
            line.hasPrefix("cannot write \(path): No space left on device; make room"),
            "\(line)"
        )
        #expect(!line.contains("Domain") && !line.contains("NSCocoa"))
        let partial = BlobDownloader.partial(of: path, .digest(of: content))
        #expect(try FileManager.default.contentsOfDirectory(atPath: volume.path).count == 1)
        let kept = FileManager.default.contents(atPath: partial)?.count ?? 0
        #expect(kept > 0 && kept < content.count)
        try volume.grow(byteCount: 4 << 20)
        let before = gateway.state.withLock { $0.sentByteCount }
        #expect(try await fetch())
        #expect(FileManager.default.contents(atPath: path) == Data(content))
        #expect(gateway.state.withLock { $0.sentByteCount } - before == content.count - kept)
    }

    @Test func leavesNothingWhenTheContentIsWrong() async throws {
        let gateway = try ScriptedGateway()
        gateway.state.withLock { $0.blobs[.digest(of: content)] = [UInt8]("other".utf8) }
        let path = folder.home.path + "/x.bin"
        await #expect(throws: (any Error).self) { try await fetch(gateway, to: path) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.home.path).isEmpty)
    }
}
