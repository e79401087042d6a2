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
        if let corpora = corpora(data.training.count, "/data/train") {
            training(corpora, spec, windows, model)
        }
        if let corpora = corpora(data.validation.count, "/data/validation"),
            let documents = attempt("$.data.validation", { try CorpusDocuments(corpora) }),
            tokens(documents, "$.data.validation", model)
        {
            if holdsWindow(documents, "$.data.validation", windows) {
                validatedTargets([documents], "$.data.validation", spec, windows, model)
            }
        }
        if spec.calibrates { calibration(data, windows, model) }
    }

    /// Checks what a training reads its windows from: all corpora as one, or each of a mixture.
    private mutating func training(
        _ corpora: [IndexedCorpus],
        _ spec: TrainSpec,
        _ windows: Windows,
        _ model: Model?
    ) {
        let data = spec.data
        let sets = data.isMixture ? corpora.map { [$0] } : [corpora]
        var opened: [CorpusDocuments] = []
        var parts: [(path: String, documents: CorpusDocuments)] = []
        for (index, set) in sets.enumerated() {
            let path = data.isMixture ? "$.data.train[\(index)]" : "$.data.train"
            guard let all = attempt(path, { try CorpusDocuments(set) }) else { continue }
            opened.append(all)
            let documents = all.share(.training, of: data.splits)
            let name =
                data.splits == nil ? "" : "the first share, \(Self.text(documents, of: all)), has "
            if tokens(documents, path, model), model != nil,
                holdsWindow(documents, path, label: name, windows)
            {
                parts.append((path, documents))
            }
        }
        if opened.count == sets.count { validation(spec, opened, windows, model) }
        guard let model, parts.count == sets.count else { return }
        let tokenCount = parts.reduce(0) { $0 + $1.documents.tokenCount }
        batches(spec.trainer, tokenCount / windows.length, windows)
        documentEnds(data, model) { end in parts.contains { $0.documents.hasEnd(end) } }
        innerEnds(parts, data, model)
        for part in parts {
            targets([part.documents], part.path, data, length: windows.length, model)
        }
        if data.validation.isEmpty, !data.validatesOnShare {
            validatedTargets(parts.map(\.documents), "$.data.train", spec, windows, model)
        }
        guard let samples = mixture(spec, windowsPerEpoch: tokenCount / windows.length) else {
            return
        }
        for (part, count) in zip(parts, samples) {
            _ = attempt(part.path) {
                try SampleOrder.check(part.documents, length: windows.length, samples: count)
            }
        }
    }

    /// Checks that a run's order of a mixture can be made; `windowsPerEpoch` is nil where only all tokens would
    /// say it.
    ///
    /// - Returns: The windows that the order of each source is made of, nil being one epoch of it; nil if
    ///   there is no order.
    mutating func mixture(_ spec: TrainSpec, windowsPerEpoch: Int?) -> [Int?]? {
        let samples = RunLength(spec.trainer, windowsPerEpoch: windowsPerEpoch).windows
        guard spec.data.isMixture else {
            return [spec.data.loaderType == .cyclic ? nil : samples]
        }
        let weights = spec.data.trainingWeights
        let fits: Void? = attempt("$.data.train_weights") {
            try BlendOrder.check(sources: weights.count, count: samples)
        }
        guard fits != nil else { return nil }
        let shares = BlendOrder.shares(weights)
        for index in weights.indices where shares[index] * Double(samples) < 1 {
            remark(
                "$.data.train_weights[\(index)]",
                """
                its share of the run's \(samples) windows is less than one: \
                \(spec.data.training[index]) may not be read at all
                """
            )
        }
        return BlendOrder.sampleCounts(weights: weights, count: samples)
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

    /// Checks the shares that a training without a validation text is validated on: they are read as one text, those
    /// of a mixture, too.
    private mutating func validation(
        _ spec: TrainSpec,
        _ sets: [CorpusDocuments],
        _ windows: Windows,
        _ model: Model?
    ) {
        let data = spec.data
        guard data.validatesOnShare else { return }
        let shares = sets.map { $0.share(.validation, of: data.splits) }
        let path = "$.data.splits_string"
        let tokenCount = shares.reduce(0) { $0 + $1.tokenCount }
        guard tokenCount >= windows.length else {
            let counts = [shares, sets].map { $0.reduce(0) { $0 + $1.range.count } }
            let name = shares.count > 1 ? "the second shares of all corpora" : "the second share"
            let verb = shares.count > 1 ? "have" : "has"
            problem(
                path,
                "\(name), \(counts[0]) of \(counts[1]) documents, \(verb) "
                    + Self.tooShort(tokenCount, windows)
            )
            return
        }
        for share in shares {
            guard tokens(share, path, model) else { return }
        }
        validatedTargets(shares, path, spec, windows, model)
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
