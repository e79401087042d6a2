/// Who stands at the other end: the SPIFFE name in its certificate.
public struct PeerIdentity: Sendable, Hashable, CustomStringConvertible {
    /// What the name denotes within its trust domain.
    public enum Subject: Sendable, Hashable {
        /// A daemon: role `gateway`, `quant`, `train` or `eval`, and which one of them.
        case service(role: String, instance: String)
        /// A person or a script.
        case user(name: String)
    }

    /// The domain whose authority vouches for the name.
    public var trustDomain: String
    /// What the name denotes.
    public var subject: Subject

    /// Makes an identity from its parts.
    public init(trustDomain: String, subject: Subject) {
        self.trustDomain = trustDomain
        self.subject = subject
    }

    /// Reads `spiffe://<domain>/svc/<role>/<instance>` or `spiffe://<domain>/user/<name>`.
    ///
    /// - Throws: ``RPCError`` (`unauthenticated`) if the text is neither.
    public init(parsing uri: String) throws {
        let scheme = "spiffe://"
        let parts = uri.dropFirst(scheme.count).split(
            separator: "/",
            omittingEmptySubsequences: false
        )
        let isNamed = parts.allSatisfy(Self.isValid)
        switch (uri.hasPrefix(scheme) && isNamed, parts.count) {
        case (true, 4) where parts[1] == "svc":
            let subject = Subject.service(role: String(parts[2]), instance: String(parts[3]))
            self.init(trustDomain: String(parts[0]), subject: subject)
        case (true, 3) where parts[1] == "user":
            self.init(trustDomain: String(parts[0]), subject: .user(name: String(parts[2])))
        default:
            throw RPCError(
                .unauthenticated,
                "the certificate's name '\(uri)' is neither spiffe://DOMAIN/svc/ROLE/INSTANCE "
                    + "nor spiffe://DOMAIN/user/NAME"
            )
        }
    }

    /// The role of a service, nil for a user.
    public var role: String? {
        guard case .service(let role, _) = subject else { return nil }
        return role
    }

    /// The identity as a SPIFFE URI.
    public var description: String {
        switch subject {
        case .service(let role, let instance): "spiffe://\(trustDomain)/svc/\(role)/\(instance)"
        case .user(let name): "spiffe://\(trustDomain)/user/\(name)"
        }
    }

    /// Whether a certificate can have this name of a user, or of an instance.
    public static func isName(_ text: String) -> Bool { isValid(text[...]) }

    private static func isValid(_ part: Substring) -> Bool {
        !part.isEmpty && part.utf8.count <= 128
            && part.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."): true
                default: false
                }
            }
    }
}

extension PeerIdentity {
    /// Reads the name in a certificate's PEM file, as the other end will.
    ///
    /// - Throws: ``RPCError`` if the file cannot be read or names nobody.
    public init(certificatePath path: String) throws {
        try self.init(parsing: Certificate(path: path).uri())
    }
}
