internal import Foundation
internal import Jobs
internal import Logging
internal import Protocol

/// What `healthcheck` does: a real call over mutual TLS to the daemon's own address.
public enum HealthProbe {
    /// Asks the daemon whether it is ready.
    ///
    /// - Throws: ``ServiceError`` (`notReady`), saying why.
    public static func check(_ configuration: DaemonConfiguration) async throws {
        let path = StateFolder.addressPath(in: configuration.stateFolder)
        guard let text = try? String(contentsOfFile: path, encoding: .utf8),
            let bound = try? ServerAddress(
                parsing: text.trimmingCharacters(in: .whitespacesAndNewlines)
            )
        else {
            throw ServiceError(.notReady, "\(path): no address; the daemon is not listening yet")
        }
        // A daemon that listens on every interface is asked on loopback.
        let host = ["0.0.0.0", "::"].contains(bound.host) ? "127.0.0.1" : bound.host
        let client = RPCClient(
            configuration: RPCClientConfiguration(
                address: ServerAddress(host: host, port: bound.port),
                tls: configuration.tls,
                expectedServerRole: configuration.role.rawValue
            ),
            logger: Logger(label: "healthcheck", factory: { _ in SwiftLogNoOpLogHandler() })
        )
        do {
            let response = try await client.call(
                QatMethods.healthCheck,
                HealthCheckRequest(),
                timeout: .seconds(4)
            )
            await client.close()
            guard response.status == .serving else {
                throw ServiceError(.notReady, "not serving: \(response.message)")
            }
        } catch {
            await client.close()
            throw error
        }
    }
}
