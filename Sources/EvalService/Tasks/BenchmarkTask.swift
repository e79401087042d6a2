internal import JobSpecs
internal import Devices
internal import ModelFiles
internal import ServiceKit
internal import Transformer

/// Times generation: warm-ups that do not count, then runs.
struct BenchmarkTask: EvaluationTask {
    let index: Int
    let settings: EvaluateSpec.Benchmark

    private var runCount: Int { settings.warmUpCount + settings.runCount }
    private var tokenCount: Int { settings.inputLength + settings.outputLength }

    func effort(on plan: EvaluationSubject.Plan) -> TaskEffort {
        TaskEffort(count: runCount, tokenCount: tokenCount)
    }

    func run(_ subject: EvaluationSubject) throws -> [Measurement] {
        let median = try seconds(subject).sorted()[settings.runCount / 2]
        return [
            (Measurement.Name.latency, median * 1000),
            (.throughput, Double(settings.outputLength) / median),
        ].map { name, value in
            Measurement(
                task: .benchmark,
                index: index,
                text: nil,
                name: name,
                value: value,
                interval: nil,
                count: settings.runCount
            )
        }
    }

    /// Seconds of each run.
    private func seconds(_ subject: EvaluationSubject) throws -> [Double] {
        let generator = try Generator(
            parameters: subject.model.parameters,
            activations: subject.activations,
            capacity: tokenCount,
            device: CPUDevice(team: subject.team)
        )
        var random = SplitMix64(seed: 1)
        let prompt = (0..<settings.inputLength).map { _ in
            Int32(random.below(subject.model.configuration.vocabularySize))
        }
        var seconds: [Double] = []
        for run in 0..<runCount {
            let start = ContinuousClock.now
            generator.reset()
            try generator.append(prompt)
            for made in 1..<max(settings.outputLength, 1) {
                try subject.advance("benchmark", settings.inputLength + made, of: tokenCount)
                try generator.append([generator.sample(SamplingOptions())])
            }
            if run >= settings.warmUpCount {
                seconds.append((ContinuousClock.now - start) / .seconds(1))
            }
            try subject.finishStep("benchmark", run + 1, of: runCount, tokenCount: tokenCount)
        }
        return seconds
    }
}
