internal import Testing

@testable internal import Transformer

struct CalibrationWindowsTests {
    /// Texts whose tokens tell the text and the place.
    private static func text(_ number: Int32, windows: Int) -> [Int32] {
        (0..<Int32(windows * 4 + 3)).map { number * 10_000 + $0 }
    }

    private func drawn(_ windows: CalibrationWindows) -> [Int32: Int] {
        let starts = stride(from: 0, to: windows.tokens.count, by: 4).map { windows.tokens[$0] }
        return Dictionary(grouping: starts) { $0 / 10_000 }.mapValues(\.count)
    }

    @Test func textsGiveInProportionButEachSome() throws {
        let texts = [
            Self.text(1, windows: 90), Self.text(2, windows: 9), Self.text(3, windows: 1),
        ]
        let windows = try CalibrationWindows(texts: texts, length: 4, limit: 20, seed: 7)
        #expect(windows.count == 20)
        let counts = drawn(windows)
        #expect(counts[1].map { (17...18).contains($0) } == true)
        #expect(counts[2] == 1)
        #expect(counts[3] == 1)
    }

    @Test func windowsAreWholeDistinctAndRepeatable() throws {
        let texts = [Self.text(1, windows: 50), Self.text(2, windows: 50)]
        let windows = try CalibrationWindows(texts: texts, length: 4, limit: 30, seed: 5)
        let starts = stride(from: 0, to: windows.tokens.count, by: 4).map { windows.tokens[$0] }
        #expect(Set(starts).count == 30)
        #expect(starts.allSatisfy { $0 % 10_000 % 4 == 0 })
        for start in stride(from: 0, to: windows.tokens.count, by: 4) {
            let window = windows.tokens[start..<start + 4]
            #expect(zip(window, window.dropFirst()).allSatisfy { $1 == $0 + 1 })
        }
        let again = try CalibrationWindows(texts: texts, length: 4, limit: 30, seed: 5)
        let other = try CalibrationWindows(texts: texts, length: 4, limit: 30, seed: 6)
        #expect(again.tokens == windows.tokens)
        #expect(other.tokens != windows.tokens)
    }

    @Test func takesAllThereIsAndKeepsTheCap() throws {
        let texts = [Self.text(1, windows: 3), [], Self.text(2, windows: 2)]
        #expect(try CalibrationWindows(texts: texts, length: 4, limit: 512, seed: 1).count == 5)
        let capped = try CalibrationWindows(texts: texts, length: 4, limit: 512, cap: 4, seed: 1)
        #expect(capped.count == 4)
    }

    @Test func refusesTextsShorterThanAWindow() {
        let error = #expect(throws: TransformerError.self) {
            try CalibrationWindows(texts: [[1, 2, 3], [4]], length: 4, limit: 1, seed: 1)
        }
        #expect(error?.message.contains("[3, 1] tokens; one window takes 4") == true)
    }
}
