internal import Foundation
public import Logging
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// Serves a router's methods over mutual TLS.
///
/// Connections live on event loops; each call runs in a task of its own, which is cancelled when
/// the caller cancels, its deadline passes, or the connection is lost.
public final class RPCServer: Sendable {
    private enum Phase {
        case idle
        case listening(ServerAddress)
        case stopped(RPCError)
    }

    private enum Stop { case graceful, now }

    private struct State {
        var phase = Phase.idle
        var stop: Stop?
        var stopWaiter: CheckedContinuation<Stop, Never>?
        var addressWaiters: [CheckedContinuation<ServerAddress, any Error>] = []
        var hasRun = false
    }

    private let configuration: RPCServerConfiguration
    private let router: RPCRouter
    private let logger: Logger
    private let activity: ServerActivity
    private let identity: LocalEndpoint
    private let state = Mutex(State())

    /// Makes a server that listens once it runs.
    public init(configuration: RPCServerConfiguration, router: RPCRouter, logger: Logger) {
        self.configuration = configuration
        self.router = router
        self.logger = logger
        activity = ServerActivity(limits: configuration.limits)
        identity = LocalEndpoint.thisProcess
    }

    /// Listens until the task is cancelled or a graceful shutdown has drained every call.
    ///
    /// Cancelling the task cancels the running calls; ``beginGracefulShutdown()`` lets them
    /// finish within the drain timeout.
    ///
    /// - Throws: ``RPCError`` if it cannot bind, a TLS file is wrong, or it ran before.
    public func run() async throws {
        let isFirst = state.withLock { state in
            defer { state.hasRun = true }
            return !state.hasRun
        }
        guard isFirst else {
            throw RPCError(.failedPrecondition, "a server runs once")
        }
        let listener: any Channel
        do {
            listener = try await bind()
        } catch {
            let failure = RPCError(handlerError: error)
            settle(.failure(failure))
            throw failure
        }
        let stop = await withTaskCancellationHandler {
            await stopSignal()
        } onCancel: {
            signal(.now)
        }
        await shutDown(listener, stop)
        settle(.failure(RPCError(.unavailable, "the server has stopped")))
    }

    /// The bound address, once the server listens.
    ///
    /// - Throws: ``RPCError`` if the server could not bind or has stopped.
    public func boundAddress() async throws -> ServerAddress {
        try await withCheckedThrowingContinuation { continuation in
            let known = state.withLock { state -> Result<ServerAddress, any Error>? in
                switch state.phase {
                case .listening(let address): return .success(address)
                case .stopped(let error): return .failure(error)
                case .idle:
                    state.addressWaiters.append(continuation)
                    return nil
                }
            }
            if let known { continuation.resume(with: known) }
        }
    }

    /// Stops accepting and lets running calls finish.
    public func beginGracefulShutdown() { signal(.graceful) }

    private func bind() async throws -> any Channel {
        let context = try TLSContext(configuration.tls, isServer: true)
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.maxMessagesPerRead, value: 4)
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: 4 << 10,
                    initial: 16 << 10,
                    maximum: 256 << 10
                )
            )
            .childChannelOption(
                .writeBufferWaterMark,
                value: ChannelOptions.Types.WriteBufferWaterMark(low: 128 << 10, high: 512 << 10)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try self.accept(channel, context) }
            }
        let listener: any Channel
        do {
            listener = try await bootstrap.bind(host: configuration.host, port: configuration.port)
                .get()
        } catch {
            throw RPCError(
                .unavailable,
                "cannot listen on \(configuration.host):\(configuration.port): \(SocketFault.text(of: error))",
                cause: error
            )
        }
        let address = ServerAddress(
            host: listener.localAddress?.ipAddress ?? configuration.host,
            port: listener.localAddress?.port ?? configuration.port
        )
        logger.info("listening", metadata: ["address": "\(address)"])
        settle(.success(address))
        return listener
    }

    /// Sets one connection up; a connection over the limits is closed before any TLS work.
    private func accept(_ channel: any Channel, _ context: TLSContext) throws {
        let host = channel.remoteAddress?.ipAddress ?? ""
        let link = ConnectionLink(eventLoop: channel.eventLoop)
        guard activity.admit(link, from: host) else {
            if let note = activity.refusals.note() {
                logger.warning("connection refused\(note): too many", metadata: ["host": "\(host)"])
            }
            throw RPCError(.resourceExhausted, "too many connections")
        }
        let activity = activity
        channel.closeFuture.whenComplete { _ in activity.remove(link, from: host) }
        let calls = ServerCalls(router: router, activity: activity, logger: logger)
        try channel.pipeline.syncOperations.addHandler(TLSHandler(context))
        try channel.pipeline.syncOperations.addHandler(
            ConnectionHandler(
                side: .server,
                limits: configuration.limits,
                identity: identity,
                owner: calls,
                link: link,
                logger: logger
            )
        )
    }

    private func shutDown(_ listener: any Channel, _ stop: Stop) async {
        do {
            try await listener.close()
        } catch {
            logger.debug("listener was closed before", metadata: ["error": "\(error)"])
        }
        switch stop {
        case .graceful: activity.drain()
        case .now: activity.closeAll(RPCError(.unavailable, "the server was stopped"))
        }
        let activity = activity
        let logger = logger
        // Connections keep to the drain timeout themselves; a handler that ignores its
        // cancellation gets as long again, then the server stops without it.
        let patience = TimeAmount(configuration.limits.drainTimeout * 2)
        let timer = MultiThreadedEventLoopGroup.singleton.any().scheduleTask(in: patience) {
            let left = activity.giveUp()
            logger.error("stopping with handlers running", metadata: ["handlers": "\(left)"])
        }
        await activity.waitUntilIdle()
        timer.cancel()
    }

    private func settle(_ result: Result<ServerAddress, RPCError>) {
        let waiters = state.withLock { state in
            switch result {
            case .success(let address): state.phase = .listening(address)
            case .failure(let error): state.phase = .stopped(error)
            }
            defer { state.addressWaiters = [] }
            return state.addressWaiters
        }
        for waiter in waiters { waiter.resume(with: result.mapError { $0 as any Error }) }
    }

    private func signal(_ stop: Stop) {
        let waiter = state.withLock { state in
            if state.stop != .now { state.stop = stop }
            return state.stopWaiter.take()
        }
        if let waiter { return waiter.resume(returning: stop) }
        if stop == .now { activity.closeAll(RPCError(.unavailable, "the server was stopped")) }
    }

    private func stopSignal() async -> Stop {
        await withCheckedContinuation { continuation in
            let stop = state.withLock { state -> Stop? in
                if let stop = state.stop { return stop }
                state.stopWaiter = continuation
                return nil
            }
            if let stop { continuation.resume(returning: stop) }
        }
    }
}
