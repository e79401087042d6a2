internal import Foundation
internal import HummingbirdCore
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Protocol
internal import ServiceKit
internal import ServiceLifecycle

/// The gateway's way in over HTTP, for served models and metrics.
struct HTTPFront: Service {
    let settings: HTTPSettings
    let routes: HTTPRoutes
    let logger: Logger
    /// Told where it listens.
    var onListening: @Sendable (ServerAddress) async -> Void = { _ in }

    /// How often the file of tokens is looked at.
    private static let reloadInterval = Duration.seconds(1)

    /// Answers until it is stopped; answers that are being written get ``HTTPSettings/Limits/drainTime`` then.
    ///
    /// - Throws: ``RPCError`` of TLS files that are wrong; ``ServiceError`` of an address that cannot be used.
    func run() async throws {
        let server = Server(
            childChannelSetup: HTTPConnections(
                tls: try tls(),
                limits: settings.limits,
                routes: routes
            ),
            configuration: ServerConfiguration(
                address: .hostname(settings.address.host, port: settings.address.port),
                availableConnectionsDelegate: .maximum(
                    settings.limits.connections,
                    logger: logger
                )
            ),
            onServerRunning: { channel in await listens(channel) },
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton,
            logger: quietLogger
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                do {
                    try await server.run()
                } catch let error as IOError {
                    let reason = String(cString: strerror(error.errnoCode))
                    throw ServiceError(
                        .inputOutput,
                        "cannot listen for HTTP on \(settings.address): \(reason)"
                    )
                }
            }
            group.addTask {
                try await gracefulShutdown()
                try await Task.sleep(for: settings.limits.drainTime)
            }
            group.addTask {
                var certificate = CertificateReminder(settings)
                while true {
                    certificate.remind(logger)
                    try await Task.sleep(for: Self.reloadInterval)
                    routes.tokens.reload(logger)
                }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func tls() throws -> ServerTLS? {
        guard case .tls(let certificate, let key) = settings.security else { return nil }
        return try ServerTLS(certificatePath: certificate, privateKeyPath: key)
    }

    private func listens(_ channel: any Channel) async {
        let address = ServerAddress(
            host: channel.localAddress?.ipAddress ?? settings.address.host,
            port: channel.localAddress?.port ?? settings.address.port
        )
        let scheme = if case .plain = settings.security { "http" } else { "https" }
        logger.info("answering HTTP", metadata: ["address": "\(scheme)://\(address)"])
        if routes.tokens.count == 0 {
            logger.notice(
                "there are no tokens: nothing but /health is answered; qat-gateway tokens create makes one"
            )
        }
        await onListening(address)
    }

    /// The server's own lines of what this one says already are left out.
    private var quietLogger: Logger {
        var quiet = logger
        quiet.logLevel = max(.warning, logger.logLevel)
        return quiet
    }
}

extension HTTPFront {
    /// The front of a gateway.
    ///
    /// - Throws: ``StoreError`` of a file of tokens that cannot be used.
    init(
        settings: HTTPSettings,
        api: GatewayAPI,
        serving: any ModelServing,
        logger: Logger
    ) throws {
        self.init(
            settings: settings,
            routes: HTTPRoutes(
                serving: serving,
                tokens: try TokenFile(path: settings.tokensPath),
                trustDomain: settings.trustDomain,
                limits: settings.limits,
                slots: RequestSlots(
                    limit: settings.limits.requests,
                    userLimit: settings.limits.userRequests
                ),
                metrics: HTTPMetrics(),
                figures: { try await api.metrics(by: $0) },
                audit: api.authority.audit,
                logger: logger
            ),
            logger: logger
        )
    }
}

/// Warns in the log 30, 7 and 1 days before the certificate of HTTPS ends.
private struct CertificateReminder {
    /// Files are read again this often.
    private static let interval = Duration.seconds(3600)

    private let paths: (certificate: String, key: String)?
    private var next = ContinuousClock.now
    /// The smallest of the days that was told.
    private var told = Int.max

    /// The daemon's own certificate is watched by the daemon itself.
    init(_ settings: HTTPSettings) {
        guard case .tls(let certificate, let key) = settings.security, !settings.sharesCertificate
        else {
            paths = nil
            return
        }
        paths = (certificate, key)
    }

    mutating func remind(_ logger: Logger) {
        guard let paths, next <= .now else { return }
        next = .now + Self.interval
        do {
            let own = try TLSIdentityFiles.checkPair(
                certificatePath: paths.certificate,
                privateKeyPath: paths.key
            )
            for validity in own {
                guard let days = validity.warning(at: .now), days < told else { continue }
                told = days
                logger.warning("certificate \(validity.path) \(validity.sentence(at: .now))")
            }
        } catch {
            logger.error("certificate of HTTPS: \((error as? RPCError)?.message ?? "\(error)")")
        }
    }
}
