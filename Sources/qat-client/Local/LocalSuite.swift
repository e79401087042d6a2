internal import Foundation
internal import JobSpecs
internal import Jobs
internal import Protocol

/// The whole suite on this machine, as separate processes under a supervisor.
struct LocalSuite {
    let home: QatHome
    let layout: LocalLayout

    init(_ home: QatHome) {
        self.home = home
        layout = LocalLayout(home)
    }

    /// The supervisor, if it runs.
    var supervisor: ProcessIdentity? {
        PIDFile(path: layout.supervisorPIDPath).runningProcess()
    }

    /// The daemons that run, in the order in which they stop.
    var daemons: [(daemon: LocalDaemon, process: ProcessIdentity)] {
        (LocalDaemon.workers + [.gateway]).compactMap { daemon in
            PIDFile(path: layout.pidPath(daemon)).runningProcess().map { (daemon, $0) }
        }
    }

    /// The port the gateway was last started on.
    var port: Int? {
        FileManager.default.contents(atPath: layout.portPath)
            .flatMap { Int(String(decoding: $0, as: UTF8.self)) }
            .flatMap { (1...65_535).contains($0) ? $0 : nil }
    }

    /// The profile that leads to the local gateway.
    func profile(port: Int) -> Profile {
        Profile(
            gateway: "127.0.0.1:\(port)",
            certificatePath: layout.certificatePath("user"),
            privateKeyPath: layout.privateKeyPath("user"),
            trustRootsPath: layout.trustRootsPath
        )
    }

    /// Refuses to go on if the home's profile is one that this suite did not write.
    ///
    /// - Throws: ``ClientError`` (`usage`) with where it leads to.
    func checkProfile() throws {
        let path = home.profilePath
        guard (try? FileManager.default.attributesOfItem(atPath: path)) != nil else { return }
        let leads: String
        do {
            let profile = try Profile.load(home, environment: [:])
            let files = [profile.certificatePath, profile.trustRootsPath]
            guard !files.allSatisfy(isOwn) else { return }
            leads = "leads to \(TerminalText.short(profile.gateway))"
        } catch {
            leads = "is no profile that can be read"
        }
        throw ClientError(
            .usage,
            "\(path) \(leads), and \"local up\", which did not write it, would replace it; set QAT_HOME "
                + "to another folder for the local suite, or move that file away"
        )
    }

    /// Whether a file lies in the suite's folder, by whatever way that is named.
    private func isOwn(_ file: String) -> Bool {
        func resolved(_ path: String) -> String {
            URL(filePath: path).resolvingSymlinksInPath().standardizedFileURL
                .path(percentEncoded: false)
        }
        let folder = resolved(layout.path)
        return resolved(file).hasPrefix(folder.hasSuffix("/") ? folder : folder + "/")
    }

    /// Writes the profile that leads to the suite.
    func saveProfile(port: Int) throws {
        // Somebody may have written one while it started.
        try checkProfile()
        try profile(port: port).save(home)
    }

    /// Has the gateway take whoever uses the suite's profile for an operator; a policy that is there already stays.
    ///
    /// The machine and all of the suite is theirs.
    func writePolicy() throws {
        guard (try? FileManager.default.attributesOfItem(atPath: layout.policyPath)) == nil else {
            return
        }
        let policy = JSONValue.object(["operators": .array([.string(LocalCertificates.user)])])
        try PrivateFiles.replace(layout.policyPath, with: policy.canonicalBytes + [0x0A])
    }

    /// Starts the supervisor, which starts the daemons.
    ///
    /// `codeInterpreter`: What the eval worker may run programs of models by; nil for none.
    ///
    /// - Throws: ``ClientError`` (`failed`) when the port is taken or an executable is missing.
    func start(port: Int, codeInterpreter: String? = nil) async throws {
        let folder = try LocalLayout.executableFolder()
        for daemon in LocalDaemon.allCases {
            let path = folder + daemon.executable
            guard access(path, X_OK) == 0 else {
                throw ClientError(
                    .failed,
                    "\(path) is missing; the daemons stand beside qat-client"
                )
            }
        }
        // Daemons whose supervisor was killed still hold the port and the state folders.
        await stopDaemons()
        try PortProbe.check(port: port)
        do {
            try LocalCertificates(layout: layout).issueAll()
        } catch let error as RPCError {
            throw ClientError(.failed, "cannot make certificates: \(error.message)")
        }
        try writePolicy()
        unlink(layout.stopRequestPath)
        try PrivateFiles.replace(layout.portPath, with: Array(String(port).utf8))
        let supervisor = try ProcessLauncher.start(
            folder + "qat-client",
            ["local", "supervise", "--home", home.path, "--port", String(port)]
                + (codeInterpreter.map { ["--allow-code-execution", $0] } ?? []),
            log: layout.supervisorLogPath,
            ownSession: true
        )
        try PIDFile(path: layout.supervisorPIDPath).write(supervisor)
    }

    /// Stops everything and waits until it is gone.
    ///
    /// - Returns: Whether anything ran.
    func stop() async throws -> Bool {
        let wasRunning = supervisor != nil || !daemons.isEmpty
        if let supervisor {
            try layout.requestStop()
            supervisor.send(SIGTERM)
            // Some seconds for the supervisor itself.
            let limit = StopTimes.worker + StopTimes.gateway + 10
            await Self.wait(for: [supervisor], upTo: .seconds(limit))
            supervisor.send(SIGKILL)
        }
        await stopDaemons()
        PIDFile(path: layout.supervisorPIDPath).remove()
        unlink(layout.stopRequestPath)
        // What a client left that was killed while it asked.
        unlink(layout.stopRequestPath + ".tmp")
        let left = daemons.map(\.daemon.executable)
        guard left.isEmpty else {
            throw ClientError(.failed, "\(left.joined(separator: ", ")) cannot be stopped")
        }
        return wasRunning
    }

    private func stopDaemons() async {
        let groups = [
            (LocalDaemon.workers, StopTimes.worker), ([LocalDaemon.gateway], StopTimes.gateway),
        ]
        for (group, limit) in groups {
            let processes = daemons.filter { group.contains($0.daemon) }.map(\.process)
            processes.forEach { $0.send(SIGTERM) }
            await Self.wait(for: processes, upTo: .seconds(limit))
            processes.forEach { $0.send(SIGKILL) }
            await Self.wait(for: processes, upTo: .seconds(5))
        }
    }

    private static func wait(for processes: [ProcessIdentity], upTo limit: Duration) async {
        let start = ContinuousClock.now
        let deadline = start + limit
        var isTold = false
        while processes.contains(where: \.isRunning), ContinuousClock.now < deadline {
            // Our own child stays a zombie until it is reaped; zombies do not count as running.
            try? await Task.sleep(for: .milliseconds(50))
            if !isTold, ContinuousClock.now - start > .seconds(5) {
                isTold = true
                let seconds = limit.components.seconds
                Console.note("waiting for jobs to store their checkpoints, \(seconds) s at most")
            }
        }
    }
}
