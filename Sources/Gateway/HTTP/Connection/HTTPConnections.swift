internal import HTTPTypes
internal import HummingbirdCore
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOHTTPTypes
internal import NIOHTTPTypesHTTP1
internal import Protocol

/// A connection of HTTP/1.1, and that its caller hangs up.
struct HTTPLink: ServerChildChannelValue {
    let parts: NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>
    let hangUp: HangUp

    var channel: any Channel { parts.channel }
}

/// Makes connections, over TLS or not, and carries requests to whoever answers them, one after the other.
struct HTTPConnections: ServerChildChannel {
    /// Nil for plain HTTP.
    let tls: ServerTLS?
    let limits: HTTPSettings.Limits
    let routes: HTTPRoutes

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<HTTPLink> {
        channel.eventLoop.makeCompletedFuture {
            let hangUp = HangUp()
            try tls?.secure(channel)
            var decoder = NIOHTTPDecoderLimitConfiguration()
            decoder.maxHeaderFieldSize = limits.headerBytes / 2
            decoder.maxHeaderListSize = limits.headerBytes
            decoder.maxHeaderFieldCount = 200
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandler(HangUpHandler(hangUp))
            try pipeline.configureHTTPServerPipeline(
                withPipeliningAssistance: false,
                withErrorHandling: false,
                withOutboundHeaderValidation: true,
                withEncoderConfiguration: .init(),
                withDecoderLimitConfiguration: decoder
            )
            try pipeline.addHandler(HTTPVersionHandler())
            try pipeline.addHandler(HTTP1ToHTTPServerCodec(secure: tls != nil))
            try pipeline.addHandler(
                HTTPConnectionStateHandler(idleTimeout: limits.idleTime, logger: logger)
            )
            return HTTPLink(
                parts: try NIOAsyncChannel(
                    wrappingChannelSynchronously: channel,
                    configuration: .init(isOutboundHalfClosureEnabled: true)
                ),
                hangUp: hangUp
            )
        }
    }

    func handle(value link: HTTPLink, logger: Logger) async {
        do {
            try await link.parts.executeThenClose { inbound, outbound in
                var parts = inbound.makeAsyncIterator()
                let answers = HTTPAnswers(outbound)
                do {
                    while let part = try await parts.next() {
                        // What is left of a request that was answered before its end.
                        guard case .head(let head) = part else { continue }
                        guard try await exchange(head, &parts, answers, link) else { break }
                    }
                } catch let error as HTTPParserError {
                    try await answers.write(Self.failure(of: error), isLast: true)
                } catch is HTTP1TypeConversionError {
                    try await answers.write(
                        HTTPFailure(.badRequest, "the request's line or headers are malformed"),
                        isLast: true
                    )
                }
                outbound.finish()
                await linger(&parts, link)
            }
        } catch {
            // The caller is gone, or the gateway stops.
            logger.trace("connection ended", metadata: ["reason": "\(error)"])
        }
    }

    /// One request and its answer; returns whether the connection goes on.
    private func exchange(
        _ head: HTTPRequest,
        _ parts: inout NIOAsyncChannelInboundStream<HTTPRequestPart>.AsyncIterator,
        _ answers: HTTPAnswers,
        _ link: HTTPLink
    ) async throws -> Bool {
        let asksForEnd = head.headerFields[.connection] == "close"
        do {
            let route = try routes.route(head, link)
            let body = try await body(of: head, &parts, answers, link)
            let answer = answers.begin(isHead: head.method == .head, isLast: asksForEnd)
            try await link.hangUp.whileConnected {
                try await route(body, answer)
            }
            return !asksForEnd
        } catch let failure as HTTPFailure {
            // Its body may still be on its way, and is not waited for.
            routes.note(failure, head)
            try await answers.write(failure, isHead: head.method == .head, isLast: true)
            return false
        }
    }

    /// The whole body, within its limits.
    private func body(
        of head: HTTPRequest,
        _ parts: inout NIOAsyncChannelInboundStream<HTTPRequestPart>.AsyncIterator,
        _ answers: HTTPAnswers,
        _ link: HTTPLink
    ) async throws -> ByteBuffer {
        let tooLarge = HTTPFailure(
            .contentTooLarge,
            "the request's body has more than \(limits.bodyBytes) bytes",
            code: "request_too_large"
        )
        if let length = head.headerFields[.contentLength].flatMap({ Int($0) }),
            length > limits.bodyBytes
        {
            throw tooLarge
        }
        if head.headerFields[.expect]?.lowercased() == "100-continue" {
            try await answers.askForBody()
        }
        let channel = link.channel
        let time = TimeAmount(limits.readTime)
        let timer = channel.eventLoop.scheduleTask(in: time) {
            channel.pipeline.fireErrorCaught(ReadTimeout())
        }
        defer { timer.cancel() }
        var body = ByteBuffer()
        do {
            while let part = try await parts.next() {
                switch part {
                case .body(var piece):
                    guard body.readableBytes + piece.readableBytes <= limits.bodyBytes else {
                        throw tooLarge
                    }
                    body.writeBuffer(&piece)
                case .end: return body
                case .head: throw CancellationError()
                }
            }
        } catch is ReadTimeout {
            throw HTTPFailure(
                .requestTimeout,
                "the request did not come in within \(limits.readTime / .seconds(1)) s",
                code: "request_timeout"
            )
        }
        throw CancellationError()
    }

    /// A connection that is closed while bytes are on their way takes the answer with it: the caller has a
    /// second to send them, read it and close.
    private func linger(
        _ parts: inout NIOAsyncChannelInboundStream<HTTPRequestPart>.AsyncIterator,
        _ link: HTTPLink
    ) async {
        let channel = link.channel
        let timer = channel.eventLoop.scheduleTask(in: .seconds(1)) { channel.close(promise: nil) }
        while let part = try? await parts.next() { _ = part }
        try? await channel.closeFuture.get()
        timer.cancel()
    }

    private static func failure(of error: HTTPParserError) -> HTTPFailure {
        if error == .headerOverflow {
            return HTTPFailure(
                .requestHeaderFieldsTooLarge,
                "the request's line and headers are too large",
                code: "headers_too_large"
            )
        }
        return HTTPFailure(.badRequest, "the request is no HTTP/1.1: \(error)")
    }
}

/// A request that did not come in in time.
private struct ReadTimeout: Error {}
