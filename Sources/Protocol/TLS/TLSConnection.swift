internal import COpenSSL
internal import NIOCore

/// One TLS session over memory: ciphertext in, plaintext out, and the reverse.
///
/// Used on one event loop only; it owns its `SSL`, which owns the two memory buffers.
final class TLSConnection {
    enum HandshakeState { case goesOn, done }
    enum ReadState { case goesOn, closed }

    private static let recordByteCount = 16 << 10

    let isServer: Bool
    private let pointer: OpaquePointer
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer

    init(_ context: TLSContext) throws {
        OpenSSLErrors.clear()
        guard let pointer = SSL_new(context.pointer), let incoming = BIO_new(BIO_s_mem()),
            let outgoing = BIO_new(BIO_s_mem())
        else {
            throw RPCError(.internal, "cannot start TLS: \(OpenSSLErrors.drainedText())")
        }
        qat_bio_set_mem_eof_return(incoming, -1)
        qat_bio_set_mem_eof_return(outgoing, -1)
        SSL_set_bio(pointer, incoming, outgoing)
        if context.isServer {
            SSL_set_accept_state(pointer)
        } else {
            SSL_set_connect_state(pointer)
        }
        self.pointer = pointer
        self.incoming = incoming
        self.outgoing = outgoing
        isServer = context.isServer
    }

    deinit { SSL_free(pointer) }

    /// Takes bytes from the network.
    func feed(_ bytes: ByteBuffer) {
        bytes.withUnsafeReadableBytes { source in
            guard let start = source.baseAddress, source.count > 0 else { return }
            BIO_write(incoming, start, Int32(source.count))
        }
    }

    /// Goes on with the handshake.
    func handshake() throws -> HandshakeState {
        OpenSSLErrors.clear()
        let result = SSL_do_handshake(pointer)
        if result == 1 { return .done }
        switch SSL_get_error(pointer, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .goesOn
        default: throw failure()
        }
    }

    /// Whether both sides agreed on qatrpc/1.
    var speaksProtocol: Bool {
        var name: UnsafePointer<UInt8>?
        var length: UInt32 = 0
        SSL_get0_alpn_selected(pointer, &name, &length)
        let chosen = UnsafeBufferPointer(start: name, count: Int(length))
        return chosen.elementsEqual(TLSContext.protocolName)
    }

    /// Who the peer is.
    func peerIdentity() throws -> PeerIdentity { try PeerCertificate.identity(of: pointer) }

    /// Appends all plaintext at hand to `buffer`.
    func read(into buffer: inout ByteBuffer) throws -> ReadState {
        OpenSSLErrors.clear()
        while true {
            var result: Int32 = 0
            buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: Self.recordByteCount) {
                space in
                result = SSL_read(pointer, space.baseAddress, Int32(clamping: space.count))
                return max(0, Int(result))
            }
            if result > 0 { continue }
            switch SSL_get_error(pointer, result) {
            case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .goesOn
            case SSL_ERROR_ZERO_RETURN: return .closed
            default: throw failure()
            }
        }
    }

    /// Encrypts all of `bytes`.
    func write(_ bytes: ByteBuffer) throws {
        OpenSSLErrors.clear()
        try bytes.withUnsafeReadableBytes { source in
            var left = source
            while !left.isEmpty {
                let result = SSL_write(pointer, left.baseAddress, Int32(clamping: left.count))
                guard result > 0 else { throw failure() }
                left = UnsafeRawBufferPointer(rebasing: left.dropFirst(Int(result)))
            }
        }
    }

    /// Says that this side sends no more.
    func shutDown() {
        OpenSSLErrors.clear()
        SSL_shutdown(pointer)
        OpenSSLErrors.clear()
    }

    /// Appends the ciphertext that is to be sent; false if there is none.
    func takeOutgoing(into buffer: inout ByteBuffer) -> Bool {
        var start: UnsafeMutablePointer<CChar>?
        let count = qat_bio_get_mem_data(outgoing, &start)
        guard count > 0, let start else { return false }
        buffer.writeBytes(UnsafeRawBufferPointer(start: start, count: count))
        _ = qat_bio_reset(outgoing)
        return true
    }

    private func failure() -> RPCError {
        let errors = OpenSSLErrors.drain()
        let verdict = SSL_get_verify_result(pointer)
        let message: String
        if verdict != Int(X509_V_OK) {
            message = Self.explanation(verdict: verdict)
        } else if let known = errors.lazy.compactMap({ $0.explanation(isServer: self.isServer) })
            .first
        {
            message = known
        } else {
            let texts = errors.map(\.text).joined(separator: "; ")
            message = "TLS failed: \(texts.isEmpty ? "the peer closed the connection" : texts)"
        }
        return RPCError(.unavailable, message, category: .permanent, processed: .no)
    }

    private static func explanation(verdict: Int) -> String {
        switch Int32(truncatingIfNeeded: verdict) {
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
            X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT,
            X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_CERT_SIGNATURE_FAILURE:
            return "certificate signed by an unknown authority"
        case X509_V_ERR_CERT_HAS_EXPIRED: return "the peer's certificate has expired"
        case X509_V_ERR_CERT_NOT_YET_VALID: return "the peer's certificate is not valid yet"
        case X509_V_ERR_INVALID_PURPOSE:
            return "the peer's certificate was not issued for this side of a connection"
        default:
            let text = X509_verify_cert_error_string(verdict).map { String(cString: $0) }
            return "the peer's certificate is not accepted: \(text ?? "error \(verdict)")"
        }
    }
}
