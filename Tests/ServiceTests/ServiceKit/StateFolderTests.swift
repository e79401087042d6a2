internal import Foundation
internal import ServiceKit
internal import Testing

/// A state folder has a name of its own, which whoever has locked it may show.
struct StateFolderTests {
    private let path = NSTemporaryDirectory() + "qat-state-" + UUID().uuidString

    @Test func aFolderHasOneNameWhoeverOpensIt() throws {
        defer { try? FileManager.default.removeItem(atPath: path) }
        let name = try StateFolder(path: path).identity()
        #expect(!name.isEmpty)
        for _ in 0..<2 {
            let folder = try StateFolder(path: path)
            #expect(try folder.identity() == name)
            // One process at a time, as the name's meaning wants.
            #expect(throws: ServiceError.self) { try StateFolder(path: path) }
        }
        // A name that cannot be read is made anew; so is that of another folder.
        try Data("none".utf8).write(to: URL(fileURLWithPath: path + "/id"))
        let folder = try StateFolder(path: path)
        let other = try folder.identity()
        #expect(other != name && !other.isEmpty)
        #expect(try folder.identity() == other)
    }

    /// Seen: a worker on a copy took the place of the one that had been copied.
    @Test func aCopyHasAnotherName() throws {
        let copy = path + "-copy"
        defer { for path in [path, copy] { try? FileManager.default.removeItem(atPath: path) } }
        let name = try StateFolder(path: path).identity()
        try FileManager.default.copyItem(atPath: path, toPath: copy)
        #expect(try StateFolder(path: copy).identity() != name)
        #expect(try StateFolder(path: path).identity() == name)
    }
}
