internal import Foundation
internal import Testing

@testable internal import Sandbox

/// An interpreter under a name that no other process on the machine has, and a folder that programs are set on.
struct SandboxFixture {
    /// The folder that holds both.
    let folder: String
    /// Where a program must not write.
    var outside: String { folder + "/outside" }
    var secret: String { outside + "/secret" }
    let interpreter: PythonInterpreter

    /// Whether this machine has what every sandbox needs; where not, nothing is run in one.
    static let isSupported = (try? SandboxSupport.minimum()) != nil

    /// Those that this machine, or the container that the tests run in, lets through.
    static let confinements: [Confinement] = {
        guard isSupported, let python = try? PythonInterpreter(path: "/usr/bin/python3") else {
            return []
        }
        return SandboxSupport.candidates.filter { SandboxSupport.fault(of: $0, python) == nil }
    }()

    init() throws {
        folder = NSTemporaryDirectory() + "/qat-sandbox-test-" + UUID().uuidString
        let files = FileManager.default
        let outside = folder + "/outside"
        try files.createDirectory(atPath: outside, withIntermediateDirectories: true)
        try files.createSymbolicLink(
            atPath: folder + "/python3",
            withDestinationPath: "/usr/bin/python3"
        )
        try Data("secret".utf8).write(to: URL(fileURLWithPath: outside + "/secret"))
        // Rights of files do not help here: everybody may do everything.
        for (path, mode) in [(folder, 0o755), (outside, 0o777), (outside + "/secret", 0o666)] {
            try files.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        }
        interpreter = try PythonInterpreter(path: folder + "/python3")
    }

    func remove() { try? FileManager.default.removeItem(atPath: folder) }

    /// The text of a program; `attempt.py` goes before an attack.
    func program(_ kind: String, _ name: String) throws -> String {
        func text(_ path: String) throws -> String {
            let url = try #require(
                Bundle.module.url(forResource: "Programs/" + path, withExtension: "py")
            )
            return try String(contentsOf: url, encoding: .utf8)
        }
        let body = try text("\(kind)/\(name)")
        guard kind == "attacks" else { return body }
        return try text("attempt").replacing("@SECRET@", with: secret)
            .replacing("@OUTSIDE@", with: outside)
            .replacing("@PARENT@", with: String(getpid())) + body
    }

    /// Everything about the outside that a program could have changed.
    func state() throws -> [String] {
        var status = stat()
        #expect(stat(secret, &status) == 0)
        return try FileManager.default.contentsOfDirectory(atPath: outside).sorted() + [
            try String(contentsOfFile: secret, encoding: .utf8),
            "\(status.st_mode) \(status.st_uid) \(status.st_nlink) \(status.st_mtim.tv_sec)",
        ]
    }

    /// Processes that run the interpreter by this fixture's name for it.
    func processes() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc").filter { name in
            guard name.allSatisfy(\.isNumber),
                let line = try? String(contentsOfFile: "/proc/\(name)/cmdline", encoding: .utf8)
            else { return false }
            return line.hasPrefix(interpreter.path)
        }
    }
}
