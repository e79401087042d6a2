internal import COpenSSL
internal import Foundation

/// An X.509 certificate, read or in the making; it owns OpenSSL's object.
final class Certificate {
    private static let version3 = 2
    private static let serialBitCount: Int32 = 127

    private let pointer: OpaquePointer

    /// Begins a certificate with a random serial number.
    init(commonName: String, validity: Duration, backdating: Duration) throws {
        OpenSSLErrors.clear()
        guard let pointer = X509_new() else { throw Self.failure("cannot make a certificate") }
        self.pointer = pointer
        guard let serial = BN_new() else { throw Self.failure("cannot make a serial number") }
        defer { BN_free(serial) }
        let before = -Int(backdating.components.seconds)
        let after = Int(validity.components.seconds)
        let name = Array(commonName.utf8)
        guard X509_set_version(pointer, Self.version3) == 1,
            BN_rand(serial, Self.serialBitCount, 0, 0) == 1,
            BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(pointer)) != nil,
            X509_gmtime_adj(X509_getm_notBefore(pointer), before) != nil,
            X509_gmtime_adj(X509_getm_notAfter(pointer), after) != nil,
            X509_NAME_add_entry_by_txt(
                X509_get_subject_name(pointer),
                "CN",
                MBSTRING_UTF8,
                name,
                Int32(name.count),
                -1,
                0
            ) == 1
        else { throw Self.failure("cannot fill a certificate") }
    }

    /// Reads a PEM file.
    init(path: String) throws {
        OpenSSLErrors.clear()
        guard let file = BIO_new_file(path, "r") else {
            throw RPCError(.notFound, "cannot open \(path): \(OpenSSLErrors.drainedText())")
        }
        defer { BIO_free(file) }
        guard let pointer = PEM_read_bio_X509(file, nil, nil, nil) else {
            throw Self.failure("\(path) holds no certificate")
        }
        self.pointer = pointer
    }

    private init(owning pointer: OpaquePointer) { self.pointer = pointer }

    /// Reads every certificate of a PEM file, in order; one at least.
    static func all(path: String) throws -> [Certificate] {
        OpenSSLErrors.clear()
        guard let file = BIO_new_file(path, "r") else {
            throw RPCError(.notFound, "cannot open \(path): \(OpenSSLErrors.drainedText())")
        }
        defer { BIO_free(file) }
        var found: [Certificate] = []
        while let pointer = PEM_read_bio_X509(file, nil, nil, nil) {
            found.append(Certificate(owning: pointer))
        }
        let errors = OpenSSLErrors.drain()
        // The end of the file is an error to OpenSSL, too.
        guard errors.allSatisfy({ qat_error_is_end_of_pem($0.code) != 0 }) else {
            throw RPCError(
                .invalidArgument,
                "certificate \(found.count + 1) is broken: \(errors[0].text)"
            )
        }
        guard !found.isEmpty else { throw RPCError(.invalidArgument, "holds no certificate") }
        return found
    }

    deinit { X509_free(pointer) }

    /// From when to when it is valid.
    func validity(path: String) throws -> CertificateValidity {
        func date(_ time: UnsafePointer<ASN1_TIME>?) throws -> Date {
            var parts = tm()
            guard let time, ASN1_TIME_to_tm(time, &parts) == 1 else {
                throw RPCError(.invalidArgument, "holds a certificate with a broken date")
            }
            return Date(timeIntervalSince1970: Double(timegm(&parts)))
        }
        return CertificateValidity(
            path: path,
            begins: try date(X509_get0_notBefore(pointer)),
            ends: try date(X509_get0_notAfter(pointer))
        )
    }

    /// Whether `key` is the one that it was made for.
    func matches(_ key: PrivateKey) -> Bool {
        OpenSSLErrors.clear()
        defer { OpenSSLErrors.clear() }
        return X509_check_private_key(pointer, key.pointer) == 1
    }

    /// Why none of `roots` vouches for it, through `others` or directly; nil if one does.
    ///
    /// Times are not looked at.
    func chainFault(through others: [Certificate], to roots: [Certificate]) -> String? {
        OpenSSLErrors.clear()
        defer { OpenSSLErrors.clear() }
        let code = withExtendedLifetime((others, roots)) {
            qat_x509_chain_fault(
                pointer,
                others.map { $0.pointer },
                Int32(others.count),
                roots.map { $0.pointer },
                Int32(roots.count)
            )
        }
        guard code != X509_V_OK else { return nil }
        return X509_verify_cert_error_string(Int(code)).map { String(cString: $0) }
            ?? "code \(code)"
    }

    /// Whom it names to peers.
    func identity() throws -> PeerIdentity { try PeerCertificate.identity(in: pointer) }

    /// The URI that it names.
    func uri() throws -> String { try PeerCertificate.uri(of: pointer) }

    /// The domain that an authority's own URI names.
    func trustDomain() throws -> String {
        let uri = try uri()
        let scheme = "spiffe://"
        guard uri.hasPrefix(scheme) else {
            throw RPCError(.failedPrecondition, "the authority's name '\(uri)' is no SPIFFE domain")
        }
        return String(uri.dropFirst(scheme.count))
    }

    func setKey(_ key: PrivateKey) throws {
        guard X509_set_pubkey(pointer, key.pointer) == 1 else {
            throw Self.failure("cannot set the key")
        }
    }

    func setIssuer(_ issuer: Certificate) throws {
        guard X509_set_issuer_name(pointer, X509_get_subject_name(issuer.pointer)) == 1 else {
            throw Self.failure("cannot set the issuer")
        }
    }

    /// Adds an extension in OpenSSL's configuration syntax.
    func add(_ kind: Int32, _ value: String, issuer: Certificate) throws {
        OpenSSLErrors.clear()
        var context = X509V3_CTX()
        qat_x509v3_set_ctx(&context, issuer.pointer, pointer)
        guard let made = X509V3_EXT_conf_nid(nil, &context, kind, value) else {
            throw Self.failure("cannot add '\(value)'")
        }
        defer { X509_EXTENSION_free(made) }
        guard X509_add_ext(pointer, made, -1) == 1 else {
            throw Self.failure("cannot add '\(value)'")
        }
    }

    func sign(with key: PrivateKey) throws {
        OpenSSLErrors.clear()
        guard X509_sign(pointer, key.pointer, EVP_sha256()) > 0 else {
            throw Self.failure("cannot sign")
        }
    }

    /// Writes PEM that everybody can read.
    func write(to path: String) throws {
        try PEMFile.write(to: path, mode: 0o644) { PEM_write_bio_X509($0, pointer) }
    }

    private static func failure(_ message: String) -> RPCError {
        RPCError(.internal, "\(message): \(OpenSSLErrors.drainedText())")
    }
}
