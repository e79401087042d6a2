internal import Foundation
internal import JobSpecs
internal import Jobs
internal import Protocol
internal import Testing
@testable internal import ServiceKit
@testable internal import qat_client

/// Text of others on a terminal: what ECMA-48 and Unicode's bidirectional algorithm give a meaning to is
/// shown, never sent.
@Suite struct TerminalTextTests {
    /// C0, DEL and C1 (ECMA-48), the embeddings, overrides and isolates of UAX #9, line and paragraph
    /// separators, and the marks that change a direction.
    static let obeyed: [UInt32] =
        Array(0x00...0x1F) + [0x7F] + Array(0x80...0x9F) + Array(0x202A...0x202E)
        + Array(0x2066...0x2069) + [0x2028, 0x2029, 0x200E, 0x200F, 0x061C, 0xFEFF, 0xAD]

    private static func text(_ values: [UInt32]) throws -> String {
        var text = String.UnicodeScalarView()
        for value in values { text.append(try #require(Unicode.Scalar(value))) }
        return String(text)
    }

    private static func raw(in text: String, but kept: [UInt32] = []) -> [UInt32] {
        text.unicodeScalars.map(\.value).filter { obeyed.contains($0) && !kept.contains($0) }
    }

    @Test func nothingThatIsObeyedGetsThrough() throws {
        let text = try Self.text(Self.obeyed)
        #expect(Self.raw(in: TerminalText.line(text)).isEmpty)
        #expect(Self.raw(in: TerminalText.lines(text), but: [0x0A]).isEmpty)
        #expect(Self.raw(in: TerminalText.log(text), but: [0x09, 0x0A]).isEmpty)
        #expect(TerminalText.line("a\u{9B}2J\u{202E}b\r") == "a\\u{9b}2J\\u{202e}b\\u{d}")
        let kept = "模型 👨\u{200D}👩 é, tab and line stay in a log:\t\n"
        #expect(TerminalText.log(kept) == kept)
    }

    @Test func logsShowWhatTerminalsObey() throws {
        let text = try Self.text(Self.obeyed)
        let shown = String(decoding: LogsCommand.shown(Array(text.utf8)), as: UTF8.self)
        #expect(Self.raw(in: shown, but: [0x09, 0x0A]).isEmpty)
        #expect(
            LogsCommand.shown(Array("50 %\r60 %\n".utf8)) == Array("50 %\\u{d}60 %\n".utf8)
        )
        // A character that two pieces share is none in either, and no control, either.
        let halves = [[UInt8]([0x61, 0xC2]), [0x9B, 0x32]].map(LogsCommand.shown)
        #expect(halves.allSatisfy { Self.raw(in: String(decoding: $0, as: UTF8.self)).isEmpty })
    }

    /// JSON for programs reads the same, and does nothing to who looks at it.
    @Test func jsonIsTheSameAndSafe() throws {
        let text = try Self.text(Self.obeyed) + "𝄞 \u{E0001}"
        let shown = TerminalText.json(.object(["name\u{9B}": .string(text)]))
        #expect(Self.raw(in: shown).isEmpty)
        let read = try JSONSerialization.jsonObject(with: Data(shown.utf8)) as? [String: String]
        #expect(read == ["name\u{9B}": text])
    }

    @Test func eventsOfOthersAreSafe() throws {
        let text = try Self.text(Self.obeyed)
        let events = [
            JobEvent(jobID: "j", seq: 1, type: .log, message: text),
            JobEvent(
                jobID: "j",
                seq: 2,
                type: .state,
                state: "FAILED",
                reason: text,
                message: text
            ),
            JobEvent(
                jobID: "j",
                seq: 3,
                type: .progress,
                progress: JobProgress(step: 1, totalSteps: 2, precision: text, phase: text)
            ),
            JobEvent(
                jobID: "j",
                seq: 4,
                type: .metric,
                metricsJSON: JSONValue.object([text: .string(text)]).canonicalBytes
            ),
        ]
        for style in [EventPrinter.Style.plain, .json] {
            var written = ""
            let printer = EventPrinter(style) { written += $0 }
            printer.labels["j"] = text
            events.forEach { printer.print($0) }
            #expect(Self.raw(in: written, but: [0x0A]).isEmpty, "\(style)")
        }
        var written = ""
        let live = EventPrinter(.live(columns: { 140 })) { written += $0 }
        live.labels["j"] = "\u{9B}2J"
        events.forEach { live.print($0) }
        // Its own line ends, returns and "clear the line" are the only ones.
        let rest = written.replacing("\r\u{1B}[K", with: "")
        #expect(Self.raw(in: rest, but: [0x0A]).isEmpty, "\(rest.debugDescription)")
    }

    @Test func longLinesKeepTheirBeginningAndTheirEnd() {
        let line = "--set " + String(repeating: "é", count: 100_000) + ": expected KEY=VALUE"
        let bounded = PlainText.bounded(line)
        #expect(bounded.count < 2_100)
        #expect(bounded.hasPrefix("--set é") && bounded.hasSuffix(": expected KEY=VALUE"))
        #expect(bounded.contains("98026 characters left out"))
        #expect(PlainText.bounded("short") == "short")
    }

    @Test func logLinesOfDaemonsAreSafe() throws {
        // What a file's name, a peer's message or a child may put there.
        let text = try Self.text(Self.obeyed)
        #expect(Self.raw(in: PlainText.escaped(text)).isEmpty)
    }
}

/// What is said of files that cannot be used.
@Suite struct FileFaultTests {
    @Test func theSystemsWordsAreUsed() throws {
        let full = try #require(FileHandle(forWritingAtPath: "/dev/full"))
        let space = #expect(throws: (any Error).self) {
            try full.write(contentsOf: Data("x".utf8))
        }
        #expect(space.flatMap { FileFault($0) }?.reason == "No space left on device")
        #expect(space?.isFullDisk == true)

        let missing = "/nowhere/at all/x"
        let absent = #expect(throws: (any Error).self) {
            try Data(contentsOf: URL(fileURLWithPath: missing))
        }
        #expect(absent.map { FileFault.text(of: $0) } == "\(missing): No such file or directory")
        let folder = #expect(throws: (any Error).self) {
            try FileManager.default.createDirectory(
                atPath: "/proc/none/x",
                withIntermediateDirectories: true
            )
        }
        #expect(folder.flatMap { FileFault($0) }?.reason == "No such file or directory")
        let taken = #expect(throws: (any Error).self) {
            try FileManager.default.copyItem(atPath: "/proc/self/stat", toPath: "/tmp")
        }
        #expect(taken.flatMap { FileFault($0) }?.reason == "File exists")
        let posix = NSError(domain: NSPOSIXErrorDomain, code: Int(EDQUOT))
        #expect(posix.isFullDisk && FileFault(posix)?.reason == "Disk quota exceeded")
    }

    @Test func otherErrorsSpeakForThemselves() {
        let error = RPCError(.notFound, "no such thing")
        #expect(FileFault(error) == nil)
        #expect(FileFault.text(of: error) == "notFound: no such thing")
    }
}
