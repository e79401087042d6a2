internal import COpenSSL
public import Foundation

extension CertificateValidity {
    /// The certificates of a PEM file: what each names (its URI, or nothing) and its times.
    ///
    /// - Throws: ``RPCError`` that names the file and what is wrong with it.
    public static func read(path: String) throws -> [(name: String, validity: CertificateValidity)]
    {
        do {
            return try Certificate.all(path: path).map { certificate in
                ((try? certificate.uri()) ?? "", try certificate.validity(path: path))
            }
        } catch let error as RPCError {
            throw RPCError(error.code, "\(path): \(error.message)", processed: .no)
        }
    }
}

extension TLSIdentityFiles {
    /// Checks the files as TLS will use them, and reads when their certificates end.
    ///
    /// - Returns: The certificates of ``certificatePath``, then those of ``trustRootsPath``.
    /// - Throws: ``RPCError`` (`failedPrecondition`) that names the file and what is wrong with it: it
    ///   cannot be read, holds nothing of its kind, has ended, does not match, or is a key that others
    ///   can read.
    @discardableResult
    public func check(at now: Date = .now) throws -> [CertificateValidity] {
        let own = try Self.checkPair(
            certificatePath: certificatePath,
            privateKeyPath: privateKeyPath,
            at: now
        )
        let roots = try Self.certificates("the trust roots", trustRootsPath)
        // Roots that have ended may stand beside their successors.
        if let last = roots.map(\.validity).max(by: { $0.ends < $1.ends }) {
            try Self.checkTime(last, at: now)
        }
        return own + roots.map(\.validity)
    }

    /// Checks a certificate and its key as ``check(at:)`` does.
    ///
    /// - Throws: As ``check(at:)``.
    @discardableResult
    package static func checkPair(
        certificatePath: String,
        privateKeyPath: String,
        at now: Date = .now
    ) throws -> [CertificateValidity] {
        let own = try certificates("the certificate", certificatePath)
        try checkKey(privateKeyPath, of: own[0].certificate, certificatePath)
        for found in own { try checkTime(found.validity, at: now) }
        return own.map(\.validity)
    }

    /// When the first certificate ends that these files hold and that has not ended yet.
    ///
    /// - Throws: As ``check(at:)``.
    public func firstEnd(at now: Date = .now) throws -> CertificateValidity {
        let validities = try check(at: now)
        return validities.filter { $0.ends > now }.min { $0.ends < $1.ends } ?? validities[0]
    }

    /// Checks the files as ``check(at:)`` does, and that they are those of a service: its certificate
    /// names the role, and one of its own trust roots vouches for it, as its peers' will have to.
    ///
    /// - Parameters:
    ///   - role: The service's role: `gateway`, `quant`, `train` or `eval`.
    ///   - instance: Which one it says it is; nil if it says nothing.
    ///   - now: The time by which they must be valid.
    /// - Throws: ``RPCError`` (`failedPrecondition`) that names the file, and what is wrong with it.
    public func checkService(role: String, instance: String? = nil, at now: Date = .now) throws {
        try check(at: now)
        let own = try Self.certificates("the certificate", certificatePath).map(\.certificate)
        let roots = try Self.certificates("the trust roots", trustRootsPath).map(\.certificate)
        let what = "the certificate \(certificatePath)"
        if let fault = own[0].chainFault(through: Array(own.dropFirst()), to: roots) {
            throw Self.fault(
                "\(what) is signed by none of the trust roots \(trustRootsPath) (\(fault)); give the "
                    + "ca.pem of the authority that issued it"
            )
        }
        let identity: PeerIdentity
        do {
            identity = try own[0].identity()
        } catch let error as RPCError {
            throw Self.fault("\(what): \(error.message)")
        }
        let advice =
            "issue one with \"qat-client certs issue --service \(role)/\(instance ?? "\(role)-1")\""
        switch identity.subject {
        case .user(let name):
            throw Self.fault("\(what) is the user \(name)'s, and no \(role) service's; \(advice)")
        case .service(let named, _) where named != role:
            throw Self.fault("\(what) names \(identity), and this is a \(role) service; \(advice)")
        case .service(_, let named):
            guard let instance, instance != named else { return }
            throw Self.fault(
                "\(what) names the instance \(named), and this one is called \(instance); give "
                    + "--instance \(named), or \(advice)"
            )
        }
    }

    private static func checkKey(
        _ privateKeyPath: String,
        of certificate: Certificate,
        _ certificatePath: String
    ) throws {
        let what = "the private key \(privateKeyPath)"
        let status = try readable(what, privateKeyPath)
        let mode = status.st_mode & 0o777
        // What PostgreSQL asks of its keys: the group may read one that belongs to root, as secrets
        // of an orchestrator do.
        let allowed: mode_t = status.st_uid == 0 && geteuid() != 0 ? 0o740 : 0o700
        guard mode & ~allowed == 0 else {
            throw fault(
                "\(what): others can read it (mode 0\(String(mode, radix: 8))); "
                    + "chmod 600 \(privateKeyPath)"
            )
        }
        let key: PrivateKey
        do {
            key = try PrivateKey(path: privateKeyPath)
        } catch let error as RPCError {
            throw fault(error.message)
        }
        guard certificate.matches(key) else {
            throw fault("\(what) does not match the certificate \(certificatePath)")
        }
    }

    private static func certificates(_ what: String, _ path: String) throws
        -> [(certificate: Certificate, validity: CertificateValidity)]
    {
        _ = try readable("\(what) \(path)", path)
        do {
            return try Certificate.all(path: path).map { certificate in
                (certificate, try certificate.validity(path: path))
            }
        } catch let error as RPCError {
            throw fault("\(what) \(path): \(error.message)")
        }
    }

    private static func checkTime(_ validity: CertificateValidity, at now: Date) throws {
        if now > validity.ends {
            throw fault(
                "the certificate \(validity.path) \(validity.sentence(at: now)); issue a new one"
            )
        }
        if now < validity.begins {
            throw fault(
                "the certificate \(validity.path) is not valid yet, by this machine's clock "
                    + "(valid from \(validity.begins.formatted(.iso8601)), now "
                    + "\(now.formatted(.iso8601)))"
            )
        }
    }

    /// The status of a file that can be opened.
    private static func readable(_ what: String, _ path: String) throws -> stat {
        // Without waiting: somebody may have named a pipe.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            switch errno {
            case ENOENT: throw fault("\(what): no such file")
            case EACCES: throw fault("\(what): permission denied")
            default: throw fault("\(what): \(String(cString: strerror(errno)))")
            }
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw fault("\(what): \(String(cString: strerror(errno)))")
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw fault(
                "\(what): is no file\(status.st_mode & S_IFMT == S_IFDIR ? " but a folder" : "")"
            )
        }
        guard (1...1 << 20).contains(status.st_size) else {
            throw fault("\(what): \(status.st_size) bytes are no PEM file")
        }
        return status
    }

    private static func fault(_ message: String) -> RPCError {
        RPCError(.failedPrecondition, message, processed: .no)
    }
}
