internal import ArgumentParser
internal import Foundation
internal import TestProgram
internal import Testing
@testable internal import qat_client

/// Command lines that the documents show are ones that the client takes.
///
/// Seen: `explain train optim`, on two pages, was an unexpected argument.
@Suite struct DocumentedCommandTests {
    private static let root = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The pages, by name.
    private static func pages() throws -> [(name: String, text: String)] {
        let docs = root.appending(path: "docs")
        let files = try FileManager.default.contentsOfDirectory(
            at: docs,
            includingPropertiesForKeys: nil
        )
        return try ([root.appending(path: "README.md")] + files)
            .filter { $0.pathExtension == "md" }
            .map { ($0.lastPathComponent, try String(contentsOf: $0, encoding: .utf8)) }
    }

    /// The words after `qat-client` in a piece of shell, up to what is the shell's or a remark.
    private static func words(_ text: Substring) -> [String]? {
        let text = text.drop { " $".contains($0) }
        guard let start = text.firstRange(of: "qat-client ") else { return nil }
        // Behind other programs it is an argument, as in `docker exec`.
        guard text[..<start.lowerBound].allSatisfy({ $0 == " " }) else { return nil }
        let ends = ["#", "|", ">", "<", "&", ";", "\\"]
        let words = text[start.upperBound...].split(separator: " ").map(String.init)
        return Array(words.prefix { word in !ends.contains { word.hasPrefix($0) } })
            .map { $0.trimmingCharacters(in: ["\""]).replacing("$role", with: "train") }
    }

    /// Whole commands: lines of indented blocks.
    private static func lines(_ text: String) -> [[String]] {
        text.split(separator: "\n").filter { $0.hasPrefix("    ") }.compactMap(words)
    }

    /// Commands, or their beginnings, in running text: in backquotes, which may go over a line's end.
    private static func spans(_ text: String) -> [[String]] {
        let running = text.split(separator: "\n", omittingEmptySubsequences: false)
            .filter { !$0.hasPrefix("    ") }.joined(separator: " ")
        let pieces = running.split(separator: "`", omittingEmptySubsequences: false)
        return pieces.enumerated().filter { $0.offset % 2 == 1 }.compactMap { words($0.element) }
    }

    /// Whether it is more than an option, a drawing, or a place for a verb.
    private static func hasVerb(_ words: [String]) -> Bool {
        words.first?.first?.isASCII == true && words.first?.hasPrefix("-") == false
            && !words.contains("VERB")
    }

    @Test func everyCommandIsTaken() throws {
        var count = 0
        for (name, text) in try Self.pages() {
            for words in Self.lines(text) where Self.hasVerb(words) {
                count += 1
                #expect(throws: Never.self, "\(name): \(words)") {
                    try VerbSpelling.check(words, of: QatClient.self)
                    _ = try QatClient.parseAsRoot(words)
                }
            }
            for words in Self.spans(text) where Self.hasVerb(words) {
                count += 1
                #expect(throws: Never.self, "\(name): \(words)") {
                    try VerbSpelling.check(words, of: QatClient.self)
                }
            }
        }
        // The pages were found, and read.
        #expect(count > 40, "\(count)")
    }

    /// What only prints is run.
    @Test func everyExplanationIsGiven() throws {
        let programs = try ProgramShell()
        defer { programs.remove() }
        var lines: Set<String> = []
        for (_, text) in try Self.pages() {
            for words in Self.lines(text) + Self.spans(text)
            where ["explain", "help"].contains(words.first) && !words.contains("VERB") {
                lines.insert(words.joined(separator: " "))
            }
        }
        #expect(lines.contains("explain train optim"), "\(lines)")
        for line in lines.sorted() {
            let outcome = try programs.run("qat-client \(line)")
            #expect(outcome.status == 0 && !outcome.output.isEmpty, "\(line): \(outcome)")
        }
    }

    @Test(arguments: [
        ("train optim", "$.optim", ["$.optim.lr"], ["$.trainer", "$.name"]),
        ("train optim lr", "$.optim.lr", [], ["$.optim.weight_decay"]),
        ("train optim.lr", "$.optim.lr", [], ["$.optim.weight_decay"]),
        ("train $.optim", "$.optim", ["$.optim.lr"], ["$.trainer"]),
        ("train distillation", "$.distillation", [], ["$.optim"]),
        ("evaluate tasks[0]", "$.tasks", ["$.tasks[]"], ["$.models"]),
    ])
    func aPartIsExplainedAlone(line: String, first: String, with: [String], without: [String])
        throws
    {
        let programs = try ProgramShell()
        defer { programs.remove() }
        let outcome = try programs.run("qat-client explain \(line.replacing("$", with: "\\$"))")
        let places = outcome.output.split(separator: "\n").filter { $0.hasPrefix("$") }
        #expect(outcome.status == 0 && places.first.map(String.init) == first, "\(outcome)")
        for place in with { #expect(places.contains { $0.hasPrefix(place) }, "\(place)") }
        for place in without { #expect(!places.contains { $0.hasPrefix(place) }, "\(place)") }
    }

    @Test(arguments: [
        ("train lr", "train has no key lr; there is $.optim.lr"),
        ("train optin", "did you mean optim?"),
        ("quantize optim", "quantize has no key optim; \"qat-client explain quantize\" lists"),
    ])
    func whatIsNoKeyIsAnswered(line: String, expected: String) throws {
        let programs = try ProgramShell()
        defer { programs.remove() }
        let outcome = try programs.run("qat-client explain \(line)")
        #expect(outcome.status == 2 && outcome.errors.contains(expected), "\(outcome)")
        #expect(outcome.output.isEmpty)
    }
}
