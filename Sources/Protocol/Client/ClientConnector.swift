internal import Logging
internal import Synchronization

/// Keeps one connection to a server: makes it when needed, shares it, replaces it when lost.
final class ClientConnector: Sendable {
    private enum State {
        case idle
        case connecting(Task<ClientConnection, any Error>)
        case connected(ClientConnection)
        case closed
    }

    private let configuration: RPCClientConfiguration
    private let logger: Logger
    private let state = Mutex(State.idle)
    private let context = Mutex(TLSContext?.none)

    init(configuration: RPCClientConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    /// A connection that takes calls; waits while one is being made.
    func current() async throws -> ClientConnection {
        let attempt = try state.withLock { state -> Task<ClientConnection, any Error>? in
            switch state {
            case .connected(let connection) where connection.isUsable: return nil
            case .connecting(let attempt): return attempt
            case .closed:
                throw RPCError(.cancelled, "the client was closed", processed: .no)
            case .idle, .connected:
                // Shared by every call that waits, so it belongs to none of their tasks.
                let attempt = Task { try await self.connect() }
                state = .connecting(attempt)
                return attempt
            }
        }
        if let attempt { return try await attempt.value }
        return try await usable()
    }

    /// Closes the connection for good; returns when it is gone.
    func close() async {
        let old = state.withLock { state in
            defer { state = .closed }
            return state
        }
        switch old {
        case .connected(let connection): await connection.close()
        case .connecting(let attempt): await (try? await attempt.value)?.close()
        case .idle, .closed: break
        }
    }

    private func usable() async throws -> ClientConnection {
        let connection = state.withLock { state -> ClientConnection? in
            guard case .connected(let connection) = state else { return nil }
            return connection
        }
        if let connection { return connection }
        return try await current()
    }

    private func connect() async throws -> ClientConnection {
        do {
            let context = try tlsContext()
            let connection = try await ClientConnection.connect(configuration, context, logger)
            state.withLock { state in
                if case .closed = state {
                    connection.drain()
                } else {
                    state = .connected(connection)
                }
            }
            return connection
        } catch {
            state.withLock { state in
                if case .connecting = state { state = .idle }
            }
            throw error
        }
    }

    private func tlsContext() throws -> TLSContext {
        try context.withLock { context in
            if let context { return context }
            let made = try TLSContext(configuration.tls, isServer: false)
            context = made
            return made
        }
    }
}
