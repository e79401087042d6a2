internal import Foundation
internal import Protocol
internal import TestProgram
internal import Testing

/// The built daemons as processes: what keeps them from starting, and what must not end them.
@Suite struct DaemonProcessTests {
    private let programs: ProgramShell
    private var certificates: String { programs.folder + "/certs" }

    init() throws {
        programs = try ProgramShell()
        try GatewayProcess.makeAuthority(certificates)
        for role in ["quant", "train", "eval"] {
            _ = try CertificateAuthority.issue(
                subject: .service(role: role, instance: "\(role)-1"),
                authorityFolder: certificates,
                folder: certificates,
                name: role
            )
        }
        _ = try CertificateAuthority.issue(
            subject: .user(name: "ada"),
            authorityFolder: certificates,
            folder: certificates,
            name: "ada"
        )
    }

    /// The command line of a daemon with some certificate.
    private func line(_ program: String, _ name: String, ca: String? = nil) -> String {
        let gateway = program == "qat-gateway" ? "" : "--gateway 127.0.0.1:9"
        return """
            \(program) \(gateway) --listen 127.0.0.1:0 --state state-\(program) \
            --cert certs/\(name).pem --key certs/\(name).key --ca \(ca ?? "certs/ca.pem")
            """
    }

    @Test(arguments: ["qat-gateway", "qat-quantd", "qat-traind", "qat-evald"])
    func theCertificateOfAnotherIsRefusedAtTheStart(program: String) throws {
        defer { programs.remove() }
        let role = program == "qat-gateway" ? "gateway" : String(program.dropFirst(4).dropLast())
        for name in ["ada", "gateway", "quant", "train", "eval"] where name != role {
            let outcome = try programs.run("timeout 60 " + line(program, name))
            #expect(outcome.status == 1, "\(outcome)")
            let errors = outcome.errors.split(separator: "\n")
            #expect(
                errors.count == 1
                    && errors[0].hasPrefix("error: the certificate certs/\(name).pem ")
            )
            #expect(
                errors[0].contains(name == "ada" ? "the user ada's" : "/svc/\(name)/"),
                "\(errors)"
            )
            #expect(errors[0].contains("qat-client certs issue --service \(role)/"))
        }
        let other = programs.folder + "/other"
        try CertificateAuthority.createAuthority(in: other, trustDomain: "test")
        let outcome = try programs.run("timeout 60 " + line(program, role, ca: "other/ca.pem"))
        #expect(outcome.status == 1)
        #expect(
            outcome.errors.contains("is signed by none of the trust roots other/ca.pem"),
            "\(outcome.errors)"
        )
    }

    @Test func aServicesCertificateIsNoUsers() throws {
        defer { programs.remove() }
        try FileManager.default.createDirectory(
            atPath: programs.folder + "/home",
            withIntermediateDirectories: true
        )
        let profile = """
            {"gateway": "127.0.0.1:9", "certificate": "../certs/train.pem",
             "key": "../certs/train.key", "ca": "../certs/ca.pem"}
            """
        try Data(profile.utf8).write(to: URL(filePath: programs.folder + "/home/profile.json"))
        let outcome = try programs.run("qat-client status")
        #expect(outcome.status == 2)
        #expect(
            outcome.errors.contains("certs/train.pem is the service train/train-1's; people have")
        )
        #expect(outcome.errors.contains("qat-client certs issue --user NAME"))
    }

    /// A log that cannot be written is lost; the daemon was, with it.
    @Test func aFullDiskUnderTheLogEndsNoDaemon() throws {
        defer { programs.remove() }
        let status = "echo status $?"
        #expect(
            try programs.run("qat-traind compute </dev/null 2>/dev/full; \(status)").output
                == "status 2\n"
        )
        #expect(
            try programs.run("qat-gateway nonsense 2>/dev/full; \(status)").output == "status 2\n"
        )
        #expect(
            try programs.run(
                """
                \(line("qat-gateway", "gateway")) 2>/dev/full & pid=$!
                for i in $(seq 600); do [ -s state-qat-gateway/address ] && break; sleep 0.1; done
                kill -HUP $pid; sleep 0.5; kill -0 $pid && echo lives
                kill -TERM $pid; wait $pid; \(status)
                """
            ).output == "lives\nstatus 0\n"
        )
    }

    /// SIGHUP ended a daemon in the 25 ms in which its libraries make themselves ready.
    ///
    /// The dynamic linker tells what it runs before them.
    @Test(arguments: ["qat-gateway", "qat-quantd", "qat-traind", "qat-evald"])
    func hangupsAreIgnoredBeforeAnyLibraryBegins(program: String) throws {
        defer { programs.remove() }
        let outcome = try programs.run("LD_DEBUG=files \(program) --version")
        let calls = outcome.errors.split(separator: "\n").filter { $0.contains("calling ") }
        let first = try #require(calls.first)
        #expect(first.contains("calling preinit: ") && first.contains(program), "\(first)")
        #expect(calls.count > 3)
        // What the entry does, seen from outside: bit 0 of the ignored signals is SIGHUP.
        let state = try programs.run(
            """
            \(program == "qat-gateway" ? line(program, "gateway") : line(program, role(of: program))) \
              2>/dev/null & pid=$!
            for i in $(seq 600); do [ -s state-\(program)/address ] && break; sleep 0.1; done
            grep SigIgn /proc/$pid/status; kill -HUP $pid; sleep 0.5; kill -0 $pid && echo lives
            kill -TERM $pid; wait $pid
            """
        ).output
        #expect(state.contains("lives"), "\(state)")
    }

    private func role(of program: String) -> String { String(program.dropFirst(4).dropLast()) }

    /// 100,000 characters of an argument came back whole.
    @Test(arguments: [
        "qat-client submit job.json --set \"$long\"",
        "qat-client submit job.json --set \"a.$long=1\"",
        "qat-client submit job.json --dry-run --set \"a=$long\"", "qat-client submit \"$long\"",
        "qat-client submit job.json --priority \"$long\"", "qat-client \"$long\"",
        "qat-client submit job.json --deadline \"$long\"", "qat-client submit job.json \"--$long\"",
        "qat-client status --state \"$long\"", "qat-client status --kind \"$long\"",
        "qat-client status --limit \"$long\"", "qat-client status \"$long\" more",
        "qat-client artifacts rm \"$long\"", "qat-client artifacts gc --older-than \"$long\"",
        "qat-client artifacts verify \"$long\"", "qat-client certs list --dir \"$long\"",
        "qat-client certs init --dir \"$long\"",
        "qat-client certs issue --dir . --service \"$long\"",
        "qat-client tokenize --model \"$long\" x", "qat-client explain \"$long\"",
        "qat-client submit long.json", "qat-client submit long.yaml",
        "qat-client submit value.json",
        "QAT_GATEWAY=\"$long\" qat-client status", "qat-client wait \"$long\" --timeout 1",
        "qat-gateway --listen \"$long\" --state s", "qat-traind --log-level \"$long\"",
        "qat-gateway \"--$long\"", "qat-quantd --config long.json", "qat-evald --threads \"$long\"",
        "qat-gateway --state \"$long\" --cert certs/gateway.pem --key certs/gateway.key --ca certs/ca.pem",
    ])
    func whatIsQuotedIsBoundedAndHarmless(line: String) throws {
        defer { programs.remove() }
        let outcome = try programs.run(
            """
            long=$(printf 'x\\033[2J\\302\\233y\\342\\200\\256%.0s' $(seq 10000))
            printf '{"models": [], "tasks": []}' >job.json
            printf '{"models": [], "x%s": 1}' "$(printf 'x%.0s' $(seq 100000))" >long.json
            printf 'models: []\\nx%s: 1\\n' "$(printf 'x%.0s' $(seq 100000))" >long.yaml
            printf '{"models": "%s"}' "$(printf 'x%.0s' $(seq 100000))" >value.json
            mkdir -p home; printf '{"gateway": "127.0.0.1:9", "certificate": "../certs/ada.pem",
              "key": "../certs/ada.key", "ca": "../certs/ca.pem"}' >home/profile.json
            export long; \(line)
            """
        )
        #expect((1...5).contains(outcome.status), "\(outcome.status) \(outcome.errors.prefix(500))")
        let text = outcome.output + outcome.errors
        #expect(
            !text.isEmpty && text.utf8.count < 12_000,
            "\(text.utf8.count): \(text.prefix(300))"
        )
        let raw = text.unicodeScalars.filter {
            $0 != "\n" && TerminalTextTests.obeyed.contains($0.value)
        }
        #expect(raw.isEmpty, "\(raw.map { String($0.value, radix: 16) }.prefix(5))")
    }
}
