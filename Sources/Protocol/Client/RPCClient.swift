public import Logging

/// Calls one server over mutual TLS; connects when first needed and again when the link is lost.
public final class RPCClient: Sendable {
    /// Makes a client; nothing is sent before the first call.
    public init(configuration: RPCClientConfiguration, logger: Logger) {}
    /// Calls a method with one request and one reply.
    public func call<Request, Response>(
        _ method: UnaryMethod<Request, Response>,
        _ request: Request,
        timeout: Duration = .seconds(30)
    ) async throws -> Response { throw RPCError(.unimplemented, "the client does not run yet") }
    /// Calls a method that replies with a stream; returns after its end.
    public func stream<Request, Response>(
        _ method: ServerStreamMethod<Request, Response>,
        _ request: Request,
        onMessage: (Response) async throws -> Void
    ) async throws { throw RPCError(.unimplemented, "the client does not run yet") }
    /// Calls a method with a stream of requests and one reply.
    public func clientStream<Request, Response>(
        _ method: ClientStreamMethod<Request, Response>,
        timeout: Duration = .seconds(30),
        produce: (StreamWriter<Request>) async throws -> Void
    ) async throws -> Response { throw RPCError(.unimplemented, "the client does not run yet") }
    /// Sends a blob; `nextChunk` returns nil after the last byte.
    public func upload<Request, Response>(
        _ method: BlobUploadMethod<Request, Response>,
        _ request: Request,
        size: UInt64,
        digest: SHA256Digest,
        nextChunk: () async throws -> [UInt8]?
    ) async throws -> Response { throw RPCError(.unimplemented, "the client does not run yet") }
    /// Receives a blob.
    public func download<Request>(
        _ method: BlobDownloadMethod<Request>,
        _ request: Request,
        onChunk: ([UInt8]) async throws -> Void
    ) async throws { throw RPCError(.unimplemented, "the client does not run yet") }
    /// Closes the connection; later calls fail.
    public func close() async {}
}
