internal import Foundation
public import Jobs
public import Logging
public import Protocol
internal import ServiceLifecycle
internal import UnixSignals

/// Wires a worker: its health endpoint, its connection to the gateway and its lease loop.
public struct WorkerDaemon: Sendable {
    private let configuration: DaemonConfiguration
    private let offer: Offer
    private let tools: WorkerTools

    /// A worker for the jobs of its role.
    ///
    /// `offer`: What it computes with and for which jobs; by default one host's processor, for all that the
    /// role has. `tools`: What it has beside; the offer is as large as they make it.
    public init(
        configuration: DaemonConfiguration,
        offer: Offer? = nil,
        tools: WorkerTools = WorkerTools()
    ) {
        self.configuration = configuration
        self.tools = tools
        self.offer =
            offer
            ?? Offer(
                kinds: configuration.role.kinds,
                devices: tools.launcher?.offered.devices ?? 1,
                nodes: tools.launcher?.offered.nodes ?? 1,
                runsCode: tools.codeInterpreter != nil
            )
    }

    /// Runs until SIGTERM or SIGINT.
    ///
    /// - Throws: If the state folder, the certificates or the address cannot be used.
    public func run() async throws {
        let logger = configuration.makeLogger("qat-\(configuration.role.rawValue)d")
        guard let gateway = configuration.gateway else {
            throw ServiceError(.invalidConfiguration, "--gateway is missing")
        }
        let certificate = try configuration.checkedCertificate()
        if let launcher = tools.launcher {
            let printed = try await launcher.tryOut("/proc/self/exe")
            logger.info("\(launcher.offered.count) ranks start and hear each other")
            if let printed {
                logger.notice(
                    "the launcher prints lines of its own, which logs of jobs are told: \(printed)"
                )
            }
        }
        let folder = try StateFolder(path: configuration.stateFolder)
        folder.removeAddress()
        let client = RPCClient(
            configuration: RPCClientConfiguration(
                address: gateway,
                tls: configuration.tls,
                expectedServerRole: Role.gateway.rawValue
            ),
            logger: logger
        )
        let loop = LeaseLoop(
            configuration: configuration,
            client: client,
            folder: folder,
            offer: offer,
            certificateEnds: certificate.endsUnixMs,
            tools: tools,
            logger: logger
        )
        var router = RPCRouter()
        router.unary(QatMethods.healthCheck, allow: [.users, .services]) { _, _ in
            loop.isRegistered
                ? HealthCheckResponse(status: .serving)
                : HealthCheckResponse(
                    status: .notServing,
                    message: "not registered with the gateway at \(gateway)"
                )
        }
        let server = RPCServer(
            configuration: RPCServerConfiguration(
                host: configuration.listen.host,
                port: configuration.listen.port,
                tls: configuration.tls
            ),
            router: router,
            logger: logger
        )
        logger.info("version \(SuiteVersion.current), state in \(folder.path)")
        // Service groups stop the last service first: the job gets its checkpoint while the health
        // endpoint still answers.
        let group = ServiceGroup(
            configuration: .init(
                services: [
                    .init(service: CertificateWatch(configuration: configuration, logger: logger)),
                    .init(service: RPCServerService(server: server, folder: folder)),
                    .init(service: loop),
                ],
                gracefulShutdownSignals: [.sigterm, .sigint],
                logger: logger
            )
        )
        try await group.run()
    }
}

extension DaemonConfiguration {
    /// The instance that the certificate has to name; the gateway's may be any.
    var certificateInstance: String? { role == .gateway ? nil : instance }

    /// Checks that the certificate, its key and the trust roots are this daemon's own.
    ///
    /// - Returns: The first of them to end.
    /// - Throws: ``RPCError`` that names the file and what is wrong with it.
    public func checkedCertificate() throws -> CertificateValidity {
        try tls.checkService(role: role.rawValue, instance: certificateInstance)
        return try tls.firstEnd()
    }

    /// A logger that writes lines as configured.
    public func makeLogger(_ label: String) -> Logger {
        var logger = Logger(label: label) { label in
            LineLogHandler(label: label, format: logFormat, level: logLevel)
        }
        logger.logLevel = logLevel
        return logger
    }
}
