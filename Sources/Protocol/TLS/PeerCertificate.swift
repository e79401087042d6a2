internal import COpenSSL

/// Reads the peer's identity out of its certificate, whose chain OpenSSL has already verified.
enum PeerCertificate {
    /// The identity that the certificate names.
    ///
    /// - Throws: ``RPCError`` (`unauthenticated`) if it names none, several, or may sign others.
    static func identity(of connection: OpaquePointer) throws -> PeerIdentity {
        guard let certificate = SSL_get1_peer_certificate(connection) else {
            throw refusal("peer presented no certificate")
        }
        defer { X509_free(certificate) }
        let identity = try identity(in: certificate)
        try check(identity, against: SSL_get_certificate(connection))
        return identity
    }

    /// The identity that a certificate names, if it is one for connections.
    ///
    /// - Throws: ``RPCError`` (`unauthenticated`), as of a peer's.
    static func identity(in certificate: OpaquePointer) throws -> PeerIdentity {
        guard X509_check_ca(certificate) == 0 else {
            throw refusal("the certificate is an authority's, not a service's or a user's")
        }
        let usage = X509_get_key_usage(certificate)
        guard usage != UInt32.max, usage & UInt32(KU_DIGITAL_SIGNATURE) != 0,
            usage & UInt32(KU_KEY_CERT_SIGN) == 0
        else {
            throw refusal("the certificate's key usage is not digitalSignature")
        }
        let identity = try PeerIdentity(parsing: try uri(of: certificate))
        if identity.role != nil {
            let extended = X509_get_extended_key_usage(certificate)
            let both = UInt32(XKU_SSL_SERVER | XKU_SSL_CLIENT)
            guard extended != UInt32.max, extended & both == both else {
                throw refusal("a service's certificate needs serverAuth and clientAuth")
            }
        }
        return identity
    }

    /// Whoever signed it: a name of another trust domain is not one of this deployment's.
    private static func check(_ peer: PeerIdentity, against own: OpaquePointer?) throws {
        // A certificate of one's own that names nobody has no domain to compare.
        guard let own, let name = try? uri(of: own), let mine = try? PeerIdentity(parsing: name),
            mine.trustDomain != peer.trustDomain
        else { return }
        throw refusal(
            "the certificate's trust domain is \(peer.trustDomain), not \(mine.trustDomain)"
        )
    }

    static func uri(of certificate: OpaquePointer) throws -> String {
        OpenSSLErrors.clear()
        guard let names = X509_get_ext_d2i(certificate, NID_subject_alt_name, nil, nil) else {
            throw refusal("the certificate has no subject alternative name")
        }
        let list = OpaquePointer(names)
        defer { qat_general_names_free(list) }
        var uris: [String] = []
        for index in 0..<qat_general_names_count(list) {
            guard let value = qat_general_name_uri(qat_general_name_at(list, index)) else {
                continue
            }
            let bytes = UnsafeBufferPointer(
                start: ASN1_STRING_get0_data(value),
                count: Int(ASN1_STRING_length(value))
            )
            uris.append(String(decoding: bytes, as: UTF8.self))
        }
        guard let uri = uris.first, uris.count == 1 else {
            throw refusal("the certificate has \(uris.count) URI names; it needs exactly one")
        }
        return uri
    }

    private static func refusal(_ message: String) -> RPCError {
        RPCError(.unauthenticated, message, processed: .no)
    }
}
