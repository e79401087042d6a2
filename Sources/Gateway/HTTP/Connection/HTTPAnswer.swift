internal import HTTPTypes
internal import JobSpecs
internal import NIOCore
internal import NIOHTTPTypes
internal import Synchronization

/// Where a connection's answers go.
struct HTTPAnswers: Sendable {
    private let outbound: NIOAsyncChannelOutboundWriter<HTTPResponsePart>

    init(_ outbound: NIOAsyncChannelOutboundWriter<HTTPResponsePart>) { self.outbound = outbound }

    /// Begins the answer to a request.
    ///
    /// `isHead`: Whether the request wants headers alone. `isLast`: Whether the connection ends with it.
    func begin(isHead: Bool, isLast: Bool) -> HTTPAnswer {
        HTTPAnswer(outbound, isHead: isHead, isLast: isLast)
    }

    /// Answers with a failure.
    func write(_ failure: HTTPFailure, isHead: Bool = false, isLast: Bool) async throws {
        try await begin(isHead: isHead, isLast: isLast).fail(failure)
    }

    /// Asks for a body that is held back until somebody wants it.
    func askForBody() async throws {
        try await outbound.write(.head(HTTPResponse(status: .continue)))
    }
}

/// The answer to one request: a whole one, or events one after the other.
final class HTTPAnswer: Sendable {
    private enum Phase { case unanswered, events, over }

    /// Names this answer in logs and in what is answered.
    let id = HTTPAnswer.newID()
    private let outbound: NIOAsyncChannelOutboundWriter<HTTPResponsePart>
    private let isHead: Bool
    private let isLast: Bool
    private let state = Mutex<(phase: Phase, status: Int)>((.unanswered, 0))

    fileprivate init(
        _ outbound: NIOAsyncChannelOutboundWriter<HTTPResponsePart>,
        isHead: Bool,
        isLast: Bool
    ) {
        self.outbound = outbound
        self.isHead = isHead
        self.isLast = isLast
    }

    /// The status that was answered; 0 if none was.
    var status: Int { state.withLock { $0.status } }

    /// Answers with JSON.
    func send(
        _ json: JSONValue,
        status: HTTPResponse.Status = .ok,
        headers: HTTPFields = HTTPFields()
    ) async throws {
        try await send(json.canonicalBytes, "application/json", status: status, headers: headers)
    }

    /// Answers with bytes of a type.
    func send(
        _ bytes: [UInt8],
        _ contentType: String,
        status: HTTPResponse.Status = .ok,
        headers: HTTPFields = HTTPFields()
    ) async throws {
        guard advance(from: .unanswered, to: .over, status.code) else { return }
        var fields = head(contentType, headers)
        fields[.contentLength] = "\(bytes.count)"
        var parts: [HTTPResponsePart] = [.head(HTTPResponse(status: status, headerFields: fields))]
        if !isHead { parts.append(.body(ByteBuffer(bytes: bytes))) }
        try await outbound.write(contentsOf: parts + [.end(nil)])
    }

    /// Sends events, the first of which begins the answer.
    func send(events: [JSONValue]) async throws {
        let text = events.map { "data: \($0.canonicalText)\n\n" }.joined()
        let body = HTTPResponsePart.body(ByteBuffer(string: text))
        guard advance(from: .unanswered, to: .events, 200) else {
            return try await outbound.write(body)
        }
        var fields = head("text/event-stream; charset=utf-8", HTTPFields())
        // Proxies are not to keep events until there are many.
        fields[.init("x-accel-buffering") ?? .via] = "no"
        let head = HTTPResponse(status: .ok, headerFields: fields)
        try await outbound.write(contentsOf: [.head(head), body])
    }

    /// Ends the events as OpenAI's API does.
    func endEvents() async throws {
        guard advance(from: .events, to: .over, 200) else { return }
        let end = ByteBuffer(string: "data: [DONE]\n\n")
        try await outbound.write(contentsOf: [.body(end), .end(nil)])
    }

    /// Answers with what went wrong, as an event if some were sent; throws it again if nobody is there to
    /// hear.
    func fail(_ error: any Error) async throws {
        if error is CancellationError || error is ChannelError { throw error }
        let failure = HTTPFailure(error)
        try await send(failure.json, status: failure.status, headers: failure.headers)
        guard advance(from: .events, to: .over, failure.status.code) else { return }
        let event = ByteBuffer(string: "data: \(failure.json.canonicalText)\n\n")
        try await outbound.write(contentsOf: [.body(event), .end(nil)])
    }

    private func advance(from old: Phase, to new: Phase, _ status: Int) -> Bool {
        state.withLock { state in
            guard state.phase == old else { return false }
            state = (new, status)
            return true
        }
    }

    private func head(_ contentType: String, _ more: HTTPFields) -> HTTPFields {
        var fields = more
        fields[.contentType] = contentType
        fields[.cacheControl] = "no-store"
        fields[.init("x-request-id") ?? .via] = id
        if isLast { fields[.connection] = "close" }
        return fields
    }

    private static func newID() -> String {
        let digits = String(UInt64.random(in: .min ... .max), radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
