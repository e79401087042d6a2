internal import JobSpecs
internal import ModelFiles
internal import Transformer

/// Windows that are drawn from several texts by weight, each from one of them.
struct BlendedWindows: TrainingWindows {
    /// One of the texts.
    protocol Source: Sendable {
        /// Copies the window that comes so many windows after the first that a run takes of this text.
        ///
        /// - Throws: What reading throws.
        func copy(_ window: Int, to target: UnsafeMutablePointer<Int32>) throws
    }

    private let order: BlendOrder
    private let sources: [any Source]
    private let length: Int

    /// The windows of a run.
    ///
    /// `source`: Makes the source of a weight, which is asked for at most so many windows.
    ///
    /// - Throws: What it throws; `ModelFileError` if the order would not fit into memory.
    init(_ plan: TrainingPlan, source: (_ index: Int, _ count: Int) throws -> any Source) throws {
        let weights = plan.spec.data.trainingWeights
        let count = plan.totalSteps * plan.batchSize * plan.accumulation
        order = try BlendOrder(weights: weights, count: count)
        sources = try BlendOrder.sampleCounts(weights: weights, count: count).enumerated()
            .map { try source($0.offset, $0.element) }
        length = plan.length
    }

    func copy(step: Int, count: Int, to batch: UnsafeMutablePointer<Int32>) throws {
        for index in 0..<count {
            let window = step * count + index
            try sources[Int(order.sources[window])].copy(
                Int(order.places[window]),
                to: batch + index * length
            )
        }
    }
}

/// Windows of one text in memory, drawn by the numbers of windows.
struct TextSource: BlendedWindows.Source {
    let tokens: ArraySlice<Int32>
    let sampler: WindowSampler

    func copy(_ window: Int, to target: UnsafeMutablePointer<Int32>) {
        tokens.withUnsafeBufferPointer { sampler.fill(target, count: 1, step: window, from: $0) }
    }
}

/// Windows of one corpus, in its own order.
struct CorpusSource: BlendedWindows.Source {
    let order: SampleOrder
    let vocabularySize: Int

    func copy(_ window: Int, to target: UnsafeMutablePointer<Int32>) throws {
        try order.copy(window, to: target, vocabularySize: vocabularySize)
    }
}
