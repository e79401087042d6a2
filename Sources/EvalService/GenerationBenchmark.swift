internal import Foundation
internal import JobSpecs
internal import Kernels
internal import ModelFiles
internal import ServiceKit
internal import Transformer

/// Times generation: warm-ups that do not count, then runs.
struct GenerationBenchmark {
    /// The figures of the runs.
    struct Timing {
        let latencyMilliseconds: Double
        let tokensPerSecond: Double
    }

    private let settings: EvaluateSpec.Benchmark
    private let generator: Generator
    private let prompt: [Int32]

    init(_ settings: EvaluateSpec.Benchmark, model: LoadedModel, team: ThreadTeam) throws {
        guard settings.batchSize == 1 else {
            throw ComputeFailure(
                .userError,
                "benchmark batch_size \(settings.batchSize): this version generates one sequence at a time"
            )
        }
        self.settings = settings
        generator = try Generator(
            parameters: model.parameters,
            capacity: settings.inputLength + settings.outputLength,
            team: team
        )
        var random = SplitMix64(seed: 1)
        prompt = (0..<settings.inputLength).map { _ in
            Int32(random.below(model.configuration.vocabularySize))
        }
    }

    func run(onRun: (Int, Int) throws -> Void) throws -> Timing {
        let total = settings.warmUpCount + settings.runCount
        var seconds: [Double] = []
        for run in 0..<total {
            let start = ContinuousClock.now
            generator.reset()
            try generator.append(prompt)
            for _ in 1..<max(settings.outputLength, 1) {
                try generator.append([generator.sample(SamplingOptions())])
            }
            if run >= settings.warmUpCount {
                seconds.append((ContinuousClock.now - start) / .seconds(1))
            }
            try onRun(run + 1, total)
        }
        let median = seconds.sorted()[seconds.count / 2]
        return Timing(
            latencyMilliseconds: median * 1000,
            tokensPerSecond: Double(settings.outputLength) / median
        )
    }
}
