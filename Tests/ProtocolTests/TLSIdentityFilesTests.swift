internal import Foundation
internal import Protocol
internal import TestProgram
internal import Testing

/// What is said of certificate and key files that are wrong, or end soon.
struct TLSIdentityFilesTests {
    private static let day = 86_400.0

    let authority: TestAuthority
    let files: TLSIdentityFiles

    init() throws {
        authority = try TestAuthority()
        files = try authority.user()
    }

    private func message(_ files: TLSIdentityFiles, at now: Date = .now) -> String {
        let error = #expect(throws: RPCError.self) { try files.check(at: now) }
        #expect(error?.code == .failedPrecondition)
        return error?.message ?? ""
    }

    private func write(_ text: String, _ name: String) throws -> String {
        let path = "\(authority.folder)/\(name)"
        try Data(text.utf8).write(to: URL(filePath: path))
        chmod(path, 0o600)
        return path
    }

    private static func openSSL(_ arguments: String...) throws -> String {
        try TestProgram.run("/usr/bin/env", ["openssl"] + arguments).output
    }

    @Test func endsAreWhatOpenSSLSays() throws {
        let found = try files.check()
        #expect(found.map(\.path) == [files.certificatePath, files.trustRootsPath])
        for validity in found {
            let text = try Self.openSSL("x509", "-noout", "-enddate", "-in", validity.path)
            let format = DateFormatter()
            format.locale = Locale(identifier: "en_US_POSIX")
            format.timeZone = .gmt
            format.dateFormat = "'notAfter='MMM d HH:mm:ss yyyy 'GMT'"
            let line = text.trimmingCharacters(in: .whitespacesAndNewlines)
                .replacing("  ", with: " ")
            #expect(format.date(from: line) == validity.ends)
        }
        #expect(try files.firstEnd() == found[0])
    }

