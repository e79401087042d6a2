public import Logging

/// Serves a router's methods over mutual TLS.
public final class RPCServer: Sendable {
    /// Makes a server that listens once it runs.
    public init(configuration: RPCServerConfiguration, router: RPCRouter, logger: Logger) {}
    /// Listens until the task is cancelled or a graceful shutdown has drained every call.
    public func run() async throws { throw RPCError(.unimplemented, "the server does not run yet") }
    /// The bound address, once the server listens.
    public func boundAddress() async throws -> ServerAddress {
        throw RPCError(.unimplemented, "the server does not run yet")
    }
    /// Stops accepting and lets running calls finish.
    public func beginGracefulShutdown() {}
}
