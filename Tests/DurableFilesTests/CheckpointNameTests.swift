internal import DurableFiles
internal import Foundation
internal import Testing

/// The name that the child makes is the one that the daemon reads.
struct CheckpointNameTests {
    @Test(arguments: [
        (UInt64(0), "step-00000000"), (20, "step-00000020"), (99_999_999, "step-99999999"),
        (100_000_000, "step-100000000"), (.max, "step-18446744073709551615"),
    ])
    func aNameMadeIsTheNameParsed(step: UInt64, name: String) {
        #expect("\(CheckpointName(step: step))" == name)
        #expect(CheckpointName(name) == CheckpointName(step: step))
    }

    @Test(arguments: [
        "", "step-", "step-1", "step-000000020", "step-+0000020", "step--0000020", "Step-00000020",
        "step-00000020 ", ".tmp-step-00000020", "step-0000002x", "step-18446744073709551616",
        "step-٠٠٠٠٠٠٢٠",
    ])
    func otherNamesAreNone(name: String) {
        #expect(CheckpointName(name) == nil)
    }

    /// What is half written goes, and nothing else: whole ones, and what others keep beside them, stay.
    @Test func onlyUnfinishedOnesAreRemoved() throws {
        let folder = NSTemporaryDirectory() + "qat-checkpoints-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let unfinished = [UInt64(0), 4, 100_000_000].map { CheckpointName(step: $0).unfinished }
        #expect(unfinished[1] == ".tmp-step-00000004")
        let others = ["step-00000004", ".tmp-step-4", ".tmp-x", "teacher-cache", ".incoming"]
        for name in unfinished + others {
            try FileManager.default.createDirectory(
                atPath: "\(folder)/\(name)/deep",
                withIntermediateDirectories: true
            )
        }
        CheckpointName.removeUnfinished(in: folder)
        let left = try FileManager.default.contentsOfDirectory(atPath: folder)
        #expect(Set(left) == Set(others))
        CheckpointName.removeUnfinished(in: folder + "/none")
    }

    /// By letters the ninth digit would come before the eighth.
    @Test func theyAreOrderedByStep() {
        let steps: [UInt64] = [100_000_000, 99_999_999, 5]
        #expect(steps.map(CheckpointName.init(step:)).sorted().map(\.step) == steps.reversed())
    }
}
