internal import ComputeKit
internal import Foundation
internal import JobInputs
internal import JobSpecs
internal import ModelFiles
internal import ServiceKit
internal import Transformer

/// What a training reads: its text, and the one that it is validated on.
struct TrainingTexts {
    /// Where training windows come from.
    private enum Source {
        case tokens([Int32])
        case documents(CorpusDocuments, vocabularySize: Int)
    }

    private let source: Source
    /// Perplexities are of its windows from the beginning.
    let validation: any TokenText
    /// Whether tokens say themselves where documents end, and what of them is learned.
    let isMarked: Bool

    /// A text in memory; it is validated on, too, where there is no other.
    init(training: [Int32], validation: [Int32]?, isMarked: Bool) {
        source = .tokens(training)
        self.validation = validation ?? training
        self.isMarked = isMarked
    }

    /// Corpora, which stay where they are.
    ///
    /// Documents are those of the share that the job trains on. Without validation corpora, and without
    /// a share for that, the training documents serve.
    ///
    /// - Throws: `ModelFileError`, naming the file and the place; `stopped` where that is asked for.
    init(
        corporaOf spec: TrainSpec,
        _ request: ComputeRequest,
        _ reporter: ComputeReporter,
        vocabularySize: Int
    ) throws {
        func open(_ names: [String], _ pointer: String) throws -> CorpusDocuments {
            let paths = try TrainingPlan.paths(names, pointer, request)
            return try CorpusDocuments(paths.map { try IndexedCorpus(path: $0) })
        }
        let all = try open(spec.data.training, "/data/train")
        let documents = all.share(.training, of: spec.data.splits)
        let validated =
            if !spec.data.validation.isEmpty {
                try open(spec.data.validation, "/data/validation")
            } else if spec.data.validatesOnShare {
                all.share(.validation, of: spec.data.splits)
            } else {
                documents
            }
        reporter.log(
            """
            corpus: \(documents.range.count) documents, \(documents.tokenCount) tokens to train on; \
            \(validated.range.count) documents, \(validated.tokenCount) tokens to validate on
            """
        )
        if !spec.data.skipsWarmUp {
            let start = ContinuousClock.now
            let count = max(documents.tokenCount, 1)
            try documents.check(vocabularySize: vocabularySize) { read in
                reporter.progress(phase: "warm-up \(100 * read / count) %")
                try reporter.checkStop()
            }
            let seconds = (ContinuousClock.now - start) / .seconds(1)
            reporter.log(
                String(format: "warm-up: %d tokens read in %.1f s", documents.tokenCount, seconds)
            )
        }
        isMarked = false
        source = .documents(documents, vocabularySize: vocabularySize)
        validation = CorpusText(validated, vocabularySize: vocabularySize)
    }

    /// The training text from its beginning.
    var training: any TokenText {
        switch source {
        case .tokens(let tokens): tokens
        case .documents(let documents, let size):
            CorpusText(documents, vocabularySize: size)
        }
    }

    /// The windows of a run.
    ///
    /// - Throws: `TransformerError` or `ModelFileError` if there is none.
    func windows(_ plan: TrainingPlan) throws -> any TrainingWindows {
        switch source {
        case .tokens(let tokens):
            try TextWindows(
                tokens: tokens,
                sampler: WindowSampler(
                    seed: plan.seed,
                    tokenCount: tokens.count,
                    length: plan.length,
                    order: plan.sampling
                )
            )
        case .documents(let documents, let size):
            try CorpusWindows(documents, plan, vocabularySize: size)
        }
    }
}
