/// Where a process keeps its certificate, its key and the authorities it trusts; PEM files.
public struct TLSIdentityFiles: Sendable, Hashable {
    /// The process's certificate, followed by any intermediate ones.
    public var certificatePath: String
    /// Its private key.
    public var privateKeyPath: String
    /// The authorities whose certificates it accepts.
    public var trustRootsPath: String

    /// Names the three files.
    public init(certificatePath: String, privateKeyPath: String, trustRootsPath: String) {
        self.certificatePath = certificatePath
        self.privateKeyPath = privateKeyPath
        self.trustRootsPath = trustRootsPath
    }
}
