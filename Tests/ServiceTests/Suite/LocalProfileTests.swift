internal import Foundation
internal import TestProgram
internal import Testing
@testable internal import qat_client

/// docs/CLIENT.md, On this machine: a profile that `local up` did not write is never replaced.
///
/// Seen: that of a deployment was gone after `local up`, without a word.
@Suite struct LocalProfileTests {
    private let programs: ProgramShell
    private let home: QatHome

    init() throws {
        programs = try ProgramShell()
        home = QatHome(path: programs.folder + "/home")
        try home.create()
    }

    private func write(_ text: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: home.profilePath))
    }

    private static func profile(_ gateway: String, _ folder: String) -> String {
        #"{"gateway": "\#(gateway)", "certificate": "\#(folder)/user.pem", "#
            + #""key": "\#(folder)/user.key", "ca": "\#(folder)/ca.pem"}"#
    }

    @Test(arguments: [
        (profile("gateway.example:7443", "/etc/qat"), "leads to gateway.example:7443"),
        (profile("127.0.0.1:7443", "certs"), "leads to 127.0.0.1:7443"),
        // Beside the suite's folder, and out of it again.
        (profile("a:1", "local-certs"), "leads to a:1"),
        (profile("a:1", "local/../certs"), "leads to a:1"),
        ("{\"gateway\": 1}", "is no profile that can be read"), ("", "is no profile"),
        ("not JSON", "is no profile"),
    ])
    func whatItDidNotWriteStays(text: String, leads: String) throws {
        defer { programs.remove() }
        try write(text)
        for more in ["", " --detach", " --detach --json"] {
            // Wherever somebody else's gateway is.
            let up = try programs.run("QAT_GATEWAY=b:2 qat-client local up --port 17451\(more)")
            #expect(up.status == 2 && up.output.isEmpty, "\(up)")
            #expect(up.errors.contains("/home/profile.json \(leads)"), "\(up)")
            #expect(up.errors.contains("set QAT_HOME"), "\(up)")
            #expect(try String(contentsOfFile: home.profilePath, encoding: .utf8) == text)
            // Nothing was begun.
            #expect(!FileManager.default.fileExists(atPath: home.localPath))
        }
    }

    @Test func aFolderInItsPlaceIsRefused() throws {
        defer { programs.remove() }
        try FileManager.default.createDirectory(
            atPath: home.profilePath,
            withIntermediateDirectories: false
        )
        let up = try programs.run("qat-client local up --detach")
        #expect(up.status == 2 && up.errors.contains("is no profile"), "\(up)")
    }

    /// Its own, on another port, by another way to the same folder, in a home that is given relatively.
    @Test func itsOwnIsRecognised() throws {
        defer { programs.remove() }
        let suite = LocalSuite(home)
        #expect(throws: Never.self) { try suite.checkProfile() }
        try suite.saveProfile(port: 7443)
        try suite.saveProfile(port: 7444)
        let link = programs.folder + "/link"
        try suite.layout.create()
        for file in [suite.layout.certificatePath("user"), suite.layout.trustRootsPath] {
            try Data().write(to: URL(fileURLWithPath: file))
        }
        symlink(home.path, link)
        try LocalSuite(QatHome(path: link)).saveProfile(port: 7445)
        try suite.saveProfile(port: 7446)
        #expect(try Profile.load(home, environment: [:]).gateway == "127.0.0.1:7446")
    }

    /// Somebody writes one while the suite starts.
    @Test func whatCameMeanwhileStays() throws {
        defer { programs.remove() }
        let text = Self.profile("gateway.example:7443", "/etc/qat")
        try write(text)
        #expect(throws: ClientError.self) { try LocalSuite(home).saveProfile(port: 7443) }
        #expect(try String(contentsOfFile: home.profilePath, encoding: .utf8) == text)
    }

    /// Seen: after a supervisor was killed the suite came up on 7443, and a `wait` beside it looked for it where it
    /// had been.
    @Test(
        arguments: [
            (nil, nil, 7443), ("7971", nil, 7971), ("7971", 7443, 7443), ("x", nil, 7443),
            ("70000", nil, 7443), ("0", nil, 7443), (nil, 7555, 7555),
        ] as [(String?, Int?, Int)]
    )
    func itComesUpWhereItWas(last: String?, asked: Int?, port: Int) throws {
        defer { programs.remove() }
        let suite = LocalSuite(home)
        try suite.layout.create()
        if let last { try Data(last.utf8).write(to: URL(filePath: suite.layout.portPath)) }
        #expect(LocalCommand.Up.port(asked, of: suite) == port)
    }
}
