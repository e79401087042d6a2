internal import ComputeKit
internal import Foundation
internal import JobInputs
internal import JobSpecs
internal import ModelFiles
internal import ServiceKit
internal import Transformer

/// What a training reads: its texts, and the one that it is validated on.
struct TrainingTexts {
    /// Where training windows come from; one place that all come from, or one for each weight.
    private enum Source {
        case tokens([Int32], parts: [Range<Int>])
        case documents([CorpusDocuments], vocabularySize: Int)
    }

    private let source: Source
    /// Perplexities are of its windows from the beginning.
    let validation: any TokenText
    /// Whether tokens say themselves where documents end, and what of them is learned.
    let isMarked: Bool

    /// Texts in memory; they are validated on, too, where there is no other.
    ///
    /// `parts`: Those that windows are drawn from by weight; nil for all as one.
    init(training: [Int32], parts: [Range<Int>]?, validation: [Int32]?, isMarked: Bool) {
        source = .tokens(training, parts: parts ?? [training.indices])
        self.validation = validation ?? training
        self.isMarked = isMarked
    }

    /// Corpora, which stay where they are.
    ///
    /// Documents are those of the share that the job trains on, of a mixture the share of each corpus.
    /// Without validation corpora, and without a share for that, the training documents serve.
    ///
    /// - Throws: `ModelFileError`, naming the file and the place; `stopped` where that is asked for.
    init(
        corporaOf spec: TrainSpec,
        _ request: ComputeRequest,
        _ reporter: ComputeReporter,
        vocabularySize: Int
    ) throws {
        func open(_ names: [String], _ pointer: String, apart: Bool) throws -> [CorpusDocuments] {
            let paths = try TrainingPlan.paths(names, pointer, request)
            let corpora = try paths.map { try IndexedCorpus(path: $0) }
            return try apart
                ? corpora.map { try CorpusDocuments([$0]) } : [CorpusDocuments(corpora)]
        }
        let all = try open(spec.data.training, "/data/train", apart: spec.data.isMixture)
        let documents = all.map { $0.share(.training, of: spec.data.splits) }
        let validated =
            if !spec.data.validation.isEmpty {
                try open(spec.data.validation, "/data/validation", apart: false)
            } else if spec.data.validatesOnShare {
                all.map { $0.share(.validation, of: spec.data.splits) }
            } else {
                documents
            }
        reporter.log(
            """
            corpus: \(documents.text) to train on; \(validated.text) to validate on
            """
        )
        if !spec.data.skipsWarmUp {
            try Self.warmUp(documents, reporter, vocabularySize: vocabularySize)
        }
        isMarked = false
        source = .documents(documents, vocabularySize: vocabularySize)
        validation = CorpusText(validated, vocabularySize: vocabularySize)
    }

    /// Reads all tokens once.
    private static func warmUp(
        _ documents: [CorpusDocuments],
        _ reporter: ComputeReporter,
        vocabularySize: Int
    ) throws {
        let start = ContinuousClock.now
        let count = max(documents.reduce(0) { $0 + $1.tokenCount }, 1)
        var before = 0
        for part in documents {
            try part.check(vocabularySize: vocabularySize) { read in
                reporter.progress(phase: "warm-up \(100 * (before + read) / count) %")
                try reporter.checkStop()
            }
            before += part.tokenCount
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        reporter.log(String(format: "warm-up: %d tokens read in %.1f s", before, seconds))
    }

    /// The training texts from their beginning, one behind the other.
    var training: any TokenText {
        switch source {
        case .tokens(let tokens, _): tokens
        case .documents(let documents, let size):
            CorpusText(documents, vocabularySize: size)
        }
    }

    /// The windows of a run.
    ///
    /// - Throws: `TransformerError` or `ModelFileError` if there is none.
    func windows(_ plan: TrainingPlan) throws -> any TrainingWindows {
        switch source {
        case .tokens(let tokens, let parts):
            guard plan.spec.data.isMixture else {
                return try TextWindows(
                    tokens: tokens,
                    sampler: Self.sampler(plan, tokenCount: tokens.count)
                )
            }
            return try BlendedWindows(plan) { index, _ in
                try TextSource(
                    tokens: tokens[parts[index]],
                    sampler: Self.sampler(plan, tokenCount: parts[index].count)
                )
            }
        case .documents(let documents, let size):
            guard plan.spec.data.isMixture else {
                return try CorpusWindows(documents[0], plan, vocabularySize: size)
            }
            return try BlendedWindows(plan) { index, count in
                try CorpusSource(
                    order: SampleOrder(
                        documents[index],
                        length: plan.length,
                        samples: count,
                        seed: UInt32(truncatingIfNeeded: plan.seed)
                    ),
                    vocabularySize: size
                )
            }
        }
    }

    private static func sampler(
        _ plan: TrainingPlan,
        tokenCount: Int
    ) throws(TransformerError) -> WindowSampler {
        try WindowSampler(
            seed: plan.seed,
            tokenCount: tokenCount,
            length: plan.length,
            order: plan.sampling
        )
    }
}

extension [CorpusDocuments] {
    /// `5 documents, 1200 tokens`.
    fileprivate var text: String {
        let documents = reduce(0) { $0 + $1.range.count }
        return "\(documents) documents, \(reduce(0) { $0 + $1.tokenCount }) tokens"
    }
}
