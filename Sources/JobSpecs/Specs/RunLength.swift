/// How many steps a training takes, and windows it sees, over a text.
///
/// Whoever asks gets the same answer: the training itself, the check of its inputs, and the size of what it keeps.
public struct RunLength: Sendable, Equatable {
    /// Windows of one step, of all devices together.
    public let windowsPerStep: Int
    /// Windows that the text holds end to end, however they are drawn, at least one; nil where the text is not
    /// known yet.
    public let windowsPerEpoch: Int?
    /// Steps of an epoch, at least one: a step is whole, and what is left of an epoch is in no step of it.
    ///
    /// `Int.max` where the text is not known yet.
    public let stepsPerEpoch: Int
    /// Steps of the run: what comes first of `max_epochs` and `max_steps`; `Int.max` where neither ends it yet.
    public let steps: Int

    /// Windows of all steps; `Int.max` for more than can be counted.
    public var windows: Int { Self.product(steps, windowsPerStep) }

    /// The length of a run over so many windows; nil for a text that is not known yet.
    public init(_ trainer: TrainerOptions, windowsPerEpoch count: Int?) {
        windowsPerStep = Self.product(trainer.microBatchSize, trainer.accumulatedBatches)
        windowsPerEpoch = count.map { max($0, 1) }
        let perStep = windowsPerStep
        stepsPerEpoch = windowsPerEpoch.map { max($0 / perStep, 1) } ?? .max
        let epochs = Self.product(stepsPerEpoch, trainer.maximumEpochs)
        steps = min(trainer.maximumSteps ?? .max, epochs)
    }

    private static func product(_ a: Int, _ b: Int) -> Int {
        let (product, isHuge) = a.multipliedReportingOverflow(by: b)
        return isHuge ? .max : product
    }
}

extension TrainSpec {
    /// The length of a run over a text of so many tokens; nil for a text that is not known yet.
    public func runLength(tokenCount: Int?) -> RunLength {
        RunLength(trainer, windowsPerEpoch: tokenCount.map { $0 / data.sequenceLength })
    }
}

extension TrainerOptions {
    /// The steps of a run whose text is not known yet; nil if that may end it.
    public var stepCount: Int? {
        maximumEpochs == Self.unlimitedEpochs ? maximumSteps : nil
    }
}
