internal import Foundation
internal import Testing

@testable internal import Kernels

struct MemoryShortageTests {
    /// Seen: a trap without a word, which nobody could tell from a fault of the program.
    @Test func aBufferThatCannotBeHadSaysHowMuchWasAsked() async throws {
        let result = await #expect(
            processExitsWith: .signal(SIGABRT),
            observing: [\.standardErrorContent]
        ) {
            // More than the 128 TiB that a process can address.
            _ = AlignedBuffer<UInt8>(count: 1 << 50)
        }
        let words = String(decoding: try #require(result).standardErrorContent, as: UTF8.self)
        #expect(words.contains("Fatal error: failed to allocate \(1 << 50) bytes"), "\(words)")
    }
}
