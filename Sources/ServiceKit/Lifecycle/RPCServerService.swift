internal import Logging
public import Protocol
public import ServiceLifecycle

/// Runs an ``RPCServer`` in a service group: a graceful shutdown drains its calls.
public struct RPCServerService: Service {
    private let server: RPCServer
    private let folder: StateFolder
    private let onDrain: @Sendable () -> Void

    /// A service around a server, which leaves the address it binds in the state folder.
    ///
    /// `onDrain`: Called as a graceful shutdown begins; ends the calls that would only wait.
    public init(
        server: RPCServer,
        folder: StateFolder,
        onDrain: @escaping @Sendable () -> Void = {}
    ) {
        self.server = server
        self.folder = folder
        self.onDrain = onDrain
    }

    /// Serves until a graceful shutdown or cancellation.
    public func run() async throws {
        try await withGracefulShutdownHandler {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.run() }
                group.addTask {
                    let address = try await server.boundAddress()
                    try folder.writeAddress("\(address)")
                }
                try await group.waitForAll()
            }
        } onGracefulShutdown: {
            server.beginGracefulShutdown()
            onDrain()
        }
    }
}
