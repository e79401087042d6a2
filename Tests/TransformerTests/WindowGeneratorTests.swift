internal import Devices
internal import Kernels
internal import Testing

@testable internal import Transformer

/// Text that a model makes by itself, many windows at a time.
struct WindowGeneratorTests {
    private static func device() -> CPUDevice { CPUDevice(team: ThreadTeam(threadCount: 2)) }

    private static func generator(
        _ parameters: Parameters,
        length: Int,
        starts: [Int32],
        _ options: WindowGenerator.Options
    ) throws -> WindowGenerator {
        try WindowGenerator(
            parameters: parameters,
            length: length,
            starts: starts,
            options: options,
            device: device()
        )
    }

    /// Token by token what one sequence with a cache of its own continues with.
    @Test func likeliestTokensAreThoseOfOneSequence() throws {
        let parameters = try SmallModel.make()
        let length = 20
        let made = try Self.generator(
            parameters,
            length: length,
            starts: (0..<96).map { $0 },
            .init(greedyCount: length, seed: 5)
        ).windows(40) { _ in }
        #expect(made.count == 40 * length)
        var firsts: Set<Int32> = []
        for start in stride(from: 0, to: made.count, by: length) {
            let window = Array(made[start..<start + length])
            firsts.insert(window[0])
            let single = try Generator(
                parameters: parameters,
                capacity: length,
                device: Self.device()
            )
            for position in 0..<length - 1 {
                try single.append([window[position]])
                #expect(single.sample(SamplingOptions()) == window[position + 1])
            }
        }
        #expect(firsts.count > 20)
    }

    /// After a given token, the share of each next one is the model's probability of it: of 4,096 draws,
    /// within five standard deviations.
    @Test(arguments: [1.0, 0.5])
    func tokensAreDrawnFromTheDistribution(temperature: Double) throws {
        let parameters = try SmallModel.make()
        let (count, start) = (4096, Int32(7))
        let made = try Self.generator(
            parameters,
            length: 2,
            starts: [start],
            .init(temperature: temperature, greedyCount: 0, seed: 9)
        ).windows(count) { _ in }
        let single = try Generator(parameters: parameters, capacity: 2, device: Self.device())
        try single.append([start])
        let logits = single.lastLogits.map { Double($0) / temperature }
        let best = logits.max() ?? 0
        let weights = logits.map { exponential($0 - best) }
        let total = weights.reduce(0, +)
        var shares = [Int](repeating: 0, count: weights.count)
        for index in 0..<count {
            #expect(made[2 * index] == start)
            shares[Int(made[2 * index + 1])] += 1
        }
        for (share, weight) in zip(shares, weights) {
            let expected = Double(count) * weight / total
            let limit = 5 * expected.squareRoot() + 1
            #expect(abs(Double(share) - expected) <= limit)
        }
    }

    /// e^x by its series, for x in -60 … 0.
    private func exponential(_ x: Double) -> Double {
        var (term, sum) = (1.0, 1.0)
        for n in 1..<40 {
            term *= x / 64 / Double(n)
            sum += term
        }
        return (0..<6).reduce(sum) { value, _ in value * value }
    }

    @Test func windowsDoNotDependOnTheirNumber() throws {
        let parameters = try SmallModel.make()
        func windows(_ count: Int) throws -> [Int32] {
            try Self.generator(parameters, length: 12, starts: [1, 2, 3], .init(seed: 1))
                .windows(count) { _ in }
        }
        let many = try windows(70)
        #expect(try windows(5) == Array(many.prefix(5 * 12)))
        #expect(try windows(33) == Array(many.prefix(33 * 12)))
        let parts = (0..<70).map { index in Array(many[index * 12..<(index + 1) * 12]) }
        #expect(Set(parts).count == 70)
    }

    @Test func progressIsTold() throws {
        var told: [Int] = []
        let generator = try Self.generator(
            try SmallModel.make(),
            length: 4,
            starts: [1],
            .init(seed: 1)
        )
        _ = try generator.windows(33) { told.append($0) }
        #expect(told == [64, 96, 128, 130, 131, 132])
    }

    @Test(arguments: [[], [96], [-1]])
    func tokensBeyondTheVocabularyAreRefused(starts: [Int32]) throws {
        let parameters = try SmallModel.make()
        #expect(throws: TransformerError.self) {
            try Self.generator(parameters, length: 4, starts: starts, .init(seed: 1))
        }
    }
}
