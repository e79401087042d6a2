internal import COpenSSL
internal import Foundation

/// A certificate authority for one suite: P-256 keys, SHA-256 signatures, SPIFFE names.
///
/// Meant for development and small fleets; an existing file is never overwritten.
public enum CertificateAuthority {
    /// Name of the authority's certificate, which every process trusts.
    public static let certificateName = "ca.pem"
    /// Name of the authority's private key.
    public static let privateKeyName = "ca.key"

    /// Certificates are valid a little before they are made, for clocks that lag.
    private static let backdating = Duration.seconds(300)

    /// Makes `ca.pem` and `ca.key` in `folder`, which is created if missing.
    ///
    /// - Parameters:
    ///   - folder: Where the two files go.
    ///   - trustDomain: The domain of every name it will sign.
    ///   - validity: How long it is valid.
    /// - Throws: ``RPCError`` (`alreadyExists`) if either file is there; with ``UnwrittenFile`` as its cause if one
    ///   cannot be written.
    public static func createAuthority(
        in folder: String,
        trustDomain: String,
        validity: Duration = .seconds(3_650 * 86_400)
    ) throws {
        _ = try PeerIdentity(parsing: "spiffe://\(trustDomain)/user/check")
        let certificatePath = "\(folder)/\(certificateName)"
        let keyPath = "\(folder)/\(privateKeyName)"
        try prepare(folder, [certificatePath, keyPath])
        let key = try PrivateKey()
        let certificate = try Certificate(
            commonName: "qat authority of \(trustDomain)",
            validity: validity,
            backdating: backdating
        )
        try certificate.setKey(key)
        try certificate.setIssuer(certificate)
        try certificate.add(
            NID_basic_constraints,
            "critical,CA:TRUE,pathlen:0",
            issuer: certificate
        )
        try certificate.add(NID_key_usage, "critical,keyCertSign,cRLSign", issuer: certificate)
        try certificate.add(NID_subject_key_identifier, "hash", issuer: certificate)
        let name = "URI:spiffe://\(trustDomain)"
        try certificate.add(NID_subject_alt_name, name, issuer: certificate)
        try certificate.sign(with: key)
        try key.write(to: keyPath)
        try certificate.write(to: certificatePath)
    }

    /// Makes `<name>.pem` and `<name>.key`, signed by the authority in `authorityFolder`.
    ///
    /// - Parameters:
    ///   - subject: Whom the certificate names, in the authority's trust domain.
    ///   - hosts: DNS names and IP addresses it also names, for other tools.
    ///   - authorityFolder: Where `ca.pem` and `ca.key` are.
    ///   - folder: Where the two files go; created if missing.
    ///   - name: Their name without extension.
    ///   - validity: How long the certificate is valid.
    /// - Returns: The paths of the certificate, the key, and the authority's certificate.
    /// - Throws: ``RPCError`` (`alreadyExists`) if either file is there; with ``UnwrittenFile`` as its cause if one
    ///   cannot be written.
    @discardableResult
    public static func issue(
        subject: PeerIdentity.Subject,
        hosts: [String] = [],
        authorityFolder: String,
        folder: String,
        name: String,
        validity: Duration = .seconds(90 * 86_400)
    ) throws -> TLSIdentityFiles {
        let authority = try Certificate(path: "\(authorityFolder)/\(certificateName)")
        let identity = PeerIdentity(trustDomain: try authority.trustDomain(), subject: subject)
        _ = try PeerIdentity(parsing: identity.description)
        return try issue(
            names: [identity.description],
            hosts: hosts,
            authorityFolder: authorityFolder,
            folder: folder,
            name: name,
            validity: validity
        )
    }

    /// As ``issue(subject:hosts:authorityFolder:folder:name:validity:)``, with any URI names: for
    /// tests of what a peer must refuse.
    package static func issue(
        names: [String],
        hosts: [String],
        authorityFolder: String,
        folder: String,
        name: String,
        validity: Duration
    ) throws -> TLSIdentityFiles {
        let authority = try Certificate(path: "\(authorityFolder)/\(certificateName)")
        let authorityKey = try PrivateKey(path: "\(authorityFolder)/\(privateKeyName)")
        let files = TLSIdentityFiles(
            certificatePath: "\(folder)/\(name).pem",
            privateKeyPath: "\(folder)/\(name).key",
            trustRootsPath: "\(authorityFolder)/\(certificateName)"
        )
        try prepare(folder, [files.certificatePath, files.privateKeyPath])
        let key = try PrivateKey()
        let certificate = try Certificate(
            commonName: name,
            validity: validity,
            backdating: backdating
        )
        try certificate.setKey(key)
        try certificate.setIssuer(authority)
        let usage = "serverAuth,clientAuth"
        try certificate.add(NID_basic_constraints, "critical,CA:FALSE", issuer: authority)
        try certificate.add(NID_key_usage, "critical,digitalSignature", issuer: authority)
        try certificate.add(NID_ext_key_usage, usage, issuer: authority)
        try certificate.add(NID_subject_key_identifier, "hash", issuer: authority)
        try certificate.add(NID_authority_key_identifier, "keyid", issuer: authority)
        let alternatives = try names.map { "URI:\($0)" } + hosts.map(alternative)
        if !alternatives.isEmpty {
            let list = alternatives.joined(separator: ",")
            try certificate.add(NID_subject_alt_name, list, issuer: authority)
        }
        try certificate.sign(with: authorityKey)
        try key.write(to: files.privateKeyPath)
        try certificate.write(to: files.certificatePath)
        return files
    }

    /// A host as OpenSSL's configuration language writes it, which must not break out of it.
    private static func alternative(_ host: String) throws -> String {
        let isAddress = host.contains(":") || host.allSatisfy { $0.isNumber || $0 == "." }
        let allowed = host.utf8.allSatisfy { byte in
            Character(Unicode.Scalar(byte)).isHexDigit
                || "ghijklmnopqrstuvwxyz".utf8.contains(byte | 0x20)
                || "-.:_*".utf8.contains(byte)
        }
        guard allowed, !host.isEmpty else {
            throw RPCError(.invalidArgument, "'\(host)' is no host name")
        }
        return isAddress ? "IP:\(host)" : "DNS:\(host)"
    }

    private static func prepare(_ folder: String, _ paths: [String]) throws {
        do {
            try FileManager.default.createDirectory(
                atPath: folder,
                withIntermediateDirectories: true
            )
        } catch {
            let reason = FileFault(error)?.reason ?? "\(error)"
            throw RPCError(
                .failedPrecondition,
                "cannot create \(folder): \(reason)",
                cause: UnwrittenFile(path: folder, reason: reason)
            )
        }
        for path in paths where FileManager.default.fileExists(atPath: path) {
            throw RPCError(.alreadyExists, "\(path) exists; it will not be overwritten")
        }
    }
}
