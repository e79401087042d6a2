internal import Foundation
internal import ServiceKit
internal import Testing

/// A state folder has a name of its own, which whoever has locked it may show.
struct StateFolderTests {
    private let path = NSTemporaryDirectory() + "qat-state-" + UUID().uuidString

    @Test func aFolderHasOneNameWhoeverOpensIt() throws {
        defer { try? FileManager.default.removeItem(atPath: path) }
        let name = try StateFolder(path: path).identity()
        #expect(UUID(uuidString: name) != nil)
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
        #expect(other != name && UUID(uuidString: other) != nil)
        #expect(try folder.identity() == other)
    }
}
