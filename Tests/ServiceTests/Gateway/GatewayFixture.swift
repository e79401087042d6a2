internal import Foundation
internal import Jobs
internal import Logging
internal import Protocol
internal import Synchronization
internal import Testing

@testable internal import Gateway

/// The gateway's methods behind a real server on loopback: TLS, certificates of an authority of its
/// own, a real database and a clock that stands.
final class GatewayFixture: Sendable {
    let jobs: StoreFixture
    let artifacts: ArtifactStore
    private let logs: JobLogStore
    private let folder: String
    private let certificates: String
    private let address = Mutex<ServerAddress?>(nil)
    private let entries = Mutex<[AuditLog.Entry]>([])

    private init(_ policy: AccessPolicy) throws {
        jobs = try StoreFixture(policy: policy)
        folder = jobs.folder
        certificates = folder + "/certs"
        artifacts = try ArtifactStore(root: folder + "/cas")
        logs = try JobLogStore(folder: folder + "/logs")
        try CertificateAuthority.createAuthority(in: certificates, trustDomain: "test")
    }

    /// What the audit log says.
    var audit: [AuditLog.Entry] { entries.withLock { $0 } }

    var denials: [String] { audit.filter { !$0.isAllowed }.map { "\($0.peer) \($0.rule)" } }

    /// Runs a gateway for the time of `body`.
    static func run(
        _ policy: AccessPolicy = AccessPolicy(),
        _ body: (GatewayFixture) async throws -> Void
    ) async throws {
        let fixture = try GatewayFixture(policy)
        let server = try fixture.server()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            let bound = try await server.boundAddress()
            fixture.address.withLock { $0 = bound }
            do {
                try await body(fixture)
            } catch {
                group.cancelAll()
                throw error
            }
            group.cancelAll()
        }
    }

    /// What the server's calls come to, without the server.
    var api: GatewayAPI {
        let audit = AuditLog { [weak self] entry in
            self?.entries.withLock { $0.append(entry) }
        }
        return GatewayAPI(
            engine: jobs.engine,
            artifacts: artifacts,
            logs: logs,
            authority: Authority(policies: jobs.engine.policies, audit: audit),
            clock: SteadyClock { [jobs] in jobs.engine.now.uptime }
        )
    }

    private func server() throws -> RPCServer {
        let files = try issue(.service(role: "gateway", instance: "gateway-1"), "gateway-1")
        return RPCServer(
            configuration: RPCServerConfiguration(host: "127.0.0.1", port: 0, tls: files),
            router: RPCAdapter(api: api).router,
            logger: Self.quiet
        )
    }

    private static let quiet = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

    private func issue(
        _ subject: PeerIdentity.Subject,
        _ name: String
    ) throws -> TLSIdentityFiles {
        try CertificateAuthority.issue(
            subject: subject,
            hosts: ["127.0.0.1"],
            authorityFolder: certificates,
            folder: certificates,
            name: name
        )
    }

    /// A client with a certificate of its own.
    func client(_ subject: PeerIdentity.Subject) throws -> RPCClient {
        try client(issue(subject, "client-" + UUID().uuidString))
    }

    func client(_ files: TLSIdentityFiles) throws -> RPCClient {
        RPCClient(
            configuration: RPCClientConfiguration(
                address: try #require(address.withLock { $0 }),
                tls: files,
                expectedServerRole: "gateway",
                callAttempts: 1
            ),
            logger: Self.quiet
        )
    }

    /// A certificate of the same authority with a name of another trust domain.
    func stranger() throws -> TLSIdentityFiles {
        try CertificateAuthority.issue(
            names: ["spiffe://elsewhere/user/ada"],
            hosts: [],
            authorityFolder: certificates,
            folder: certificates,
            name: "stranger",
            validity: .seconds(3_600)
        )
    }

    func user(_ name: String) throws -> RPCClient { try client(.user(name: name)) }

    /// A worker, registered.
    func worker(
        _ role: Role,
        _ instance: String,
        boot: String = "b1",
        stateID: String = ""
    ) async throws -> RPCClient {
        let client = try client(.service(role: role.rawValue, instance: instance))
        try await register(client, role, instance, boot: boot, stateID: stateID)
        return client
    }

    func register(
        _ client: RPCClient,
        _ role: Role,
        _ instance: String,
        boot: String = "b1",
        kinds: [Kind]? = nil,
        accelerator: String = "",
        stateID: String = ""
    ) async throws {
        _ = try await client.call(
            QatMethods.registerWorker,
            RegisterWorkerRequest(
                role: role.rawValue,
                instance: instance,
                bootID: boot,
                address: "127.0.0.1:\(boot.count)",
                kinds: (kinds ?? role.kinds).map(\.rawValue),
                accelerator: accelerator,
                stateID: stateID
            )
        )
    }

    @discardableResult
    func put(_ text: String, _ client: RPCClient) async throws -> SHA256Digest {
        let bytes = Array(text.utf8)
        let digest = SHA256Digest.of(text)
        var left = [bytes]
        _ = try await client.upload(
            QatMethods.putBlob,
            PutBlobRequest(digest: digest, size: UInt64(bytes.count)),
            size: UInt64(bytes.count),
            digest: digest,
            nextChunk: { left.popLast() }
        )
        return digest
    }

    func get(_ digest: SHA256Digest, _ client: RPCClient) async throws -> String {
        var bytes: [UInt8] = []
        try await client.download(
            QatMethods.getBlob,
            GetBlobRequest(digest: digest),
            onChunk: { bytes += $0 }
        )
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Submits a job that rounds the model `text`, uploaded first unless told not to.
    @discardableResult
    func submit(
        _ client: RPCClient,
        key: String = "k",
        text: String = "m",
        source: String = "m.gguf",
        uploads: Bool = true
    ) async throws -> String {
        if uploads {
            try await put(text, client)
        }
        let file = InputFile(
            path: "m.gguf",
            digest: SHA256Digest.of(text),
            size: UInt64(text.utf8.count)
        )
        let spec = #"{"model": "\#(source)", "quantization": {"algorithm": "mxfp4"}}"#
        return try await client.call(
            QatMethods.submitJob,
            SubmitJobRequest(
                kind: "quantize",
                name: "n",
                key: key,
                specJSON: Array(spec.utf8),
                inputs: [
                    Input(
                        pointer: "/model",
                        source: source,
                        files: source.hasPrefix("job:") ? [] : [file]
                    )
                ]
            )
        ).jobID
    }

    func lease(_ client: RPCClient, _ instance: String, boot: String = "b1") async throws -> Lease {
        try #require(
            try await client.call(
                QatMethods.acquireLease,
                AcquireLeaseRequest(instance: instance, bootID: boot, waitSeconds: 0)
            ).lease
        )
    }
}

/// The code of the failure that a call ends with.
func code(_ call: () async throws -> Void) async -> RPCError.Code? {
    do {
        try await call()
        return nil
    } catch let error as RPCError {
        return error.code
    } catch {
        return .unknown
    }
}
