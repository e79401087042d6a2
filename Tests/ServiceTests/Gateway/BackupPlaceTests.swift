internal import Foundation
internal import GRDB
internal import Protocol
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

    /// Seen: after a restoration nothing that a job had made went with the job, for a week.
    @Test func aRestorationGivesATimeOfGraceToWhatWasBroughtAlone() async throws {
        let fixture = try StoreFixture()
        try await fixture.engine.store.grant([
            .init(holder: "user/ada", digest: .of("brought"), size: 1, brought: 5),
            .init(holder: "user/ada", digest: .of("made"), size: 1, brought: 0),
        ])
        let database = fixture.folder + "/gateway.sqlite"
        try BackupDatabase.prepare(database)
        let queue = try DatabaseQueue(path: database)
        let rows = try queue.read {
            try Row.fetchAll($0, sql: "SELECT digest, granted FROM artifact_grant")
        }
        let granted = rows.reduce(into: [Data: Int64]()) { $0[$1[0]] = $1[1] }
        #expect(granted[Data(SHA256Digest.of("made").bytes)] == 0)
        #expect(granted[Data(SHA256Digest.of("brought").bytes)] ?? 0 > 1_000_000)
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
