internal import Foundation
internal import TestProgram
internal import Testing

@testable internal import Sandbox

/// What programs can do, and what a sandbox says of itself.
@Suite(.serialized, .enabled(if: SandboxFixture.isSupported, "no Landlock or no filters here"))
struct SandboxTests {
    @Test(
        arguments: ["library", "files", "recursion", "numbers", "alarm"],
        SandboxFixture.confinements
    )
    func ordinaryProgramsWork(_ name: String, _ confinement: Confinement) throws {
        let fixture = try SandboxFixture()
        defer { fixture.remove() }
        let outcome = try Sandbox(fixture.interpreter, confinement: confinement).run(
            try fixture.program("normal", name)
        )
        #expect(
            outcome.ending == .exited(0),
            "\(String(decoding: outcome.errors.suffix(2000), as: UTF8.self))"
        )
        #expect(String(decoding: outcome.output, as: UTF8.self).hasSuffix("done\n"))
    }

    @Test func exitsAndFaultsAreTold() throws {
        let fixture = try SandboxFixture()
        defer { fixture.remove() }
        let sandbox = Sandbox(
            fixture.interpreter,
            support: try SandboxSupport(of: fixture.interpreter)
        )
        #expect(try sandbox.run("raise SystemExit(7)").ending == .exited(7))
        let failed = try sandbox.run("print('before')\nassert 1 == 2, 'no'")
        #expect(failed.ending == .exited(1))
        #expect(failed.output == Array("before\n".utf8))
        #expect(String(decoding: failed.errors, as: UTF8.self).hasSuffix("AssertionError: no\n"))
        #expect(try sandbox.run("").ending == .exited(0))
        // Sets of texts have the same order in every run.
        let order = "print([x for x in {'a', 'b', 'c', 'd', 'e', 'f'}])"
        #expect(try sandbox.run(order).output == sandbox.run(order).output)
    }

    /// Many at a time, each with a folder and with streams of its own.
    @Test func runsSideBySide() async throws {
        let fixture = try SandboxFixture()
        defer { fixture.remove() }
        let sandbox = Sandbox(
            fixture.interpreter,
            support: try SandboxSupport(of: fixture.interpreter),
            limits: SandboxLimits(processorSeconds: 5, wallSeconds: 60)
        )
        let outputs = try await withThrowingTaskGroup(of: (Int, String).self) { group in
            for number in 0..<16 {
                group.addTask {
                    let outcome = try sandbox.run(
                        "open('own', 'x').write('\(number)')\nprint(open('own').read())"
                    )
                    return (number, String(decoding: outcome.output, as: UTF8.self))
                }
            }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        #expect(outputs == Dictionary(uniqueKeysWithValues: (0..<16).map { ($0, "\($0)\n") }))
    }

    @Test func supportIsToldInASentence() throws {
        let fixture = try SandboxFixture()
        defer { fixture.remove() }
        let support = try SandboxSupport(of: fixture.interpreter)
        #expect(support.landlockVersion >= 1)
        #expect(support.sentence.hasPrefix("Landlock \(support.landlockVersion), "))
        #expect(support.sentence.contains(support.confinement.words))
    }

    @Test func interpretersThatAreNoneAreRefused() throws {
        let fixture = try SandboxFixture()
        defer { fixture.remove() }
        let script = fixture.folder + "/script"
        try TestProgram.install(script: "exec python3", at: script)
        for (path, words) in [
            ("/nowhere/python3", "is no program"), ("python3", "is no program"),
            (script, "is a script, not the interpreter itself"),
            ("/bin/cat", "does not work as Python 3.8 or above"),
        ] {
            let error = #expect(throws: SandboxError.self) { try PythonInterpreter(path: path) }
            #expect(error?.code == .interpreter)
            #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
        }
    }

    @Test func linksOnTheWayAreNoted() throws {
        let fixture = try SandboxFixture()
        defer { fixture.remove() }
        let files = FileManager.default
        let folder = fixture.folder
        try files.createDirectory(atPath: folder + "/real/deep", withIntermediateDirectories: true)
        try Data().write(to: URL(fileURLWithPath: folder + "/real/deep/file"))
        try files.createSymbolicLink(atPath: folder + "/a", withDestinationPath: "real/deep")
        try files.createSymbolicLink(
            atPath: folder + "/real/b",
            withDestinationPath: folder + "/a/../deep/file"
        )
        try files.createSymbolicLink(atPath: folder + "/loop", withDestinationPath: "loop")
        var links = SymbolicLinks()
        let found = links.follow(folder)
        let real = try #require(found)
        #expect(links.follow(folder + "/real/b") == real + "/real/deep/file")
        #expect(links.targets[real + "/a"] == "real/deep")
        #expect(links.targets[real + "/real/b"] == folder + "/a/../deep/file")
        #expect(links.follow(folder + "/loop") == nil)
        #expect(links.follow(folder + "/none") == nil)
        #expect(links.outside([]).contains(real + "/a"))
        #expect(!links.outside([real]).contains(real + "/a"))
    }
}
