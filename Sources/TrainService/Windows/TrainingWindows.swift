internal import JobSpecs
internal import ModelFiles
internal import Synchronization
internal import Transformer

/// The windows of a training, which depend on the step alone: a run that resumes sees what an
/// uninterrupted one would.
///
/// Several threads may ask at once.
protocol TrainingWindows: Sendable {
    /// Copies the windows of a step, `[count, length]` row-major.
    ///
    /// - Throws: What reading throws.
    func copy(step: Int, count: Int, to batch: UnsafeMutablePointer<Int32>) throws
}

/// Windows of a text in memory.
struct TextWindows: TrainingWindows {
    let tokens: [Int32]
    let sampler: WindowSampler

    func copy(step: Int, count: Int, to batch: UnsafeMutablePointer<Int32>) {
        tokens.withUnsafeBufferPointer {
            sampler.fill(batch, count: count, step: step, from: $0)
        }
    }
}

/// Windows of a corpus's documents, in the order of Megatron's loaders.
final class CorpusWindows: TrainingWindows {
    /// An epoch's order.
    private struct Epoch {
        let number: Int
        let order: [Int32]
    }

    private let order: SampleOrder
    /// Of a loader that begins anew; nil of one that goes through once.
    private let cycle: CyclicOrder?
    private let vocabularySize: Int
    /// The latest epochs that were asked for: threads that read ahead are in two of them at a border.
    private let epochs = Mutex<[Epoch]>([])

    /// The windows of a run.
    ///
    /// - Throws: `ModelFileError`.
    init(
        _ documents: CorpusDocuments,
        _ plan: TrainingPlan,
        vocabularySize: Int
    ) throws(ModelFileError) {
        let perStep = plan.batchSize * plan.accumulation
        let isCyclic = plan.loaderType == .cyclic
        order = try SampleOrder(
            documents,
            length: plan.length,
            samples: isCyclic ? nil : plan.totalSteps * perStep,
            seed: UInt32(truncatingIfNeeded: plan.seed)
        )
        cycle = isCyclic ? CyclicOrder(windows: order.count, batch: plan.batchSize) : nil
        self.vocabularySize = vocabularySize
    }

    func copy(step: Int, count: Int, to batch: UnsafeMutablePointer<Int32>) throws {
        for index in 0..<count {
            try order.copy(
                place(of: step * count + index),
                to: batch + index * order.length,
                vocabularySize: vocabularySize
            )
        }
    }

    /// Where the order has the window that comes so many windows after the run's first.
    private func place(of window: Int) -> Int {
        guard let cycle else { return window }
        let (epoch, place) = window.quotientAndRemainder(dividingBy: cycle.count)
        return epochs.withLock { epochs in
            if let known = epochs.first(where: { $0.number == epoch }) {
                return Int(known.order[place])
            }
            let new = Epoch(number: epoch, order: cycle.epoch(epoch))
            epochs = epochs.suffix(1) + [new]
            return Int(new.order[place])
        }
    }
}
