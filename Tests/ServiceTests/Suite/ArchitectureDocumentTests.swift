internal import Foundation
internal import Testing

/// docs/ARCHITECTURE.md, Modules, against what the sources import.
///
/// Seen: the table said of JobSpecs that it imports one module; it imported two.
struct ArchitectureDocumentTests {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The table's rows: folders of Sources with the modules of this suite that they import.
    private func rows() throws -> [String: Set<String>] {
        let page = try String(
            contentsOf: Self.root.appending(path: "docs/ARCHITECTURE.md"),
            encoding: .utf8
        )
        var rows: [String: Set<String>] = [:]
        for line in page.split(separator: "\n") {
            let pattern = #/\| `Sources/([A-Za-z-]+)` \| .* \| ([^|]+) \|/#
            guard let row = line.wholeMatch(of: pattern) else { continue }
            let own = row.output.2.split(separator: ";").first.map(String.init) ?? ""
            let names = own.replacing(/\([^)]*\)/, with: "").split(separator: ",")
                .map { $0.trimmingCharacters(in: .whitespaces) }
            rows[String(row.output.1)] = Set(names).subtracting(["–"])
        }
        return rows
    }

    /// The modules that the Swift files of a folder import.
    private func imports(of folder: URL) throws -> Set<String>? {
        let found = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
        let files = (found?.allObjects ?? []).compactMap { $0 as? URL }
            .filter { $0.pathExtension == "swift" }
        guard !files.isEmpty else { return nil }
        var modules: Set<String> = []
        for file in files {
            let text = try String(contentsOf: file, encoding: .utf8)
            for line in text.split(separator: "\n") {
                let pattern = #/\s*(?:public|package|internal) import ([A-Za-z_]+).*/#
                if let word = line.wholeMatch(of: pattern) {
                    modules.insert(String(word.output.1))
                }
            }
        }
        return modules
    }

    @Test func everyModuleImportsWhatTheTableSays() throws {
        let sources = Self.root.appending(path: "Sources")
        let folders = try FileManager.default.contentsOfDirectory(
            at: sources,
            includingPropertiesForKeys: nil
        )
        let names = Set(folders.map(\.lastPathComponent))
        let rows = try rows()
        #expect(rows.count > 15)
        for folder in folders {
            guard let imported = try imports(of: folder) else { continue }
            let name = folder.lastPathComponent
            #expect(rows[name] == imported.intersection(names), "\(name)")
        }
        #expect(Set(rows.keys).isSubset(of: names))
    }
}
