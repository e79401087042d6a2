package import NIOCore

/// TLS 1.3 for a server of HTTP/1.1, over the same OpenSSL as qatrpc's; its clients show no certificates.
package final class ServerTLS: Sendable {
    private let context: TLSContext

    /// Loads a certificate chain and its key, PEM files.
    ///
    /// - Throws: ``RPCError`` (`failedPrecondition`) naming the file that is wrong, and how.
    package init(certificatePath: String, privateKeyPath: String) throws {
        context = try TLSContext(
            httpCertificatePath: certificatePath,
            privateKeyPath: privateKeyPath
        )
    }

    /// Puts TLS before all that is added to a channel later; on its event loop.
    package func secure(_ channel: any Channel) throws {
        try channel.pipeline.syncOperations.addHandlers(TLSHandler(context), TLSEndHandler())
    }
}

/// Closes a connection whose TLS failed, or whose peer sends no more: half a TLS connection is none.
private final class TLSEndHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .failed? = event as? TLSHandshakeOutcome {
            context.close(promise: nil)
        } else if case .inputClosed? = event as? ChannelEvent {
            context.close(promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }
}
