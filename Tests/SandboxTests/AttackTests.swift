internal import Foundation
internal import Testing

@testable internal import Sandbox

/// Programs that do all the harm they can, in every confinement that this machine has: from a root folder of their own
/// down to the machine's own files as root, where Landlock and the filter alone stand between.
///
/// A program says HARM of what was possible to it; what it did is looked at from outside, too.
@Suite(.serialized, .enabled(if: SandboxFixture.isSupported, "no Landlock or no filters here"))
struct AttackTests {
    /// How an attack ends.
    enum End: Sendable {
        /// All was refused; the program came to its end.
        case refused
        /// In one way.
        case by(SandboxOutcome.Ending)
        /// Refused by a folder in memory, ended where the folder is on a disk.
        case scratch
    }

    static let attacks: [(name: String, end: End)] = [
        ("fork_bomb", .refused), ("threads", .refused), ("memory", .refused),
        ("disk_fill", .scratch), ("many_files", .scratch), ("huge_file", .refused),
        ("sockets", .refused), ("read_state", .refused), ("signals", .refused),
        ("links", .refused), ("outlive", .refused), ("trace", .refused), ("devices", .refused),
        ("write_outside", .refused), ("own_program", .refused), ("open_files", .refused),
        ("environment", .refused), ("mounts", .refused), ("privileges", .refused),
        ("endless_output", .by(.wroteTooMuch)), ("endless_loop", .by(.usedUpProcessorTime)),
        ("endless_sleep", .by(.tookTooLong)), ("stopped", .by(.tookTooLong)),
        ("x32", .by(.signaled(SIGSYS))), ("crash", .by(.signaled(SIGSEGV))),
    ]

    @Test(arguments: attacks.map(\.name), SandboxFixture.confinements)
    func nothingIsHarmed(_ name: String, _ confinement: Confinement) throws {
        let fixture = try SandboxFixture()
        defer { fixture.remove() }
        let attack = try #require(Self.attacks.first { $0.name == name })
        var limits = SandboxLimits(processorSeconds: 2, wallSeconds: 60)
        if case .by(.tookTooLong) = attack.end { limits.wallSeconds = 1 }
        // A gigabyte takes its time.
        if name == "memory" { limits.processorSeconds = 20 }
        let sandbox = Sandbox(
            fixture.interpreter,
            confinement: confinement,
            limits: limits
        )
        let before = try fixture.state()
        let outcome = try sandbox.run(try fixture.program("attacks", name))

        let output = String(decoding: outcome.output, as: UTF8.self)
        let errors = String(decoding: outcome.errors.suffix(2000), as: UTF8.self)
        let harm = output.split(separator: "\n").filter { $0.hasPrefix("HARM") }
        #expect(harm.isEmpty, "\(harm.prefix(20))")
        switch attack.end {
        case .refused: #expect(outcome.ending == .exited(0), "\(errors)")
        case .by(let ending): #expect(outcome.ending == ending, "\(errors)")
        case .scratch:
            #expect(
                outcome.ending == (confinement.hasOwnRoot ? .exited(0) : .filledScratch),
                "\(errors)"
            )
        }
        #expect(try fixture.state() == before)
        #expect(try fixture.processes() == [])
        #expect(outcome.output.count <= limits.outputByteCount)
        #expect(outcome.errors.count <= limits.outputByteCount)
        #expect(outcome.peakByteCount <= limits.memoryByteCount)
        #expect(outcome.wallSeconds <= limits.wallSeconds + 5)
        #expect(outcome.processorSeconds <= limits.processorSeconds + 0.5)
    }

    /// Nothing is left of a run in the folder that scratch folders are made in.
    @Test(arguments: SandboxFixture.confinements)
    func scratchFoldersGo(_ confinement: Confinement) throws {
        let fixture = try SandboxFixture()
        defer { fixture.remove() }
        let sandbox = Sandbox(fixture.interpreter, confinement: confinement)
        let outcome = try sandbox.run(
            "open('left', 'w').write('x')\nimport os\nprint(os.getcwd(), os.listdir('.'))"
        )
        let words = String(decoding: outcome.output, as: UTF8.self)
        let folder = try #require(words.split(separator: " ").first)
        #expect(words.hasSuffix(" ['left']\n"))
        #expect(!FileManager.default.fileExists(atPath: String(folder)))
    }

    /// Who is root here runs programs as somebody else wherever that can be had.
    @Test(arguments: SandboxFixture.confinements)
    func programsAreNobody(_ confinement: Confinement) throws {
        let fixture = try SandboxFixture()
        defer { fixture.remove() }
        let outcome = try Sandbox(fixture.interpreter, confinement: confinement).run(
            "import os\nprint(*os.getresuid(), *os.getresgid(), os.getgroups())"
        )
        let id = confinement == .sameUser ? Int(geteuid()) : 65_534
        let group = confinement == .sameUser ? Int(getegid()) : 65_534
        let words = String(decoding: outcome.output, as: UTF8.self)
        #expect(words.hasPrefix("\(id) \(id) \(id) \(group) \(group) \(group) "))
        if confinement.changesUser { #expect(words.hasSuffix(" []\n")) }
    }
}
