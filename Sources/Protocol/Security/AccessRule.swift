internal import Jobs

/// Who may call a method.
///
/// The empty rule lets nobody in.
public struct AccessRule: OptionSet, Sendable {
    /// The bits of the set.
    public let rawValue: UInt8

    /// Makes a rule from its bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Certificates named `/user/…`.
    public static let users = AccessRule(rawValue: 1)
    /// The service that takes jobs.
    public static let gateway = AccessRule(rawValue: 2)
    /// Services of a role that runs jobs.
    public static let workers = AccessRule(rawValue: 4)
    /// Every service of the suite.
    public static let services: AccessRule = [.gateway, .workers]

    /// Whether `peer` may call.
    public func admits(_ peer: PeerIdentity) -> Bool {
        switch peer.subject {
        case .user: contains(.users)
        case .service(let role, _):
            Role(rawValue: role).map { contains($0.isWorker ? .workers : .gateway) } ?? false
        }
    }
}
