internal import NIOCore
internal import NIOHTTP1

/// Answers in the version of HTTP that was asked in: what follows in the pipeline knows of one alone.
///
/// Proxies ask in 1.0, which has no chunks: there an answer of unknown length ends with the connection.
final class HTTPVersionHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private var version = HTTPVersion.http1_1

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(var head) = unwrapInboundIn(data) else {
            return context.fireChannelRead(data)
        }
        version = head.version
        head.headers.replaceOrAdd(
            name: "connection",
            value: head.isKeepAlive && head.version == .http1_1 ? "keep-alive" : "close"
        )
        context.fireChannelRead(wrapInboundOut(.head(head)))
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard case .head(var head) = unwrapOutboundIn(data), (version.major, version.minor) < (1, 1)
        else {
            return context.write(data, promise: promise)
        }
        head.version = version
        context.write(wrapOutboundOut(.head(head)), promise: promise)
    }
}
