internal import Foundation
internal import Inference
internal import JobInputs
internal import JobSpecs
internal import Jobs
internal import ServiceKit
internal import Transformer

/// Times texts that are written at once: warm-ups that do not count, then runs.
struct BenchmarkTask: EvaluationTask {
    let index: Int
    let settings: EvaluateSpec.Benchmark

    private var runCount: Int { settings.warmUpCount + settings.runCount }
    private var tokenCount: Int { settings.inputLength + settings.outputLength }

    func effort(on plan: EvaluationSubject.Plan) -> TaskEffort {
        TaskEffort(count: runCount, tokenCount: tokenCount)
    }

    /// What was timed, in seconds.
    struct Times {
        /// Of each run, until its last text ended.
        var runs: [Double] = []
        /// Of each text, until its first token.
        var firstTokens: [Double] = []
        /// Between each two tokens of a text.
        var gaps: [Double] = []
    }

    func run(_ subject: EvaluationSubject) throws -> [Measurement] {
        let times = try times(subject)
        let median = Self.percentile(50, of: times.runs)
        let tokens = settings.batchSize * settings.outputLength
        var figures: [(Measurement.Name, Double, Int)] = [
            (.latency, median * 1000, times.runs.count),
            (.throughput, Double(tokens) / median, times.runs.count),
            (.latencyTail, Self.percentile(99, of: times.runs) * 1000, times.runs.count),
        ]
        for (middle, tail, seconds) in [
            (Measurement.Name.firstToken, Measurement.Name.firstTokenTail, times.firstTokens),
            (.betweenTokens, .betweenTokensTail, times.gaps),
        ] where !seconds.isEmpty {
            figures.append((middle, Self.percentile(50, of: seconds) * 1000, seconds.count))
            figures.append((tail, Self.percentile(99, of: seconds) * 1000, seconds.count))
        }
        return figures.map { name, value, count in
            Measurement(
                task: .benchmark,
                index: index,
                text: nil,
                name: name,
                value: value,
                interval: nil,
                count: count
            )
        }
    }

    /// The smallest of the values that a share of them, in percent, does not exceed.
    static func percentile(_ percent: Int, of values: [Double]) -> Double {
        let sorted = values.sorted()
        return sorted[max((percent * sorted.count + 99) / 100, 1) - 1]
    }

    private func times(_ subject: EvaluationSubject) throws -> Times {
        let engine = try engine(of: subject)
        var random = SplitMix64(seed: 1)
        let vocabulary = subject.configuration.vocabularySize
        var times = Times()
        for run in 0..<runCount {
            // Others each time: the cache keeps beginnings that it knows.
            let prompts = (0..<settings.batchSize).map { _ in
                (0..<settings.inputLength).map { _ in Int32(random.below(vocabulary)) }
            }
            let found = try time(engine, prompts, subject)
            if run >= settings.warmUpCount {
                times.runs += found.runs
                times.firstTokens += found.firstTokens
                times.gaps += found.gaps
            }
            try subject.finishStep("benchmark", run + 1, of: runCount, tokenCount: tokenCount)
        }
        return times
    }

    /// An engine with room for all texts at their full length, so that none waits for another.
    private func engine(of subject: EvaluationSubject) throws -> InferenceEngine {
        var options = EngineOptions(length: tokenCount, sequences: settings.batchSize)
        options.allowsLongContext = settings.allowsLongContext
        let bytes = options.cacheByteCount(of: subject.configuration)
        let memory = MemoryLimit.current
        guard bytes < memory.byteCount else {
            throw ComputeFailure(
                .userError,
                """
                \(subject.label): benchmark: keys and values of \(settings.batchSize) texts of \(tokenCount) tokens \
                take \(ByteCount.text(UInt64(bytes))), \(memory.name) is \
                \(ByteCount.text(UInt64(memory.byteCount))); lower batch_size, input_len or output_len
                """
            )
        }
        return try subject.engine(options)
    }

    /// One run.
    private func time(
        _ engine: InferenceEngine,
        _ prompts: [[Int32]],
        _ subject: EvaluationSubject
    ) throws -> Times {
        var times = Times()
        var latest: [Int: Double] = [:]
        let before = engine.load
        let start = ContinuousClock.now
        for prompt in prompts {
            _ = engine.add(
                GenerationRequest(
                    prompt: prompt,
                    tokenLimit: settings.outputLength,
                    endsAtEndTokens: false
                )
            )
        }
        while !engine.isIdle {
            let events = engine.step(at: .zero)
            let now = (ContinuousClock.now - start) / .seconds(1)
            for event in events {
                guard event.finish != .nonFinite else {
                    throw ComputeFailure(
                        .userError,
                        "\(subject.label): benchmark: a logit is NaN or infinite"
                    )
                }
                if let last = latest[event.request] {
                    times.gaps.append(now - last)
                } else {
                    times.firstTokens.append(now)
                }
                latest[event.request] = now
            }
            guard !engine.isIdle else { break }
            let drawn = engine.load.drawnTokens - before.drawnTokens
            let read = engine.load.promptTokens - before.promptTokens
            let done =
                drawn > 0 ? settings.inputLength + drawn / prompts.count : read / prompts.count
            try subject.advance("benchmark", min(done, tokenCount), of: tokenCount)
        }
        times.runs.append((ContinuousClock.now - start) / .seconds(1))
        return times
    }
}
