internal import Foundation
internal import Protocol

/// The development certificates of the local suite.
struct LocalCertificates {
    let layout: LocalLayout

    /// Whose certificate the profile of the suite has.
    static let user = "local"

    private static let trustDomain = "local"
    /// An authority older than this is replaced; it is issued for a year.
    private static let authorityLifetime: TimeInterval = 300 * 86_400

    /// Makes an authority if there is no recent one, and certificates for every daemon and the user.
    func issueAll() throws {
        if !hasRecentAuthority {
            unlink(layout.trustRootsPath)
            unlink(layout.authorityKeyPath)
            try CertificateAuthority.createAuthority(
                in: layout.authorityFolder,
                trustDomain: Self.trustDomain
            )
        }
        for daemon in LocalDaemon.allCases {
            let subject = PeerIdentity.Subject.service(
                role: daemon.rawValue,
                instance: daemon.instance
            )
            try issue(subject, name: daemon.instance)
        }
        try issue(.user(name: Self.user), name: "user")
    }

    private func issue(_ subject: PeerIdentity.Subject, name: String) throws {
        unlink(layout.certificatePath(name))
        unlink(layout.privateKeyPath(name))
        _ = try CertificateAuthority.issue(
            subject: subject,
            hosts: ["127.0.0.1", "localhost"],
            authorityFolder: layout.authorityFolder,
            folder: layout.certificateFolder,
            name: name
        )
    }

    private var hasRecentAuthority: Bool {
        let attributes = try? FileManager.default.attributesOfItem(atPath: layout.trustRootsPath)
        guard let date = attributes?[.modificationDate] as? Date else {
            return false
        }
        return -date.timeIntervalSinceNow < Self.authorityLifetime
    }
}
