/// What of the system a program sees beside what Landlock, the filter of system calls and the limits, which always
/// hold, leave it.
public enum Confinement: String, Sendable, CaseIterable {
    /// A root folder, processes, network, IPC and host name of its own; another user.
    ///
    /// Takes CAP_SYS_ADMIN and CAP_SETUID.
    case namespaces
    /// The same within a user namespace, in which it is nobody; outside it stays the user that started it.
    ///
    /// Takes a kernel and a container that allow such namespaces.
    case userNamespace = "user-namespace"
    /// The machine's own, as another user.
    ///
    /// Takes CAP_SETUID.
    case otherUser = "other-user"
    /// The machine's own, as the user that started it, without any capability.
    case sameUser = "same-user"

    /// The user and group of whoever does not stay who he was: nobody.
    static let nobody: UInt32 = 65_534

    /// Whether it has a root folder of its own.
    var hasOwnRoot: Bool { self == .namespaces || self == .userNamespace }
    /// Whether another user runs it.
    var changesUser: Bool { self == .namespaces || self == .otherUser }

    /// What it adds, in words.
    var words: String {
        switch self {
        case .namespaces:
            "mount, pid, network, IPC and host name namespaces; user \(Self.nobody)"
        case .userNamespace:
            "user, mount, pid, network, IPC and host name namespaces; no capabilities"
        case .otherUser: "user \(Self.nobody); no namespaces"
        case .sameUser: "this process's own user without capabilities; no namespaces"
        }
    }
}