    @Test func theFaultOfAFileIsNamed() throws {
        let folder = authority.folder
        var wrong = files
        wrong.certificatePath = folder + "/none.pem"
        #expect(message(wrong) == "the certificate \(folder)/none.pem: no such file")
        wrong.certificatePath = folder
        #expect(message(wrong) == "the certificate \(folder): is no file but a folder")
        wrong.certificatePath = try write("", "empty.pem")
        #expect(message(wrong).hasSuffix("empty.pem: 0 bytes are no PEM file"))
        wrong.certificatePath = try write("hello\n", "hello.pem")
        #expect(message(wrong).hasSuffix("hello.pem: holds no certificate"))
        let pem = try String(contentsOfFile: files.certificatePath, encoding: .utf8)
        wrong.certificatePath = try write(pem + pem.replacing("M", with: "*"), "half.pem")
        #expect(message(wrong).contains("half.pem: certificate 2 is broken"))
        wrong = files
        wrong.trustRootsPath = folder + "/none.pem"
        #expect(message(wrong) == "the trust roots \(folder)/none.pem: no such file")
        wrong = files
        wrong.privateKeyPath = files.certificatePath + "/key"
        #expect(message(wrong).hasPrefix("the private key \(files.certificatePath)/key: "))
        wrong.privateKeyPath = folder + "/ca.key"
        #expect(
            message(wrong) == "the private key \(folder)/ca.key does not match the certificate "
                + files.certificatePath
        )
        wrong.privateKeyPath = try write(pem, "no.key")
        #expect(message(wrong).contains("no.key holds no private key"))
    }

    @Test func anotherUsersFilesAreDeniedByName() throws {
        // Root reads everything.
        guard geteuid() != 0 else { return }
        chmod(files.privateKeyPath, 0)
        #expect(message(files) == "the private key \(files.privateKeyPath): permission denied")
    }

    @Test(arguments: [0o644, 0o640, 0o604, 0o660, 0o602])
    func keysThatOthersCanReadAreRefused(mode: Int) throws {
        chmod(files.privateKeyPath, mode_t(mode))
        let text = message(files)
        #expect(text.contains("others can read it (mode 0\(String(mode, radix: 8)))"))
        #expect(text.hasSuffix("chmod 600 \(files.privateKeyPath)"))
        chmod(files.privateKeyPath, 0o400)
        _ = try files.check()
    }

    /// Without a terminal to ask, and without asking one.
    @Test func keysWithAPassphraseAreRefused() throws {
        let path = "\(authority.folder)/secret.key"
        _ = try Self.openSSL(
            "pkcs8",
            "-topk8",
            "-in",
            files.privateKeyPath,
            "-out",
            path,
            "-passout",
            "pass:x"
        )
        chmod(path, 0o600)
        var locked = files
        locked.privateKeyPath = path
        #expect(message(locked).contains("has a passphrase"))
    }

    @Test func certificatesOutOfTheirTimeAreRefused() throws {
        let ends = try files.check()[0].ends
        _ = try files.check(at: ends.addingTimeInterval(-1))
        #expect(message(files, at: ends.addingTimeInterval(1)).contains("ended on "))
        let early = Date.now.addingTimeInterval(-Self.day)
        #expect(message(files, at: early).contains("is not valid yet, by this machine's clock"))
    }

    private func serviceFault(
        _ files: TLSIdentityFiles,
        role: String,
        instance: String? = nil
    ) -> String {
        let error = #expect(throws: RPCError.self) {
            try files.checkService(role: role, instance: instance)
        }
        #expect(error?.code == .failedPrecondition)
        return error?.message ?? ""
    }

    /// A gateway started with a user's certificate, and nobody could reach it.
    @Test func aServiceWantsACertificateOfItsOwn() throws {
        let user = serviceFault(files, role: "gateway")
        #expect(user.hasPrefix("the certificate \(files.certificatePath) is the user ada's"))
        #expect(user.contains("qat-client certs issue --service gateway/gateway-1"))
        let train = try authority.service("train", "train-1")
        let other = serviceFault(train, role: "gateway")
        #expect(other.contains("names spiffe://test.qat/svc/train/train-1"))
        #expect(other.contains("this is a gateway service"))
        let second = serviceFault(train, role: "train", instance: "train-2")
        #expect(second.contains("names the instance train-1, and this one is called train-2"))
        try train.checkService(role: "train", instance: "train-1")
        try train.checkService(role: "train")
        let nobody = try authority.issue(names: [])
        #expect(serviceFault(nobody, role: "train").contains("has no subject alternative name"))
    }

    /// `openssl verify` is asked for its opinion of the same files.
    @Test func rootsThatDidNotSignTheCertificateAreRefused() throws {
        let others = try TestAuthority()
        let gateway = try authority.service("gateway")
        var wrong = gateway
        wrong.trustRootsPath = others.folder + "/ca.pem"
        func verify(_ roots: String) throws -> Bool {
            try Self.openSSL("verify", "-CAfile", roots, gateway.certificatePath).contains(": OK")
        }
        #expect(try verify(gateway.trustRootsPath) && !verify(wrong.trustRootsPath))
        let text = serviceFault(wrong, role: "gateway")
        #expect(
            text.hasPrefix(
                "the certificate \(gateway.certificatePath) is signed by none of the trust roots "
                    + wrong.trustRootsPath
            )
        )
        // While an authority is replaced both stand in one file.
        let both = try write(
            String(contentsOfFile: wrong.trustRootsPath, encoding: .utf8)
                + String(contentsOfFile: gateway.trustRootsPath, encoding: .utf8),
            "both.pem"
        )
        wrong.trustRootsPath = both
        #expect(try verify(both))
        try wrong.checkService(role: "gateway")
    }

    @Test(arguments: [
        (31.0, nil), (30.0, 30), (7.1, 30), (7.0, 7), (1.01, 7), (1.0, 1), (0.1, 1), (0.0, 0),
        (-1.0, 0),
    ])
    func warningsBeginThirtySevenAndOneDayBefore(left: Double, days: Int?) {
        let now = Date(timeIntervalSince1970: 1_800_000_000)
        let validity = CertificateValidity(
            path: "a.pem",
            begins: .distantPast,
            ends: now.addingTimeInterval(left * Self.day)
        )
        #expect(validity.warning(at: now) == days)
    }

    @Test func theSentenceSaysWhen() {
        // 1,800,000,000 is 2027-01-15 08:00:00 UTC.
        let ends = Date(timeIntervalSince1970: 1_800_000_000)
        let validity = CertificateValidity(path: "a.pem", begins: .distantPast, ends: ends)
        func at(_ days: Double) -> String {
            validity.sentence(at: ends.addingTimeInterval(-days * Self.day))
        }
        #expect(at(6.5) == "ends in 6 days, on 2027-01-15 08:00 UTC")
        #expect(at(1.5) == "ends in 36 hours, on 2027-01-15 08:00 UTC")
        #expect(at(-1) == "ended on 2027-01-15 08:00 UTC")
    }
}
