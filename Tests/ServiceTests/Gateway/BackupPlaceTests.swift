internal import Foundation
internal import Testing

@testable internal import Gateway

/// Where a backup may be: not in what it is a backup of.
struct BackupPlaceTests {
    /// Seen: accepted, and each backup would have held the one before.
    @Test(arguments: ["", "/backup", "/a/b/c", "/logs/../backup"])
    func aFolderInsideTheStateIsRefused(path: String) async throws {
        let fixture = try StoreFixture()
        let link = fixture.folder + "-link"
        try FileManager.default.createSymbolicLink(
            atPath: link,
            withDestinationPath: fixture.folder
        )
        defer { try? FileManager.default.removeItem(atPath: link) }
        let before = try FileManager.default.contentsOfDirectory(atPath: fixture.folder).sorted()
        for (state, target) in [
            (fixture.folder, fixture.folder + path), (fixture.folder, link + path),
            (link, fixture.folder + path),
        ] {
            let error = await #expect(throws: StoreError.self) {
                _ = try await GatewayBackup(state: state, target: target).run()
            }
            #expect(error?.message.contains("is inside the state folder") == true, "\(target)")
        }
        let after = try FileManager.default.contentsOfDirectory(atPath: fixture.folder).sorted()
        #expect(after == before)
    }

    @Test func aFolderBesideTheStateIsTaken() throws {
        let folder = NSTemporaryDirectory() + "/qat-place-" + UUID().uuidString
        #expect(!BackupFiles.isInside(folder + "-backup", folder))
        #expect(!BackupFiles.isInside(folder, folder + "/state"))
        #expect(BackupFiles.isInside(folder + "/x", folder))
        #expect(BackupFiles.isInside("/x/y", "/x"))
        #expect(!BackupFiles.isInside("/xy", "/x"))
    }
}
