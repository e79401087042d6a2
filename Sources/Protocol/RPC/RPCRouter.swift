internal import NIOCore

/// What running calls are counted with: those that wait for something for days are none that others wait
/// for.
enum CallLane: Sendable {
    case calls
    /// Messages to the caller, one after the other, as long as there are any.
    case streams
}

/// The methods a server offers, each with who may call it.
///
/// A method that was not added is `unimplemented`; a caller that its rule does not admit is
/// refused before any handler runs.
public struct RPCRouter: Sendable {
    typealias Handler = @Sendable (CallStream, CallContext) async throws -> Void

    struct Route: Sendable {
        let allow: AccessRule
        /// Whether a call must say how long its caller waits.
        let needsDeadline: Bool
        let lane: CallLane
        let handle: Handler
    }

    private(set) var routes: [String: Route] = [:]

    /// Told of callers that no rule admits, with the method and why; nil writes them to the server's log.
    public var onDenial: (@Sendable (PeerIdentity, _ method: String, _ rule: String) -> Void)?

    /// Makes a router without methods.
    public init() {}

    /// Adds a call with one request and one reply.
    public mutating func unary<Request, Response>(
        _ method: UnaryMethod<Request, Response>,
        allow: AccessRule,
        handler: @escaping @Sendable (Request, CallContext) async throws -> Response
    ) {
        add(method.name, allow, needsDeadline: true) { stream, context in
            let request: Request = try await Self.onlyMessage(of: stream)
            let response = try await handler(request, context)
            try stream.finish(.success, reply: response)
        }
    }

    /// Adds a call with one request and a stream of replies.
    public mutating func serverStream<Request, Response>(
        _ method: ServerStreamMethod<Request, Response>,
        allow: AccessRule,
        handler:
            @escaping @Sendable (Request, CallContext, StreamWriter<Response>) async throws -> Void
    ) {
        add(method.name, allow, lane: .streams) { stream, context in
            let request: Request = try await Self.onlyMessage(of: stream)
            try await handler(request, context, StreamWriter(stream: stream))
            try stream.finish(.success, reply: CallStatus?.none)
        }
    }

    /// Adds a call with a stream of requests and one reply.
    public mutating func clientStream<Request, Response>(
        _ method: ClientStreamMethod<Request, Response>,
        allow: AccessRule,
        handler:
            @escaping @Sendable (MessageStream<Request>, CallContext) async throws -> Response
    ) {
        add(method.name, allow) { stream, context in
            let response = try await handler(MessageStream(stream: stream), context)
            try stream.finish(.success, reply: response)
        }
    }

    /// Adds a call whose request is followed by raw bytes.
    public mutating func blobUpload<Request, Response>(
        _ method: BlobUploadMethod<Request, Response>,
        allow: AccessRule,
        handler:
            @escaping @Sendable (Request, BlobReader, CallContext) async throws -> Response
    ) {
        add(method.name, allow) { stream, context in
            var records = RecordReader(stream: stream)
            guard let first = try await records.next() else {
                throw RPCError(.invalidArgument, "the call carries no request", processed: .no)
            }
            let request = try MessageCodec.decode(Request.self, from: first)
            guard var piece = try await records.next(), let header = BlobHeader(from: &piece),
                piece.readableBytes == 0
            else {
                throw RPCError(
                    .invalidArgument,
                    "the call carries no blob, or one without its header",
                    processed: .no
                )
            }
            let blob = BlobReader(header: header, records: records)
            let response = try await handler(request, blob, context)
            try stream.finish(.success, reply: response)
        }
    }

    /// Adds a call whose reply is raw bytes; the handler calls ``BlobWriter/begin`` first.
    public mutating func blobDownload<Request>(
        _ method: BlobDownloadMethod<Request>,
        allow: AccessRule,
        handler: @escaping @Sendable (Request, CallContext, BlobWriter) async throws -> Void
    ) {
        add(method.name, allow) { stream, context in
            let request: Request = try await Self.onlyMessage(of: stream)
            try await handler(request, context, BlobWriter(stream: stream))
            try stream.finish(.success, reply: CallStatus?.none)
        }
    }

    private mutating func add(
        _ name: String,
        _ allow: AccessRule,
        needsDeadline: Bool = false,
        lane: CallLane = .calls,
        _ handler: @escaping Handler
    ) {
        precondition(routes[name] == nil, "\(name) is routed twice")
        routes[name] = Route(
            allow: allow,
            needsDeadline: needsDeadline,
            lane: lane,
            handle: handler
        )
    }

    private static func onlyMessage<M: WireMessage>(of stream: CallStream) async throws -> M {
        var records = RecordReader(stream: stream)
        guard let record = try await records.next() else {
            throw RPCError(.invalidArgument, "the call carries no request", processed: .no)
        }
        let message = try MessageCodec.decode(M.self, from: record)
        _ = records.nextAtHand()
        return message
    }
}

extension CallStatus {
    /// The status of a call that succeeded.
    static let success = CallStatus(
        category: RPCError.Category.permanent.rawValue,
        processed: RPCError.Processed.yes.rawValue
    )
}
