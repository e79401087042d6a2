internal import Foundation
internal import Testing

@testable internal import ServiceKit
@testable internal import qat_client

/// What a worker keeps of a job that ended.
@Suite struct JobFolderTests {
    private let home: TemporaryHome

    init() throws {
        home = try TemporaryHome()
        for name in ["inputs/model", "output/model/config.json", "checkpoints/step-1/manifest"] {
            try home.write("job/" + name, "x")
        }
    }

    private var names: [String] {
        let path = home.home.path + "/job"
        return (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    }

    @Test func keepsCheckpointsForARetry() {
        LeaseLoop.clean(home.home.path + "/job", keepsCheckpoints: true)
        #expect(names == ["checkpoints"])
    }

    @Test func keepsNothingOfASuccess() {
        LeaseLoop.clean(home.home.path + "/job", keepsCheckpoints: false)
        #expect(!FileManager.default.fileExists(atPath: home.home.path + "/job"))
    }

    @Test func keepsNothingWhereNoCheckpointIs() throws {
        try FileManager.default.removeItem(atPath: home.home.path + "/job/checkpoints")
        LeaseLoop.clean(home.home.path + "/job", keepsCheckpoints: true)
        #expect(!FileManager.default.fileExists(atPath: home.home.path + "/job"))
    }

    /// Seen: the folder's own date is that of its first checkpoint, and the newest went with it.
    @Test func aFolderIsAsOldAsTheNewestInIt() throws {
        for name in ["old/checkpoints/step-1/manifest", "new/checkpoints/step-1/manifest"] {
            try home.write("jobs/" + name, "x")
        }
        let root = home.home.path + "/jobs"
        let manager = FileManager.default
        func age(_ path: String) throws {
            let date = Date.now.addingTimeInterval(-8 * 86_400)
            try manager.setAttributes([.modificationDate: date], ofItemAtPath: "\(root)/\(path)")
        }
        for name in try #require(manager.enumerator(atPath: root)?.compactMap { $0 as? String }) {
            try age(name)
        }
        try home.write("jobs/new/checkpoints/step-2/manifest", "x")
        try age("new")
        #expect(JobFolders.removeUntouched(in: root, before: .week) == ["old"])
        #expect(try manager.contentsOfDirectory(atPath: root) == ["new"])
        #expect(JobFolders.removeUntouched(in: root, before: .week).isEmpty)
    }
}
