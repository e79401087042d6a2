internal import JobInputs
internal import Testing
internal import Transformer

@testable internal import qat_client

/// The worker's log says a training's memory as the dry run does.
struct MemorySentenceTests {
    /// Seen: `the model as it came 0 MB`.
    @Test(arguments: [
        0, 999, 1000, 156_300, 999_949, 538_100_000, 3_100_000_000, 70_000_000_000_000,
    ])
    func sizesReadAlike(byteCount: Int) {
        #expect(MemoryPlan.text(byteCount) == Quantities.bytes(UInt64(byteCount)))
    }

    @Test(arguments: [(156_300, "156.3 kB"), (999, "999 B"), (7_000_000_000_000_000, "7000.0 TB")])
    func noneIsNothing(byteCount: Int, text: String) {
        #expect(MemoryPlan.text(byteCount) == text)
    }
}
