internal import Devices
internal import Formats
internal import Kernels

@testable internal import Transformer

/// A random decoder with outliers in its activations, as trained models have them.
enum SmallModel {
    static let team = ThreadTeam(threadCount: 1)

    static func make(tied: Bool = true, seed: UInt64 = 3) throws -> Parameters {
        let configuration = ModelConfiguration(
            vocabularySize: 96,
            hiddenSize: 64,
            intermediateSize: 96,
            layerCount: 2,
            headCount: 4,
            keyValueHeadCount: 2,
            maximumPositions: 64,
            tiedEmbeddings: tied
        )
        let parameters = try Parameters.random(
            configuration: configuration,
            seed: seed,
            deviation: 0.15
        )
        var generator = SplitMix64(seed: seed + 1)
        for entry in parameters.layout.entries where entry.shape.count == 1 {
            let weight = parameters.elements(of: entry)
            for index in weight.indices {
                weight[index] = 0.5 + Float(generator.uniform()) + (index % 17 == 0 ? 6 : 0)
            }
        }
        return parameters
    }

    static func tokens(_ count: Int, seed: UInt64 = 9) -> [Int32] {
        var generator = SplitMix64(seed: seed)
        return (0..<count).map { _ in Int32(generator.uniform() * 96) }
    }

    static func windows(_ count: Int = 8, length: Int = 16) throws -> CalibrationWindows {
        try CalibrationWindows(
            texts: [tokens(count * length)],
            length: length,
            limit: count,
            seed: 1
        )
    }

    /// The mean loss on fixed tokens.
    static func loss(_ parameters: Parameters) throws -> Double {
        let evaluator = try PerplexityEvaluator(
            parameters: parameters,
            recipe: .none,
            length: 16,
            device: CPUDevice(team: team)
        )
        return try evaluator.evaluate(tokens: tokens(64), windows: 4).meanLoss
    }
}
