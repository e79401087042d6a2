internal import DurableFiles
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

    /// By letters the ninth digit would come before the eighth.
    @Test func theyAreOrderedByStep() {
        let steps: [UInt64] = [100_000_000, 99_999_999, 5]
        #expect(steps.map(CheckpointName.init(step:)).sorted().map(\.step) == steps.reversed())
    }
}
