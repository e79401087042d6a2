/// A development certificate authority.
public enum CertificateAuthority {
    /// Makes `ca.pem` and `ca.key` in `folder`.
    public static func createAuthority(
        in folder: String,
        trustDomain: String,
        validity: Duration = .seconds(365 * 86_400)
    ) throws { throw RPCError(.unimplemented, "not yet") }
    /// Makes `<name>.pem` and `<name>.key`, signed by the authority in `authorityFolder`.
    public static func issue(
        subject: PeerIdentity.Subject,
        hosts: [String] = [],
        authorityFolder: String,
        folder: String,
        name: String,
        validity: Duration = .seconds(90 * 86_400)
    ) throws -> TLSIdentityFiles { throw RPCError(.unimplemented, "not yet") }
}
