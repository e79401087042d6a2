internal import Foundation
internal import Jobs
internal import Logging
internal import Protocol
internal import ServiceLifecycle
internal import Synchronization

@testable internal import Gateway

/// A front on a free port of this machine, for as long as a test runs.
struct HTTPFixture: Sendable {
    /// A token of the user alice.
    static let token = "qat_alice"
    /// A token of hers for another model.
    static let otherToken = "qat_alice_other"
    /// A token of hers whose time is over.
    static let oldToken = "qat_alice_old"

    let client: RawClient
    let folder: String
    let metrics: HTTPMetrics
    /// Refusals that stand in the audit log.
    let refusals: Refusals
    /// Stops the front as a gateway's end does.
    let stop: @Sendable () async -> Void

    /// What the audit log would have.
    final class Refusals: Sendable {
        private let state = Mutex<[String]>([])
        var lines: [String] { state.withLock { $0 } }
        func add(_ line: String) { state.withLock { $0.append(line) } }
    }

    /// Runs a test against a front.
    static func run(
        _ serving: any ModelServing,
        limits: HTTPSettings.Limits = HTTPSettings.Limits(),
        certificate: TLSIdentityFiles? = nil,
        _ body: @escaping @Sendable (HTTPFixture) async throws -> Void
    ) async throws {
        let folder = NSTemporaryDirectory() + "/qat-http-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = folder + "/tokens.json"
        try write(tokens, to: path)
        let metrics = HTTPMetrics()
        let refusals = Refusals()
        let logger = Logger(label: "http", factory: { _ in SwiftLogNoOpLogHandler() })
        let settings = HTTPSettings(
            address: ServerAddress(host: "127.0.0.1", port: 0),
            security: certificate.map {
                .tls(certificatePath: $0.certificatePath, privateKeyPath: $0.privateKeyPath)
            } ?? .plain,
            tokensPath: path,
            trustDomain: "qat.test",
            limits: limits
        )
        let routes = HTTPRoutes(
            serving: serving,
            tokens: try TokenFile(path: path),
            trustDomain: settings.trustDomain,
            limits: limits,
            slots: RequestSlots(limit: limits.requests, userLimit: limits.userRequests),
            metrics: metrics,
            figures: { _ in MetricsPage() },
            audit: AuditLog { refusals.add("\($0.method) \($0.peer) \($0.rule)") },
            logger: logger
        )
        let (addresses, listening) = AsyncStream<ServerAddress>.makeStream()
        let front = HTTPFront(settings: settings, routes: routes, logger: logger) {
            listening.yield($0)
        }
        let services = ServiceGroup(
            configuration: .init(services: [.init(service: front)], logger: logger)
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { listening.finish() }
                try await services.run()
            }
            guard let address = await addresses.first(where: { _ in true }) else {
                return try await group.waitForAll()
            }
            try await body(
                HTTPFixture(
                    client: RawClient(port: address.port),
                    folder: folder,
                    metrics: metrics,
                    refusals: refusals,
                    stop: { await services.triggerGracefulShutdown() }
                )
            )
            group.cancelAll()
            // How it ends when it is cancelled is nobody's concern.
            while await group.nextResult() != nil {}
        }
    }

    static var tokens: TokenList {
        var list = TokenList()
        list.tokens = [
            token("one", token), token("two", otherToken, models: ["another"]),
            token("three", oldToken, expires: 1_000_000_000),
        ]
        return list
    }

    static func token(
        _ name: String,
        _ secret: String,
        user: String = "alice",
        expires: Int64? = nil,
        models: [String]? = nil
    ) -> BearerToken {
        BearerToken(
            name: name,
            digest: BearerToken.digest(of: secret),
            user: user,
            created: 900_000_000,
            expires: expires,
            models: models
        )
    }

    static func write(_ list: TokenList, to path: String, mode: Int = 0o600) throws {
        try Data(list.json).write(to: URL(fileURLWithPath: path))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
    }
}
