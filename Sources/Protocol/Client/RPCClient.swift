public import Logging
internal import NIOCore

/// Calls one server over mutual TLS; connects when first needed and again when the link is lost.
///
/// All calls share one connection. Cancelling the task of a call cancels its handler at the
/// server. A call that was certainly not processed is retried; one that may have been is retried
/// only if its method is idempotent.
public final class RPCClient: Sendable {
    private let configuration: RPCClientConfiguration
    private let connector: ClientConnector

    /// Makes a client; nothing is sent before the first call.
    public init(configuration: RPCClientConfiguration, logger: Logger) {
        self.configuration = configuration
        connector = ClientConnector(configuration: configuration, logger: logger)
    }

    /// Calls a method with one request and one reply.
    ///
    /// - Throws: ``RPCError``: the server's, or `unavailable`, `deadlineExceeded`, `cancelled`.
    public func call<Request, Response>(
        _ method: UnaryMethod<Request, Response>,
        _ request: Request,
        timeout: Duration = .seconds(30)
    ) async throws -> Response {
        try await retrying(timeout: timeout, isIdempotent: method.isIdempotent) {
            connection,
            left,
            attempt in
            let stream = CallStream(link: connection.link, limits: connection.limits)
            stream.link.open(stream, timeout: left)
            let envelope = Self.envelope(method.name, left, attempt)
            return try await Self.cancelling(stream) {
                try stream.open(envelope, first: request, endStream: true)
                return try await Self.onlyReply(of: stream)
            }
        }
    }

    /// Calls a method that replies with a stream; returns after its end.
    ///
    /// Opening is retried; once a message has come, a lost connection ends the stream, and the
    /// caller resumes from where it was.
    ///
    /// - Throws: ``RPCError``, or what `onMessage` throws, which cancels the call.
    public func stream<Request, Response>(
        _ method: ServerStreamMethod<Request, Response>,
        _ request: Request,
        onMessage: (Response) async throws -> Void
    ) async throws {
        let stream = try await opened(method.name) { stream, envelope in
            try stream.open(envelope, first: request, endStream: true)
        }
        try await Self.cancelling(stream) {
            var messages = MessageStream<Response>(stream: stream).makeAsyncIterator()
            while let message = try await messages.next() { try await onMessage(message) }
        }
    }

    /// Calls a method with a stream of requests and one reply.
    ///
    /// - Throws: ``RPCError``, or what `produce` throws, which cancels the call.
    public func clientStream<Request, Response>(
        _ method: ClientStreamMethod<Request, Response>,
        timeout: Duration = .seconds(30),
        produce: (StreamWriter<Request>) async throws -> Void
    ) async throws -> Response {
        let stream = try await opened(method.name, timeout: timeout) { stream, envelope in
            try stream.open(envelope, first: Request?.none, endStream: false)
        }
        return try await Self.sending(stream) {
            try await produce(StreamWriter(stream: stream))
            try stream.endSending()
        }
    }

    /// Sends a blob; `nextChunk` returns nil after the last byte.
    ///
    /// - Parameters:
    ///   - method: The method.
    ///   - request: Its request.
    ///   - size: Length of the whole blob, in bytes.
    ///   - digest: SHA-256 of the whole blob.
    ///   - nextChunk: Gives the next bytes, nil at the end.
    /// - Returns: The server's reply.
    /// - Throws: ``RPCError``, or what `nextChunk` throws, which cancels the call.
    public func upload<Request, Response>(
        _ method: BlobUploadMethod<Request, Response>,
        _ request: Request,
        size: UInt64,
        digest: SHA256Digest,
        nextChunk: () async throws -> [UInt8]?
    ) async throws -> Response {
        let stream = try await opened(method.name) { stream, envelope in
            var envelope = envelope
            envelope.expectsBlob = true
            try stream.open(envelope, first: request, endStream: false)
            try stream.sendBlobHeader(BlobHeader(digest: digest, size: size, offset: 0))
        }
        return try await Self.sending(stream) {
            while let chunk = try await nextChunk() {
                if !chunk.isEmpty { try await stream.sendBlob(chunk) }
            }
            try stream.endSending(blob: true)
        }
    }

