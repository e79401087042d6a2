internal import JobSpecs
internal import ModelFiles
internal import ServiceKit
internal import Transformer

/// Times generation: warm-ups that do not count, then runs.
struct BenchmarkTask: EvaluationTask {
    let index: Int
    let settings: EvaluateSpec.Benchmark

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
            capacity: settings.inputLength + settings.outputLength,
            team: subject.team
        )
        var random = SplitMix64(seed: 1)
        let prompt = (0..<settings.inputLength).map { _ in
            Int32(random.below(subject.model.configuration.vocabularySize))
        }
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
            subject.reporter.progress(
                phase: "\(subject.label): benchmark",
                step: run + 1,
                of: total
            )
            try subject.reporter.checkStop()
        }
        return seconds
    }
}
