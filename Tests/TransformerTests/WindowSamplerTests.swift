internal import Testing

@testable internal import Transformer

/// Windows that lie end to end, each once an epoch.
struct WindowSamplerTests {
    private static let length = 4

    /// The windows' first tokens, which count up, of some steps.
    private static func starts(
        tokens: Int,
        steps: Range<Int>,
        perStep: Int,
        seed: UInt64 = 7
    ) throws -> [Int] {
        let sampler = try WindowSampler(
            seed: seed,
            tokenCount: tokens,
            length: length,
            order: .epoch
        )
        let text = (0..<Int32(tokens)).map(\.self)
        var batch = [Int32](repeating: -1, count: perStep * length)
        return steps.flatMap { step in
            text.withUnsafeBufferPointer {
                sampler.fill(&batch, count: perStep, step: step, from: $0)
            }
            return (0..<perStep).map { Int(batch[$0 * length]) }
        }
    }

    /// Windows of each epoch are all there are, whatever their number; the last tokens fill none.
    @Test(arguments: [1, 2, 3, 7, 16, 17, 100])
    func anEpochIsEveryWindowOnce(windows: Int) throws {
        let found = try Self.starts(
            tokens: windows * Self.length + 3,
            steps: 0..<3 * windows,
            perStep: 1
        )
        let all = (0..<windows).map { $0 * Self.length }
        for epoch in 0..<3 {
            let part = found[epoch * windows..<(epoch + 1) * windows]
            #expect(part.sorted() == all)
            if windows >= 16 { #expect(Array(part) != all) }
        }
        if windows >= 16 { #expect(found[..<windows] != found[windows..<2 * windows]) }
    }

    /// A step's windows are those that a run from the start has there, across the end of an epoch too.
    @Test func stepsAloneDecide() throws {
        let whole = try Self.starts(tokens: 50, steps: 0..<10, perStep: 5)
        #expect(try Self.starts(tokens: 50, steps: 3..<7, perStep: 5) == Array(whole[15..<35]))
        #expect(try Self.starts(tokens: 50, steps: 0..<50, perStep: 1) == whole)
        #expect(try Self.starts(tokens: 50, steps: 0..<10, perStep: 5, seed: 8) != whole)
    }
}
