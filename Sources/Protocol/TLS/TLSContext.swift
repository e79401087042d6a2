internal import COpenSSL

/// The settings that every connection of one process and side shares.
///
/// `@unchecked Sendable`: an `SSL_CTX` is reference counted and, once configured, safe to make
/// connections from on any thread; nothing changes it after `init`.
final class TLSContext: @unchecked Sendable {
    /// `qatrpc/1`, to be preceded by its length in ALPN.
    static let protocolName: [UInt8] = Array("qatrpc/1".utf8)
    private static let httpName: [UInt8] = Array("http/1.1".utf8)
    static let alpn: [UInt8] = [UInt8(protocolName.count)] + protocolName
    private static let securityLevel: Int32 = 2

    let isServer: Bool
    /// Whether both sides show certificates that name them, and speak qatrpc/1.
    let namesPeers: Bool
    let pointer: OpaquePointer

    /// Loads certificate, key and trust roots.
    ///
    /// - Throws: ``RPCError`` (`failedPrecondition`) naming the file that is wrong.
    init(_ files: TLSIdentityFiles, isServer: Bool) throws {
        try files.check()
        OpenSSLErrors.clear()
        guard let pointer = SSL_CTX_new(isServer ? TLS_server_method() : TLS_client_method()) else {
            throw Self.failure("cannot start TLS")
        }
        self.pointer = pointer
        self.isServer = isServer
        namesPeers = true
        try load(files)
        try restrict()
    }

    /// Loads certificate and key of a server of HTTP/1.1, whose clients show no certificates.
    ///
    /// - Throws: ``RPCError`` (`failedPrecondition`) naming the file that is wrong.
    init(httpCertificatePath certificate: String, privateKeyPath key: String) throws {
        try TLSIdentityFiles.checkPair(certificatePath: certificate, privateKeyPath: key)
        OpenSSLErrors.clear()
        guard let pointer = SSL_CTX_new(TLS_server_method()) else {
            throw Self.failure("cannot start TLS")
        }
        self.pointer = pointer
        isServer = true
        namesPeers = false
        try load(certificate: certificate, key: key)
        try restrictVersion()
        SSL_CTX_set_verify(pointer, SSL_VERIFY_NONE, nil)
        SSL_CTX_set_alpn_select_cb(
            pointer,
            { _, selected, selectedLength, offered, offeredLength, _ in
                TLSContext.select(
                    TLSContext.httpName,
                    selected,
                    selectedLength,
                    offered,
                    offeredLength
                )
            },
            nil
        )
    }

    deinit { SSL_CTX_free(pointer) }

    private func load(_ files: TLSIdentityFiles) throws {
        try load(certificate: files.certificatePath, key: files.privateKeyPath)
        guard SSL_CTX_load_verify_locations(pointer, files.trustRootsPath, nil) == 1 else {
            throw Self.failure("cannot use the trust roots \(files.trustRootsPath)")
        }
    }

    private func load(certificate: String, key: String) throws {
        guard SSL_CTX_use_certificate_chain_file(pointer, certificate) == 1 else {
            throw Self.failure("cannot use the certificate \(certificate)")
        }
        guard SSL_CTX_use_PrivateKey_file(pointer, key, SSL_FILETYPE_PEM) == 1 else {
            throw Self.failure("cannot use the private key \(key)")
        }
        guard SSL_CTX_check_private_key(pointer) == 1 else {
            throw Self.failure("\(key) is not the key of \(certificate)")
        }
    }

    private func restrictVersion() throws {
        SSL_CTX_set_security_level(pointer, Self.securityLevel)
        let suites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
        guard qat_ssl_ctx_require_tls13(pointer) == 1,
            SSL_CTX_set_ciphersuites(pointer, suites) == 1,
            SSL_CTX_set_num_tickets(pointer, 0) == 1
        else { throw Self.failure("cannot restrict TLS to version 1.3") }
        qat_ssl_ctx_set_fast_modes(pointer)
        qat_ssl_ctx_disable_session_cache(pointer)
        qat_ssl_ctx_read_ahead(pointer)
    }

    private func restrict() throws {
        try restrictVersion()
        SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
        guard isServer else {
            // Unlike the rest of OpenSSL, this call returns 0 for success.
            guard SSL_CTX_set_alpn_protos(pointer, Self.alpn, UInt32(Self.alpn.count)) == 0 else {
                throw Self.failure("cannot offer qatrpc/1")
            }
            return
        }
        SSL_CTX_set_alpn_select_cb(
            pointer,
            { _, selected, selectedLength, offered, offeredLength, _ in
                TLSContext.select(
                    TLSContext.protocolName,
                    selected,
                    selectedLength,
                    offered,
                    offeredLength
                )
            },
            nil
        )
    }

    /// Finds a protocol in the client's offer; the result points into the offer, as ALPN asks.
    private static func select(
        _ wanted: [UInt8],
        _ selected: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
        _ selectedLength: UnsafeMutablePointer<UInt8>?,
        _ offered: UnsafePointer<UInt8>?,
        _ offeredLength: UInt32
    ) -> Int32 {
        let offer = UnsafeBufferPointer(start: offered, count: Int(offeredLength))
        var index = 0
        while index < offer.count {
            let name = offer.dropFirst(index + 1).prefix(Int(offer[index]))
            if name.elementsEqual(wanted) {
                selected?.pointee = offered.map { $0 + index + 1 }
                selectedLength?.pointee = UInt8(wanted.count)
                return SSL_TLSEXT_ERR_OK
            }
            index += 1 + Int(offer[index])
        }
        return SSL_TLSEXT_ERR_ALERT_FATAL
    }

    private static func failure(_ message: String) -> RPCError {
        RPCError(.failedPrecondition, "\(message): \(OpenSSLErrors.drainedText())", processed: .no)
    }
}
