internal import Foundation
internal import JobSpecs
internal import Logging
internal import Protocol
internal import TestProgram
internal import Testing
@testable internal import qat_client

/// docs/CLIENT.md, Exits: one mistake has one number, whatever the verb.
///
/// Seen: a missing certificate was 5 with `status` and 2 with `status latest`; an authority that nobody
/// vouches for was 4, "try later".
@Suite struct ExitCodeTests {
    private let programs: ProgramShell
    private let home: String

    /// Every verb that talks to the gateway.
    private static let verbs = [
        "status", "status latest", "status --mine", "watch latest", "wait latest", "logs latest",
        "metrics latest", "cancel latest", "pause latest", "resume latest", "retry latest",
        "download latest", "jobs rm latest",
        "jobs rm --state failed", "submit job.json", "submit job.json --after latest",
        "submit pipeline pipeline.json", "artifacts ls", "artifacts ls latest",
        "artifacts put job.json", "artifacts get sha256:\(digest) --to got",
        "artifacts rm sha256:\(digest)", "artifacts gc --dry-run", "artifacts verify --all",
        "artifacts verify folder --job latest",
    ]
    private static let digest = String(repeating: "ab", count: 32)

    init() throws {
        programs = try ProgramShell()
        home = programs.folder + "/home"
        let job =
            #"{"models":[{"label":"a","model":"job:0000bb03c91c6898"}],"#
            + #""tasks":[{"type":"benchmark"}]}"#
        for folder in ["/home", "/folder", "/other"] {
            try FileManager.default.createDirectory(
                atPath: programs.folder + folder,
                withIntermediateDirectories: true
            )
        }
        try write(job, "job.json")
        try write(#"{"jobs":{"compare":\#(job)}}"#, "pipeline.json")
        for folder in [home, programs.folder + "/other"] {
            try CertificateAuthority.createAuthority(in: folder, trustDomain: "test")
        }
        _ = try issue(["spiffe://test/user/ada"], "user")
    }

    private func write(_ text: String, _ name: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: programs.folder + "/" + name))
    }

    private func issue(
        _ names: [String],
        _ name: String,
        by authority: String = "home",
        days: Int = 1
    ) throws -> TLSIdentityFiles {
        try CertificateAuthority.issue(
            names: names,
            hosts: ["127.0.0.1"],
            authorityFolder: programs.folder + "/" + authority,
            folder: home,
            name: name,
            validity: .seconds(days * 86_400)
        )
    }

    private func write(
        gateway: String = "127.0.0.1:9",
        certificate: String = "user.pem",
        key: String = "user.key",
        ca: String = "ca.pem"
    ) throws {
        try write(
            #"{"gateway":"\#(gateway)","certificate":"\#(certificate)","key":"\#(key)","ca":"\#(ca)"}"#,
            "home/profile.json"
        )
    }

    /// The verbs that do not exit with a number, or say too much or too little.
    private func deviants(
        from status: Int32,
        saying words: [String],
        of verbs: [String] = verbs
    ) async throws -> [String] {
        let programs = programs
        var deviants: [String] = []
        for verb in verbs {
            // Not on a thread that a server in this process may need.
            let outcome = try await withCheckedThrowingContinuation { continuation in
                Thread.detachNewThread {
                    continuation.resume(with: Result { try programs.run("qat-client \(verb)") })
                }
            }
            let isSaid = words.allSatisfy(outcome.errors.contains)
            if outcome.status != status || !isSaid || !outcome.output.isEmpty {
                deviants.append("\(verb): \(outcome)")
            }
        }
        return deviants
    }

    /// What is wrong with a user's own files, and what is said of it.
    enum Mistake: String, CaseIterable {
        case noCertificate, noKey, noAuthority, folder, garbage, openKey, otherKey, service
        case authority, ended, noProfile, brokenProfile, profileFolder, address
    }

    private func make(_ mistake: Mistake) throws -> String {
        switch mistake {
        case .noCertificate:
            try write(certificate: "none.pem")
            return "none.pem: no such file"
        case .noKey:
            try write(key: "none.key")
            return "none.key: no such file"
        case .noAuthority:
            try write(ca: "none.pem")
            return "none.pem: no such file"
        case .folder:
            try write(certificate: "../folder")
            return "folder: is no file but a folder"
        case .garbage:
            try write(certificate: "../job.json")
            return "job.json"
        case .openKey:
            try write()
            chmod(home + "/user.key", 0o644)
            return "others can read it"
        case .otherKey:
            _ = try issue(["spiffe://test/user/bob"], "bob")
            try write(key: "bob.key")
            return "does not match the certificate"
        case .service:
            _ = try issue(["spiffe://test/svc/train/train-1"], "train")
            try write(certificate: "train.pem", key: "train.key")
            return "people have their own"
        case .authority:
            _ = try issue(["spiffe://test/nobody"], "nobody")
            try write(certificate: "nobody.pem", key: "nobody.key")
            return "spiffe://test/nobody"
        case .ended:
            _ = try issue(["spiffe://test/user/eve"], "eve", days: -1)
            try write(certificate: "eve.pem", key: "eve.key")
            return "issue a new one"
        case .noProfile: return "there is no profile at"
        case .brokenProfile:
            try write("{\"gateway\": 1}", "home/profile.json")
            return "$.gateway: missing"
        case .profileFolder:
            try FileManager.default.createDirectory(
                atPath: home + "/profile.json",
                withIntermediateDirectories: true
            )
            return "cannot read the profile"
        case .address:
            try write(gateway: "nowhere")
            return "gateway \"nowhere\""
        }
    }

    @Test(arguments: Mistake.allCases)
    func aMistakeInOnesOwnFilesIsTwoForEveryVerb(_ mistake: Mistake) async throws {
        defer { programs.remove() }
        let words = try make(mistake)
        let deviants = try await deviants(from: 2, saying: [words])
        #expect(deviants.isEmpty, "\(mistake): \(deviants)")
    }

    @Test func nobodyThereIsFourForEveryVerb() async throws {
        defer { programs.remove() }
        try write()
        let deviants = try await deviants(from: 4, saying: ["127.0.0.1:9"])
        #expect(deviants.isEmpty, "\(deviants)")
    }

    /// Why one side does not accept the other.
    enum Refusal: String, CaseIterable {
        case serversAuthority, usersAuthority, domain, role, userAsServer
    }

    /// The files of a server that refuses the user, or that the user refuses.
    private func server(_ refusal: Refusal) throws -> (TLSIdentityFiles, words: String) {
        let gateway = "spiffe://test/svc/gateway/g"
        switch refusal {
        case .serversAuthority:
            var files = try issue([gateway], "server", by: "other")
            files.trustRootsPath = home + "/ca.pem"
            return (files, "signed by an unknown authority")
        case .usersAuthority:
            var files = try issue([gateway], "server")
            files.trustRootsPath = programs.folder + "/other/ca.pem"
            return (files, "refused our certificate")
        case .domain:
            return (try issue(["spiffe://elsewhere/svc/gateway/g"], "server"), "trust domain")
        case .role:
            return (try issue(["spiffe://test/svc/eval/e"], "server"), "was expected")
        case .userAsServer:
            return (try issue(["spiffe://test/user/eve"], "server"), "which is a user")
        }
    }

    @Test(arguments: Refusal.allCases)
    func aSideThatDoesNotAcceptTheOtherIsFiveForEveryVerb(_ refusal: Refusal) async throws {
        defer { programs.remove() }
        let (files, words) = try server(refusal)
        let server = RPCServer(
            configuration: RPCServerConfiguration(host: "127.0.0.1", port: 0, tls: files),
            router: RPCRouter(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            defer { group.cancelAll() }
            let address = try await server.boundAddress().description
            try write(gateway: address)
            let deviants = try await deviants(from: 5, saying: [address, words])
            #expect(deviants.isEmpty, "\(refusal): \(deviants)")
        }
    }

    /// Every verb that takes an id, a name or a digest.
    private static let jobVerbs = [
        "status NAME", "status NAME --json", "watch NAME", "wait NAME", "wait NAME --json",
        "logs NAME",
        "logs NAME --follow", "metrics NAME", "cancel NAME", "cancel NAME --now", "retry NAME",
        "retry NAME --with-dependents", "download NAME", "download NAME --to got", "jobs rm NAME",
        "jobs rm NAME --dry-run", "artifacts ls NAME", "artifacts verify folder --job NAME",
        "submit job.json --after NAME",
    ]
    private static let artifactVerbs = [
        "artifacts get NAME --to got", "artifacts rm NAME", "artifacts rm NAME NAME",
        "artifacts verify NAME", "submit stored.json",
    ]

    /// A file is there already, but nothing has the name or id: 2, and one line that begins the same.
    ///
    /// Seen: `artifacts rm` of what there is not exited with 5, `jobs rm --dry-run` with 0.
    @Test func nothingOfThatNameIsTwoForEveryVerb() async throws {
        defer { programs.remove() }
        _ = try issue(["spiffe://test/svc/gateway/gateway-1"], "gateway")
        let gateway = try await GatewayProcess(
            state: programs.folder + "/state",
            certificates: home
        )
        defer { gateway.kill() }
        try write(gateway: try gateway.address().description)
        let stored =
            #"{"model":"sha256:\#(Self.digest)","quantization":{"algorithm":"fp4"}}"#
        try write(stored, "stored.json")
        var found: [String] = []
        for name in ["nobody", "0123456789abcdef", "p-0123456789abcdef", "nobody/part"] {
            let verbs = Self.jobVerbs.map { $0.replacing("NAME", with: name) }
            let kind = name.hasPrefix("p-") ? "no pipeline " : "no job "
            found += try await deviants(from: 2, saying: ["error: ", kind, name], of: verbs)
                .filter { !$0.hasPrefix("submit") || !$0.contains("no job 0000bb03c91c6898") }
        }
        let name = "sha256:" + Self.digest
        let verbs = Self.artifactVerbs.map { $0.replacing("NAME", with: name) }
        found += try await deviants(from: 2, saying: ["no artifact " + name], of: verbs)
        #expect(found.isEmpty, "\(found.joined(separator: "\n"))")
        // A filter is no name: that there is nothing to do is no mistake.
        for verb in ["jobs rm --name nobody", "status --name nobody", "artifacts gc"] {
            let outcome = try programs.run("qat-client \(verb)")
            #expect(outcome.status == 0, "\(verb): \(outcome)")
        }
        #expect(!FileManager.default.fileExists(atPath: programs.folder + "/got"))
    }

    /// Every verb that takes a folder, given what is none, or what lies within none.
    ///
    /// Seen: `download --to FILE` said "cannot create" after it had asked the gateway, with 1.
    @Test(arguments: ["job.json", "/dev/null", "job.json/inner", "dangling"])
    func whatIsNoFolderIsTwoForEveryVerb(place: String) async throws {
        defer { programs.remove() }
        // Nobody is there: the mistake is told before anybody is asked.
        try write()
        symlink("nowhere", programs.folder + "/dangling")
        let verbs = [
            "download latest --to PLACE", "certs init --dir PLACE",
            "certs issue --dir PLACE --user a",
            "certs list --dir PLACE", "artifacts verify PLACE --job latest",
        ].map { $0.replacing("PLACE", with: place) }
        let name = place.split(separator: "/").first.map(String.init) ?? ""
        let found = try await deviants(from: 2, saying: [name, "folder"], of: verbs)
        #expect(found.isEmpty, "\(found.joined(separator: "\n"))")
        // The client's own folder, too.
        let up = try programs.run("QAT_HOME=\(place) qat-client local up --detach")
        #expect(up.status == 2 && up.errors.contains("folder"), "\(up)")
        #expect(
            try String(contentsOfFile: programs.folder + "/job.json", encoding: .utf8).hasPrefix(
                "{"
            )
        )
    }

    /// A file that could not be written is 1, one that is wrong 2: no gateway is asked, so none refuses.
    ///
    /// Seen: `certs init` on a full disk was 5.
    @Test(.enabled(if: FullDiskVolume.canBeMade))
    func certificatesThatCannotBeWrittenAreOne() throws {
        defer { programs.remove() }
        let volume = try FullDiskVolume(byteCount: 64 << 10)
        defer { volume.remove() }
        let full = volume.path
        for name in ["ca.pem", "ca.key"] {
            try FileManager.default.copyItem(atPath: "\(home)/\(name)", toPath: "\(full)/\(name)")
        }
        _ = try programs.run("cat /dev/zero > \(full)/filler")
        for verb in ["issue --user bob", "init --force"] {
            let outcome = try programs.run("qat-client certs \(verb) --dir \(full)")
            #expect(outcome.status == 1, "\(outcome)")
            #expect(outcome.errors.contains("No space left on device"), "\(outcome)")
        }
        // Those that were there are there again.
        #expect(
            FileManager.default.contentsEqual(atPath: "\(home)/ca.key", andPath: "\(full)/ca.key")
        )
        for (name, verb) in [("ca.pem", "issue --user bob"), ("ca.pem", "list")] {
            let broken = programs.folder + "/folder"
            try Data("no certificate".utf8).write(
                to: URL(fileURLWithPath: "\(broken)/\(name)")
            )
            try Data("no key".utf8).write(to: URL(fileURLWithPath: broken + "/ca.key"))
            let outcome = try programs.run("qat-client certs \(verb) --dir folder")
            #expect(outcome.status == 2 && outcome.errors.contains("ca.pem"), "\(outcome)")
        }
    }

    /// docs/CLIENT.md, On this machine.
    ///
    /// Seen: `local up --port` with a suite on another port said that it was up, and exited with 0.
    @Test func aSuiteOnAnotherPortIsNamed() throws {
        defer { programs.remove() }
        // What stands for its supervisor.
        let program = try TestProgram("/bin/sleep", ["600"])
        defer {
            program.signal(SIGKILL)
            program.wait()
        }
        let layout = LocalLayout(QatHome(path: home))
        try layout.create()
        let supervisor = try #require(ProcessIdentity(processID: program.processID))
        try PIDFile(path: layout.supervisorPIDPath).write(supervisor)
        try PrivateFiles.replace(layout.portPath, with: Array("17443".utf8))
        for more in ["", " --detach", " --json"] {
            let up = try programs.run("qat-client local up --port 17444\(more)")
            #expect(up.status == 2, "\(up)")
            #expect(
                up.errors == "qat-client: error: the suite is already running, on port 17443; "
                    + "stop it first: qat-client local down\n"
            )
        }
        #expect(program.isRunning)
    }
}
