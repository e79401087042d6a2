internal import Foundation
internal import Protocol
internal import Testing

struct CertificateAuthorityTests {
    let authority: TestAuthority

    init() throws { authority = try TestAuthority() }

    @Test func keysAreReadableByTheirOwnerOnly() throws {
        let files = try authority.user()
        for path in [files.privateKeyPath, "\(authority.folder)/ca.key"] {
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            #expect(attributes[.posixPermissions] as? Int == 0o600)
            let text = try String(contentsOfFile: path, encoding: .utf8)
            #expect(text.hasPrefix("-----BEGIN PRIVATE KEY-----"))
        }
    }

    @Test func existingFilesAreNotOverwritten() throws {
        let error = #expect(throws: RPCError.self) {
            try CertificateAuthority.createAuthority(in: authority.folder, trustDomain: "x.y")
        }
        #expect(error?.code == .alreadyExists)
        for _ in 0..<1 {
            func issue() throws {
                try CertificateAuthority.issue(
                    subject: .user(name: "bob"),
                    authorityFolder: authority.folder,
                    folder: authority.folder,
                    name: "bob"
                )
            }
            try issue()
            #expect(throws: RPCError.self) { try issue() }
        }
    }

    /// A file that cannot be written is told from one that is wrong by the error, not by its words: in /proc
    /// nobody makes a folder, and a name with a slash leads into a folder that is not there.
    @Test(arguments: [("/proc/certificates", "new"), ("", "missing/new")])
    func whatCannotBeWrittenIsTheCause(folder: String, name: String) throws {
        let place = folder.isEmpty ? authority.folder : folder
        let error = #expect(throws: RPCError.self) {
            try CertificateAuthority.issue(
                subject: .user(name: "bob"),
                authorityFolder: authority.folder,
                folder: place,
                name: name
            )
        }
        let cause = try #require(error?.cause as? UnwrittenFile)
        #expect(cause.path.hasPrefix(place) && cause.reason == "No such file or directory")
        #expect(error?.message == "cannot create \(cause.path): No such file or directory")
        try Data("no certificate".utf8).write(to: URL(filePath: authority.folder + "/ca.pem"))
        let wrong = #expect(throws: RPCError.self) {
            try CertificateAuthority.issue(
                subject: .user(name: "bob"),
                authorityFolder: authority.folder,
                folder: place,
                name: name
            )
        }
        #expect(wrong?.cause == nil)
    }

    @Test(arguments: ["a b", "x/y", "", "ü", "a,URI:spiffe://evil"])
    func namesThatWouldBreakTheIdentityAreRefused(name: String) {
        #expect(throws: RPCError.self) {
            try CertificateAuthority.issue(
                subject: .user(name: name),
                authorityFolder: authority.folder,
                folder: authority.folder,
                name: "refused"
            )
        }
    }

    @Test func hostsCannotSmuggleOtherNames() {
        #expect(throws: RPCError.self) {
            try CertificateAuthority.issue(
                subject: .user(name: "eve"),
                hosts: ["a,URI:spiffe://test.qat/svc/gateway/1"],
                authorityFolder: authority.folder,
                folder: authority.folder,
                name: "eve"
            )
        }
    }
}

struct IdentityTests {
    @Test func identitiesSurviveTheirText() throws {
        for text in ["spiffe://a.b/svc/train/t-1", "spiffe://a.b/user/ada.l"] {
            #expect(try PeerIdentity(parsing: text).description == text)
        }
    }

    @Test(arguments: [
        "", "spiffe://", "spiffe:///user/a", "spiffe://d/user/", "spiffe://d/user/a/b",
        "spiffe://d/svc/train", "spiffe://d/svc//1", "spiffe://d/other/x", "SPIFFE://d/user/a",
        "spiffe://d/user/a?b", "spiffe://d/user/a%20b",
    ])
    func otherTextsAreRefused(text: String) {
        #expect(throws: RPCError.self) { try PeerIdentity(parsing: text) }
    }

    @Test func rulesAdmitOnlyWhomTheyName() throws {
        let user = try PeerIdentity(parsing: "spiffe://d/user/a")
        let gateway = try PeerIdentity(parsing: "spiffe://d/svc/gateway/1")
        let train = try PeerIdentity(parsing: "spiffe://d/svc/train/1")
        let stranger = try PeerIdentity(parsing: "spiffe://d/svc/other/1")
        for peer in [user, gateway, train, stranger] { #expect(!AccessRule([]).admits(peer)) }
        #expect(AccessRule.users.admits(user) && !AccessRule.users.admits(gateway))
        #expect(AccessRule.workers.admits(train) && !AccessRule.workers.admits(gateway))
        #expect(AccessRule.services.admits(gateway) && !AccessRule.services.admits(stranger))
    }

    @Test(arguments: [
        ("localhost:1", "localhost", 1), ("[::1]:65535", "::1", 65_535),
        ("10.0.0.1:0", "10.0.0.1", 0),
    ])
    func addressesAreRead(text: String, host: String, port: Int) throws {
        let address = try ServerAddress(parsing: text)
        #expect(address.host == host && address.port == port)
        #expect(address.description == text)
    }

    @Test(arguments: ["", "a", ":1", "a:", "a:x", "a:65536", "a:-1", "::1:80"])
    func otherAddressesAreRefused(text: String) {
        #expect(throws: RPCError.self) { try ServerAddress(parsing: text) }
    }

    @Test func digestsAreThoseOfSHA256() throws {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        #expect(SHA256Digest.digest(of: []).hex == empty)
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        var hasher = SHA256Hasher()
        hasher.update(Array("a".utf8))
        hasher.update(Array("bc".utf8))
        #expect(hasher.finalize().hex == abc)
        #expect(SHA256Digest(hex: abc.uppercased())?.hex == abc)
        #expect(SHA256Digest(hex: String(abc.dropLast())) == nil)
        #expect(SHA256Digest(hex: "g" + abc.dropFirst()) == nil)
        let path = NSTemporaryDirectory() + "qat-digest-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data("abc".utf8).write(to: URL(fileURLWithPath: path))
        let (digest, count) = try SHA256Digest.digest(ofFile: path)
        #expect(digest.hex == abc && count == 3)
    }
}