    /// Receives a blob; checks the digest of a whole one.
    ///
    /// - Throws: ``RPCError`` (`dataLoss`) if the bytes do not match what was announced, or what
    ///   `onChunk` throws, which cancels the call.
    public func download<Request>(
        _ method: BlobDownloadMethod<Request>,
        _ request: Request,
        onChunk: ([UInt8]) async throws -> Void
    ) async throws {
        let stream = try await opened(method.name) { stream, envelope in
            try stream.open(envelope, first: request, endStream: true)
        }
        try await Self.cancelling(stream) {
            var records = RecordReader(stream: stream)
            guard var first = try await records.next(), let header = BlobHeader(from: &first) else {
                throw RPCError(.dataLoss, "the server sent no blob")
            }
            var hasher = SHA256Hasher()
            var end = header.offset
            while let piece = try await records.next() {
                end += UInt64(piece.readableBytes)
                guard end <= header.size else {
                    throw RPCError(.dataLoss, "the blob is longer than its \(header.size) bytes")
                }
                if header.offset == 0 { piece.withUnsafeReadableBytes { hasher.update($0) } }
                try await onChunk([UInt8](buffer: piece))
            }
            guard header.offset == 0, end == header.size else { return }
            guard hasher.finalize() == header.digest else {
                throw RPCError(.dataLoss, "the blob's bytes do not match \(header.digest)")
            }
        }
    }

    /// Closes the connection once its calls are done, two seconds later at most; later calls fail.
    ///
    /// Returns when the connection is gone.
    public func close() async { await connector.close() }
}

extension RPCClient {
    private func retrying<T: Sendable>(
        timeout: Duration?,
        isIdempotent: Bool,
        _ body: (ClientConnection, Duration?, UInt32) async throws -> T
    ) async throws -> T {
        let clock = ContinuousClock()
        let deadline = timeout.map { clock.now + $0 }
        let policy = RetryPolicy(
            attempts: configuration.callAttempts,
            isIdempotent: isIdempotent
        )
        var attempt = 1
        // Whether an attempt may have been served whose answer did not come.
        var isUncertain = false
        while true {
            do {
                let connection = try await connector.current()
                let left = deadline.map { $0 - clock.now }
                if let left, left <= .zero {
                    throw RPCError(.deadlineExceeded, "the call's time ran out", processed: .no)
                }
                return try await body(connection, left, UInt32(attempt))
            } catch var error as RPCError {
                // That one attempt was not processed says nothing of those before it.
                if error.processed == .no, isUncertain { error.processed = .maybe }
                isUncertain = isUncertain || error.processed != .no
                let jitter = Double.random(in: 0..<1)
                guard let delay = policy.delay(after: error, attempt: attempt, jitter: jitter)
                else {
                    throw error
                }
                if let deadline, clock.now + delay >= deadline { throw error }
                do {
                    try await clock.sleep(for: delay)
                } catch {
                    throw RPCError(.cancelled, "the call was cancelled", processed: .maybe)
                }
                attempt += 1
            }
        }
    }

    /// Opens a call that is not unary; retried until the connection has taken it.
    private func opened(
        _ method: String,
        timeout: Duration? = nil,
        _ open: (CallStream, CallEnvelope) throws -> Void
    ) async throws -> CallStream {
        try await retrying(timeout: timeout, isIdempotent: false) { connection, left, attempt in
            let stream = CallStream(link: connection.link, limits: connection.limits)
            stream.link.open(stream, timeout: left)
            try open(stream, Self.envelope(method, left, attempt))
            return stream
        }
    }

    private static func envelope(
        _ method: String,
        _ timeout: Duration?,
        _ attempt: UInt32
    ) -> CallEnvelope {
        let timeoutMs = timeout.map { UInt64(clamping: max(1, $0.milliseconds)) } ?? 0
        var generator = SystemRandomNumberGenerator()
        var callID = ByteBuffer()
        callID.writeMultipleIntegers(generator.next() as UInt64, generator.next() as UInt64)
        return CallEnvelope(
            method: method,
            timeoutMs: timeoutMs,
            callID: [UInt8](buffer: callID),
            attempt: attempt
        )
    }

    /// Runs `body`; if it throws, the server is told that nobody waits any more.
    private static func cancelling<T>(
        _ stream: CallStream,
        _ body: () async throws -> T
    ) async throws -> T {
        do {
            return try await body()
        } catch {
            stream.cancel(RPCError(handlerError: error))
            throw error
        }
    }

    /// Runs `send` and takes the reply.
    ///
    /// If the server answers before everything is sent, its answer counts, not the broken writes.
    private static func sending<Response: WireMessage>(
        _ stream: CallStream,
        _ send: () async throws -> Void
    ) async throws -> Response {
        try await cancelling(stream) {
            do {
                try await send()
            } catch let error {
                guard stream.inbox.isFinished else { throw error }
            }
            return try await onlyReply(of: stream)
        }
    }

    private static func onlyReply<Response: WireMessage>(
        of stream: CallStream
    ) async throws -> Response {
        var records = try await stream.inbox.all().records
        guard let sizes = records.readMultipleIntegers(as: (UInt32, UInt32).self),
            let reply = records.readSlice(length: Int(sizes.0))
        else {
            throw RPCError(.dataLoss, "the server ended the call without a reply")
        }
        return try MessageCodec.decode(Response.self, from: reply)
    }
}
