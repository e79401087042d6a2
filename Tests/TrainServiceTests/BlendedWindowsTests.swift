internal import ServiceKit
internal import Testing

@testable internal import TrainService

/// Windows of texts that are drawn from by weight.
@Suite struct BlendedWindowsTests {
    /// The numbers of three texts follow each other; weights are 1, 2 and 5.
    private static let texts = [0..<100, 1000..<1040, 2000..<2300]

    private static func windows(_ data: String, steps: Int) throws -> any TrainingWindows {
        let tokens = texts.flatMap { $0.map { Int32($0) } }
        let request = ComputeRequest(
            jobID: "j",
            kind: "train",
            attempt: 1,
            spec: """
                {"model": "m", "quantization": {"algorithm": "mxfp4"},
                 "trainer": {"max_steps": \(steps), "micro_batch_size": 4},
                 "data": {"train": ["a", "b", "c"], "train_weights": [1, 2, 5], "seq_length": 16\(data)}}
                """,
            inputs: [:],
            outputFolder: "/out",
            checkpointFolder: "/checkpoints",
            threads: 1
        )
        let (spec, warnings) = try TrainingPlan.specification(request)
        let plan = TrainingPlan(
            spec,
            warnings: warnings,
            specText: request.spec,
            trainTokenCount: tokens.count
        )
        return try TrainingTexts(
            training: tokens,
            parts: [0..<100, 100..<140, 140..<440],
            validation: nil,
            isMarked: false
        ).windows(plan)
    }

    /// First tokens of the windows of a run of 200 steps of 4.
    private func firstTokens(_ data: String) throws -> [Int] {
        let windows = try Self.windows(data, steps: 200)
        return try (0..<200).flatMap { step in
            var batch = [Int32](repeating: -1, count: 4 * 16)
            try windows.copy(step: step, count: 4, to: &batch)
            return (0..<4).map { index in
                let window = batch[index * 16..<(index + 1) * 16].map { Int($0) }
                // Of one text alone, end to end.
                #expect(window == Array(window[0]..<window[0] + 16))
                #expect(Self.texts.contains { $0.contains(window[0]) && $0.contains(window[15]) })
                return window[0]
            }
        }
    }

    @Test func eachTextGivesItsShare() throws {
        for data in ["", #", "sampling": "epoch""#] {
            let first = try firstTokens(data)
            let counts = Self.texts.map { text in first.count { text.contains($0) } }
            #expect(counts == [100, 200, 500])
        }
    }

    /// Every offset of a text comes up in the long run.
    @Test func windowsAreAtAnyOffset() throws {
        let first = try firstTokens("")
        #expect(Set(first.filter { $0 < 100 }).count > 50)
        #expect(Set(first.filter { (1000..<1040).contains($0) }) == Set(1000...1024))
    }

    /// 6, 2 and 18 windows lie end to end in the texts; each comes once in an epoch of its text.
    @Test func epochsAreOfEachText() throws {
        let first = try firstTokens(#", "sampling": "epoch""#)
        for (text, count) in zip(Self.texts, [6, 2, 18]) {
            let own = first.filter { text.contains($0) }
            for start in stride(from: 0, to: own.count - count, by: count) {
                let epoch = own[start..<start + count].sorted()
                #expect(epoch == (0..<count).map { text.lowerBound + 16 * $0 })
            }
        }
    }
}
