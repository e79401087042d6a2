internal import Foundation
public import Jobs
public import Logging
public import Protocol
public import ServiceLifecycle
internal import Synchronization

/// A worker's main loop: registers with the gateway, waits for jobs, and runs them one at a time.
///
/// The gateway may come and go; the loop starts over until a graceful shutdown.
public final class LeaseLoop: Service {
    private let configuration: DaemonConfiguration
    private let client: RPCClient
    private let folder: StateFolder
    private let certificateEnds: Int64
    private let offer: Offer
    private let logger: Logger
    private let bootID = UUID().uuidString.lowercased()
    private let registered = Mutex(false)
    private let farewell = Mutex<Task<Void, Never>?>(nil)
    private let room: DiskRoom
    private let leftovers: Leftovers
    private let tools: WorkerTools

    /// A loop for jobs that fit `offer`; `certificateEnds` is what status warns of, in Unix milliseconds.
    public convenience init(
        configuration: DaemonConfiguration,
        client: RPCClient,
        folder: StateFolder,
        offer: Offer,
        certificateEnds: Int64,
        tools: WorkerTools = WorkerTools(),
        logger: Logger
    ) {
        self.init(
            configuration: configuration,
            client: client,
            folder: folder,
            offer: offer,
            certificateEnds: certificateEnds,
            room: DiskRoom(path: folder.path),
            tools: tools,
            logger: logger
        )
    }

    init(
        configuration: DaemonConfiguration,
        client: RPCClient,
        folder: StateFolder,
        offer: Offer,
        certificateEnds: Int64,
        room: DiskRoom,
        tools: WorkerTools = WorkerTools(),
        logger: Logger
    ) {
        self.tools = tools
        self.configuration = configuration
        self.client = client
        self.folder = folder
        self.offer = offer
        self.certificateEnds = certificateEnds
        self.logger = logger
        self.room = room
        let (instance, bootID) = (configuration.instance, bootID)
        leftovers = Leftovers(JobFolders(root: folder.path + "/jobs"), logger: logger) { jobs in
            let request = ReviewKeptRequest(instance: instance, bootID: bootID, jobs: jobs)
            return try await client.call(QatMethods.reviewKept, request)
        }
    }

    /// Whether the gateway knows this worker.
    public var isRegistered: Bool { registered.withLock { $0 } }

