public import JobSpecs
public import ModelFiles
internal import Transformer

// What a job asks of corpora in Megatron's indexed format.
extension InputCheck {
    /// Opens the corpora of a list; nil if one is not at hand, or there are none.
    mutating func corpora(_ count: Int, _ pointer: String) -> [IndexedCorpus]? {
        var found: [IndexedCorpus] = []
        for index in 0..<count {
            if let corpus = corpus("\(pointer)/\(index)") { found.append(corpus) }
        }
        return count > 0 && found.count == count ? found : nil
    }

    /// Checks the corpora of a training.
    mutating func corpora(_ spec: TrainSpec, _ windows: Windows, _ model: Model?) {
        let data = spec.data
        if let corpora = corpora(data.training.count, "/data/train"),
            let all = attempt("$.data.train", { try CorpusDocuments(corpora) })
        {
            let documents = all.share(.training, of: data.splits)
            let name =
                data.splits == nil ? "" : "the first share, \(Self.text(documents, of: all)), has "
            if tokens(documents, "$.data.train", model), let model,
                holdsWindow(documents, "$.data.train", label: name, windows)
            {
                batches(spec.trainer, documents.tokenCount / windows.length, windows)
                documentEnds(data, model) { documents.hasEnd($0) }
                order(spec, documents, model)
            }
            if data.validation.isEmpty { validation(spec, all, windows, model) }
        }
        if let corpora = corpora(data.validation.count, "/data/validation"),
            let documents = attempt("$.data.validation", { try CorpusDocuments(corpora) }),
            tokens(documents, "$.data.validation", model)
        {
            _ = holdsWindow(documents, "$.data.validation", windows)
        }
        if spec.calibrates { calibration(data, windows, model) }
    }

    /// Checks corpora that are calibrated on, one of which has to hold a window.
    mutating func calibration(_ data: DataOptions, _ windows: Windows, _ model: Model?) {
        guard let corpora = corpora(data.calibration.count, "/data/calibration") else { return }
        for (index, corpus) in corpora.enumerated() {
            let path = "$.data.calibration[\(index)]"
            guard let documents = attempt(path, { try CorpusDocuments([corpus]) }) else { continue }
            _ = tokens(documents, path, model)
        }
        let longest = corpora.map(\.tokenCount).max() ?? 0
        guard longest < windows.length else { return }
        problem(
            "$.data.calibration",
            "\(corpora.count == 1 ? "the corpus" : "the longest corpus") has "
                + Self.tooShort(longest, windows)
        )
    }

    /// Checks the share of a corpus that a training without a validation text is validated on.
    private mutating func validation(
        _ spec: TrainSpec,
        _ all: CorpusDocuments,
        _ windows: Windows,
        _ model: Model?
    ) {
        guard let splits = spec.data.splits, splits.validation > 0 else { return }
        let documents = all.share(.validation, of: splits)
        let path = "$.data.splits_string"
        let label = "the second share, \(Self.text(documents, of: all)), has "
        if holdsWindow(documents, path, label: label, windows) {
            _ = tokens(documents, path, model)
        }
    }

    /// Checks that the order of a run can be made, where the job alone says how long that is.
    private mutating func order(_ spec: TrainSpec, _ documents: CorpusDocuments, _ model: Model) {
        let size = spec.trainer.microBatchSize
        let wanted = size * spec.trainer.accumulatedBatches
        let perEpoch = documents.tokenCount / spec.data.sequenceLength
        let (epochs, isHuge) = max(perEpoch / wanted, 1)
            .multipliedReportingOverflow(by: spec.trainer.maximumEpochs)
        let steps = min(spec.trainer.maximumSteps ?? .max, isHuge ? .max : epochs)
        let (samples, isBeyond) = steps.multipliedReportingOverflow(by: wanted)
        let isCyclic = spec.data.loaderType == .cyclic
        _ = attempt("$.data.train") {
            try SampleOrder.check(
                documents,
                length: spec.data.sequenceLength,
                samples: isCyclic ? nil : isBeyond ? .max : samples
            )
        }
    }

    /// Checks that a model has a row for every token, where all are to be read.
    private mutating func tokens(
        _ documents: CorpusDocuments,
        _ path: String,
        _ model: Model?
    ) -> Bool {
        guard readsValues, let model else { return true }
        let size = model.configuration.vocabularySize
        return attempt(path) { try documents.check(vocabularySize: size) } != nil
    }

    private mutating func holdsWindow(
        _ documents: CorpusDocuments,
        _ path: String,
        label: String = "",
        _ windows: Windows
    ) -> Bool {
        guard documents.tokenCount < windows.length else { return true }
        let names = documents.corpora.map(\.name).prefix(8).joined(separator: ", ")
        problem(
            path,
            (label.isEmpty ? "\(names): " : label) + Self.tooShort(documents.tokenCount, windows)
        )
        return false
    }

    private static func tooShort(_ count: Int, _ windows: Windows) -> String {
        """
        \(count) tokens, fewer than one window of seq_length \(windows.length); take more documents\
        \(count < 2 ? "" : " or a seq_length of at most \(count)")
        """
    }

    private static func text(_ documents: CorpusDocuments, of all: CorpusDocuments) -> String {
        "\(documents.range.count) of \(all.range.count) documents"
    }
}

extension CorpusDocuments {
    /// The documents of a share; all where there are no shares.
    public func share(_ part: DataSplits.Part, of splits: DataSplits?) -> CorpusDocuments {
        guard let splits else { return self }
        return documents(splits.documents(of: part, count: range.count))
    }
}
