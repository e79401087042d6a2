internal import Foundation
internal import JobSpecs
internal import Testing
@testable internal import qat_client

@Suite struct ProcessIdentityTests {
    @Test func readsTheStartTimeWhateverTheNameHolds() {
        let rest = "S " + (4...21).map(String.init).joined(separator: " ") + " 4711 23 24"
        #expect(ProcessIdentity.startTicks(inStat: "12 (a) b) (c) \(rest)") == 4711)
        #expect(ProcessIdentity.startTicks(inStat: "12 (a) Z 1 2 3") == nil)
        let zombie = "Z" + rest.dropFirst()
        #expect(ProcessIdentity.startTicks(inStat: "12 (a) \(zombie)") == nil)
        #expect(ProcessIdentity.startTicks(inStat: "nonsense") == nil)
    }

    @Test func recognizesItself() throws {
        let current = ProcessIdentity.current
        #expect(current.isRunning)
        #expect(ProcessIdentity(current.json) == current)
    }

    @Test func takesNoLaterProcessForAnEarlierOne() {
        let current = ProcessIdentity.current
        let earlier = ProcessIdentity(
            processID: current.processID,
            startTicks: current.startTicks - 1,
            bootID: current.bootID
        )
        let otherBoot = ProcessIdentity(
            processID: current.processID,
            startTicks: current.startTicks,
            bootID: "other"
        )
        #expect(!earlier.isRunning)
        #expect(!otherBoot.isRunning)
        // Reaches nobody: the test process would end.
        earlier.send(SIGKILL)
        otherBoot.send(SIGKILL)
    }

    @Test func ignoresPIDFilesOfStrangersAndNonsense() throws {
        let folder = try TemporaryHome()
        let file = PIDFile(path: folder.home.path + "/x.pid")
        #expect(file.runningProcess() == nil)
        try file.write(.current)
        #expect(file.runningProcess() == .current)
        for text in ["", "123", "{\"pid\":1}", "{\"pid\":-1,\"start_ticks\":0,\"boot_id\":\"\"}"] {
            try folder.write("x.pid", text)
            #expect(file.runningProcess() == nil)
        }
    }

    @Test func startsAProcessInItsOwnSessionAndStopsIt() async throws {
        let folder = try TemporaryHome()
        let log = folder.home.path + "/log"
        let process = try ProcessLauncher.start(
            "/bin/sh",
            ["-c", "echo started; ls /proc/self/fd; exec sleep 60"],
            log: log,
            ownSession: true
        )
        #expect(process.isRunning)
        #expect(getsid(process.processID) == process.processID)
        process.send(SIGTERM)
        var status: Int32 = 0
        #expect(waitpid(process.processID, &status, 0) == process.processID)
        #expect(status & 0x7F == SIGTERM)
        #expect(!process.isRunning)
    }

    @Test func saysWhatItCannotStart() throws {
        let folder = try TemporaryHome()
        let error = #expect(throws: ClientError.self) {
            try ProcessLauncher.start(
                "/nowhere/x",
                [],
                log: folder.home.path + "/log",
                ownSession: false
            )
        }
        #expect(error?.lines == ["cannot start /nowhere/x: No such file or directory"])
    }
}

@Suite struct RestartBackoffTests {
    @Test func doublesToTenSecondsAndStartsOverAfterAStableLife() {
        var backoff = RestartBackoff()
        let short = (0..<6).map { _ in backoff.delay(afterLifetime: .seconds(1)) }
        #expect(
            short == [
                .milliseconds(500), .seconds(1), .seconds(2), .seconds(4), .seconds(8),
                .seconds(10),
            ]
        )
        #expect(backoff.delay(afterLifetime: .seconds(30)) == .milliseconds(500))
        #expect(backoff.delay(afterLifetime: .seconds(29)) == .seconds(1))
    }
}
