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

    /// Nobody goes on with half a checkpoint.
    @Test func keepsNothingThatIsHalfWritten() throws {
        for name in [".tmp-step-00000004", ".incoming", "step-00000002", "teacher-cache"] {
            try home.write("job/checkpoints/\(name)/model.safetensors", "x")
        }
        LeaseLoop.clean(home.home.path + "/job", keepsCheckpoints: true)
        let left = try FileManager.default.contentsOfDirectory(
            atPath: home.home.path + "/job/checkpoints"
        )
        #expect(Set(left) == ["step-1", "step-00000002", "teacher-cache"])
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
}