    /// Runs until a graceful shutdown, which gives a running job time for a checkpoint.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            await withTaskCancellationHandler {
                await self.serveAlways()
            } onCancel: {
                self.sayGoodbye()
            }
        }
        await farewell.withLock { $0 }?.value
        await client.close()
    }

    private func serveAlways() async {
        while !Task.isCancelled {
            do {
                try await serve()
            } catch {
                registered.withLock { $0 = false }
                if Task.isCancelled { return }
                logger.warning("gateway: \(error); trying again in 2 s")
                try? await Task.sleep(for: .seconds(2))
            }
        }
    }

    /// Tells the gateway that this process takes no job any more, so that nobody waits for it; its job, if it has
    /// one, is ended and handed back meanwhile.
    private func sayGoodbye() {
        guard isRegistered else { return }
        let request = AcquireLeaseRequest(
            instance: configuration.instance,
            bootID: bootID,
            stopping: true
        )
        let task = Task { [client, logger] in
            do {
                _ = try await client.call(
                    QatMethods.acquireLease,
                    request,
                    timeout: Self.farewellTime
                )
            } catch {
                // It is taken for lost a little later.
                logger.info("the gateway was not told that this worker stops: \(error)")
            }
        }
        farewell.withLock { $0 = task }
    }

    /// A gateway that is away does not keep a worker.
    private static let farewellTime = Duration.seconds(3)

    private func serve() async throws {
        let address = try await listeningAddress()
        let terms = try await client.call(
            QatMethods.registerWorker,
            RegisterWorkerRequest(
                role: configuration.role.rawValue,
                instance: configuration.instance,
                bootID: bootID,
                address: address,
                kinds: offer.kinds.map(\.rawValue),
                cores: UInt32(configuration.threads),
                memoryBytes: UInt64(MemoryLimit.byteCount),
                version: SuiteVersion.current,
                accelerator: offer.accelerator.rawValue,
                devices: UInt32(offer.devices),
                nodes: UInt32(offer.nodes),
                certificateEndsUnixMs: certificateEnds,
                // Without it a restart would wait until the process before is taken for gone.
                stateID: (try? folder.identity()) ?? "",
                runsCode: offer.runsCode
            )
        )
        if !isRegistered {
            logger.info("registered with the gateway as \(configuration.instance)")
        }
        registered.withLock { $0 = true }
        var request = AcquireLeaseRequest(
            instance: configuration.instance,
            bootID: bootID,
            waitSeconds: 20
        )
        while !Task.isCancelled {
            await leftovers.removeUntouched()
            // Told with every call: a worker that kept silent would pass for lost.
            request.obstacle = try await obstacle() ?? ""
            request.waitSeconds = request.obstacle.isEmpty ? 20 : 10
            let response = try await client.call(
                QatMethods.acquireLease,
                request,
                timeout: .seconds(40)
            )
            if let lease = response.lease {
                try await run(lease, terms: terms)
            }
        }
    }

    /// Why no job is taken now; nil if one is.
    private func obstacle() async throws -> String? {
        // Inputs of earlier jobs go before a job does, and then what is left of those, whose checkpoints may
        // be in the cache, too.
        let inputs = try inputs()
        func isEnough() -> Bool {
            inputs.makeRoom(for: room.wanted)
            return room.obstacle() == nil
        }
        if !isEnough() {
            leftovers.strip()
            await leftovers.makeRoom(until: isEnough)
        }
        let reason = room.obstacle()
        if let reason { logger.warning("\(folder.path): \(reason)") }
        return reason
    }

    private func inputs() throws -> InputStore {
        InputStore(
            cacheFolder: try folder.makeFolder("cache"),
            link: GatewayLink(client: client, logger: logger),
            reserve: DiskRoom.reserve
        )
    }

    private func run(_ lease: Lease, terms: RegisterWorkerResponse) async throws {
        let jobFolder = try folder.makeFolder("jobs/" + Self.folderName(lease.jobID))
        let link = GatewayLink(client: client, logger: logger)
        let runner = AttemptRunner(
            lease: lease,
            worker: WorkerProcess(instance: configuration.instance, bootID: bootID),
            heartbeatInterval: .seconds(Int64(max(1, terms.heartbeatSeconds))),
            jobFolder: jobFolder,
            inputs: try inputs(),
            room: room,
            publisher: OutputPublisher(link: link),
            link: link,
            executable: "/proc/self/exe",
            threads: configuration.threads,
            launcher: tools.launcher,
            codeInterpreter: tools.codeInterpreter,
            stallLimit: configuration.stallLimit,
            logger: logger
        )
        if case .reported(let isDone) = await runner.run() {
            Self.clean(jobFolder, keepsCheckpoints: !isDone)
        }
    }

    /// Removes a job's folder; of a job that can be retried, all but its checkpoints that are whole.
    static func clean(_ jobFolder: String, keepsCheckpoints: Bool) {
        let manager = FileManager.default
        let names = (try? manager.contentsOfDirectory(atPath: jobFolder)) ?? []
        guard keepsCheckpoints, names.contains(JobFolders.checkpoints) else {
            try? manager.removeItem(atPath: jobFolder)
            return
        }
        for name in names where name != JobFolders.checkpoints {
            try? manager.removeItem(atPath: "\(jobFolder)/\(name)")
        }
        JobFolders.removeUnfinished(in: jobFolder)
    }

    /// The address the server bound, once it has.
    private func listeningAddress() async throws -> String {
        let path = StateFolder.addressPath(in: folder.path)
        for _ in 0..<100 {
            if let text = try? String(contentsOfFile: path, encoding: .utf8) {
                return Self.reachable(text.trimmingCharacters(in: .whitespacesAndNewlines))
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        return Self.reachable("\(configuration.listen)")
    }

    /// An address that says where, for a daemon that listens everywhere: by its host's name.
    static func reachable(_ address: String) -> String {
        guard let parsed = try? ServerAddress(parsing: address),
            ["0.0.0.0", "::"].contains(parsed.host)
        else { return address }
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return address }
        let bytes = name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:))
        let host = String(decoding: bytes, as: UTF8.self)
        return "\(ServerAddress(host: host, port: parsed.port))"
    }

    /// A job's id as a file name, whatever the gateway sent.
    private static func folderName(_ id: String) -> String {
        String(id.map { $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" ? $0 : "_" })
    }
}
