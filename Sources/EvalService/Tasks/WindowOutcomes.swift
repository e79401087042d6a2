internal import JobSpecs
internal import Kernels
internal import Questions
internal import ServiceKit
internal import Transformer

/// What a model comes to on windows of a text.
struct MeasuredWindows {
    /// Of each window with targets.
    let sums: [LossSum]
    /// The same for the same tokens in this process, hardly ever for others: models with another tokenizer read
    /// other windows.
    let text: Int
}

/// What models come to on the same windows of a text: one measurement each, and how they compare.
struct WindowOutcomes {
    /// What is measured of a window's sums.
    enum Figure {
        case perplexity
        case accuracy

        var task: EvaluateSpec.TaskType {
            switch self {
            case .perplexity: .perplexity
            case .accuracy: .accuracy
            }
        }

        var name: Measurement.Name {
            switch self {
            case .perplexity: .perplexity
            case .accuracy: .accuracy
            }
        }
    }

    private let figure: Figure
    private let index: Int
    private let text: String
    private let seed: UInt64
    /// In the order of runs.
    private var models: [(label: String, windows: MeasuredWindows, measurement: Measurement)] = []

    /// `index`: The task's place; `text`: as the job names it; `seed`: of the draws.
    init(_ figure: Figure, index: Int, text: String, seed: UInt64) {
        self.figure = figure
        self.index = index
        self.text = text
        self.seed = seed
    }

    /// Takes what a model came to, and returns its measurement.
    mutating func add(_ label: String, _ windows: MeasuredWindows) -> Measurement {
        let result = PerplexityResult(windows.sums)
        let (value, interval) =
            switch figure {
            case .perplexity: (result.perplexity, result.confidenceInterval)
            case .accuracy: (result.accuracy, result.accuracyInterval)
            }
        let measurement = Measurement(
            task: figure.task,
            index: index,
            text: text,
            name: figure.name,
            value: value,
            interval: interval,
            count: result.windowCount
        )
        models.append((label, windows, measurement))
        return measurement
    }

    /// Each model but the first of `labels` beside the first, in their order; not of models with other tokens,
    /// whose windows hold other texts.
    func comparisons(of labels: [String]) -> [Comparison] {
        let ordered = labels.compactMap { label in models.first { $0.label == label } }
        guard let first = ordered.first else { return [] }
        return ordered.dropFirst().compactMap { model in
            guard model.windows.text == first.windows.text else { return nil }
            let windows = zip(model.windows.sums, first.windows.sums).map { own, reference in
                switch figure {
                case .perplexity:
                    WindowComparison.Window(
                        own: own.loss,
                        reference: reference.loss,
                        targets: own.rows
                    )
                case .accuracy:
                    WindowComparison.Window(
                        own: Double(own.correct),
                        reference: Double(reference.correct),
                        targets: own.rows
                    )
                }
            }
            let found = WindowComparison(
                windows,
                figure == .perplexity ? .exponential : .mean,
                seed: seed
            )
            return Comparison(
                model.measurement,
                label: model.label,
                reference: first.label,
                found
            )
        }
    }
}
