internal import Foundation
internal import Testing

@testable internal import JobSpecs
@testable internal import qat_client

/// docs/TRAINING.md names keys that there are, all those of the example, and tests that there are.
struct TrainingDocumentTests {
    private static let root = URL(filePath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The keys and the test of each row of its tables of three columns.
    private static func rows() throws -> [(keys: [String], test: String)] {
        let text = try String(contentsOf: root.appending(path: "docs/TRAINING.md"), encoding: .utf8)
        func words(_ cell: some StringProtocol) -> [String] {
            cell.split(separator: "`", omittingEmptySubsequences: false).enumerated()
                .filter { $0.offset % 2 == 1 }.map { String($0.element) }
        }
        return text.split(separator: "\n").filter { $0.hasPrefix("| `") }
            .map { $0.split(separator: "|") }.filter { $0.count == 3 }
            .map { cells in (words(cells[0]), words(cells[2]).first ?? "") }
    }

    /// Every path of the example's values, without indices.
    private static func paths(_ value: Any, _ path: String) -> [String] {
        guard let members = value as? [String: Any] else { return [path] }
        return members.flatMap { paths($1, path.isEmpty ? $0 : "\(path).\($0)") }
    }

    @Test func namesEveryKeyOfTheGuidesExample() throws {
        let data = try Data(contentsOf: Self.root.appending(path: "examples/train-nemo.json"))
        let example = Self.paths(try JSONSerialization.jsonObject(with: data), "")
        let named = Set(try Self.rows().flatMap(\.keys))
        #expect(example.count > 25)
        #expect(example.filter { !named.contains($0) } == [])
    }

    @Test func namesKeysThatThereAre() throws {
        let known = Set(
            SchemaRow.rows(of: try JobSchema.schema(fileKind: "train")).map {
                String($0.path.dropFirst(2))
            }
        )
        #expect(try Self.rows().flatMap(\.keys).filter { !known.contains($0) } == [])
    }

    @Test func namesTestsThatThereAre() throws {
        let folder = Self.root.appending(path: "Tests")
        let files = try #require(
            FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
        )
        var sources = ""
        for case let file as URL in files where file.pathExtension == "swift" {
            sources += try String(contentsOf: file, encoding: .utf8)
        }
        for (keys, test) in try Self.rows() {
            #expect(sources.contains("func \(test)("), "\(keys): \(test)")
        }
    }
}
