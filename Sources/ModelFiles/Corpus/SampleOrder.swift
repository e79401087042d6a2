/// The windows of a corpus in the order of Megatron-Core's `GPTDataset`, to the number.
///
/// Documents are shuffled, those of all epochs together; their tokens, one document behind the other, are
/// cut into windows end to end; windows are shuffled. Where the last epoch is needed for less than four
/// fifths, its documents and windows are shuffled by themselves and come last. A window has exactly the
/// tokens that are asked for: `add_extra_token_to_sequence` is false.
///
/// - SeeAlso: Megatron-Core 0.16, `megatron/core/datasets/gpt_dataset.py`,
///   `_build_document_sample_shuffle_indices`.
public struct SampleOrder: Sendable {
    /// Windows, at least as many as were asked for.
    public let count: Int
    /// Times that each document is read; windows that are never asked for included.
    public let epochs: Int
    /// Tokens of a window.
    public let length: Int
    private let documents: CorpusDocuments
    /// Documents as they are read.
    private let order: [Int32]
    /// Windows as they are read.
    private let shuffled: [Int32]
    /// Where each window begins: the place in `order`, and the tokens of that document before it.
    private let starts: [(place: Int32, offset: Int32)]

    /// Entries of an index: half a gigabyte of documents, a gigabyte of windows.
    private static let limit = 1 << 27
    /// What of the last epoch's windows has to be needed for it to be mixed with those before.
    private static let threshold = 0.80

    /// The order of a run.
    ///
    /// - Parameters:
    ///   - documents: What is read.
    ///   - length: Tokens of a window, at least 2.
    ///   - samples: Windows that the run takes; nil for one epoch, however many that are.
    ///   - seed: Of both shuffles.
    /// - Throws: ``ModelFileError`` (`tooShort`) if there is no window in an epoch, (`unsupported`) if the
    ///   order would not fit into memory.
    public init(
        _ documents: CorpusDocuments,
        length: Int,
        samples: Int?,
        seed: UInt32
    ) throws(ModelFileError) {
        let perEpoch = documents.tokenCount
        let epochs = try Self.epochs(documents, length: length, samples: samples)
        count = epochs * perEpoch / length
        self.epochs = epochs
        self.length = length
        self.documents = documents
        let earlier = (epochs - 1) * perEpoch / length
        let isSeparate =
            epochs > 1
            && (samples ?? 0) - earlier < Int(Self.threshold * Double(perEpoch / length))
        var generator = MersenneTwister(seed: seed)
        order = Self.documents(documents.range, epochs, isSeparate, &generator)
        starts = Self.starts(of: count, order, documents, length)
        var shuffled = Array(0..<Int32(count))
        let border = isSeparate ? earlier : count
        generator.shuffle(&shuffled[..<border])
        // An empty rest would draw nothing.
        generator.shuffle(&shuffled[border...])
        self.shuffled = shuffled
    }

    /// Copies a window, by its place in the order.
    ///
    /// `target`: Room for ``length`` tokens.
    ///
    /// - Throws: ``ModelFileError`` (`malformed`) for a token that the model has no row for, with its place.
    public func copy(
        _ number: Int,
        to target: UnsafeMutablePointer<Int32>,
        vocabularySize: Int
    ) throws(ModelFileError) {
        let start = starts[Int(shuffled[number])]
        var (place, offset) = (Int(start.place), Int(start.offset))
        var done = 0
        while done < length {
            let document = Int(order[place])
            let part = min(documents.length(of: document) - offset, length - done)
            try documents.copy(
                offset..<offset + part,
                of: document,
                to: target + done,
                vocabularySize: vocabularySize
            )
            done += part
            (place, offset) = (place + 1, 0)
        }
    }

    /// Checks that the order of a run can be made.
    ///
    /// - Throws: As ``init(_:length:samples:seed:)``.
    public static func check(
        _ documents: CorpusDocuments,
        length: Int,
        samples: Int?
    ) throws(ModelFileError) {
        _ = try epochs(documents, length: length, samples: samples)
    }

    private static func epochs(
        _ documents: CorpusDocuments,
        length: Int,
        samples: Int?
    ) throws(ModelFileError) -> Int {
        let perEpoch = documents.tokenCount
        guard length > 1, perEpoch >= length else {
            throw ModelFileError(
                .tooShort,
                "the documents have \(perEpoch) tokens; one window takes \(max(length, 2))"
            )
        }
        let (wanted, isHuge) = (samples ?? 1).multipliedReportingOverflow(by: length)
        // Rounded up, and at least one.
        let epochs = isHuge ? .max : max((wanted - 1) / perEpoch + 1, 1)
        let (entries, hasMany) = epochs.multipliedReportingOverflow(by: documents.range.count)
        let (tokens, hasMore) = epochs.multipliedReportingOverflow(by: perEpoch)
        guard !hasMany, !hasMore, entries <= limit, tokens / length <= limit else {
            throw ModelFileError(
                .unsupported,
                """
                the order of \(samples ?? perEpoch / length) windows over \(documents.range.count) documents \
                of \(perEpoch) tokens takes more than \(limit) entries; train for fewer steps, or join short \
                documents
                """
            )
        }
        return epochs
    }

    private static func documents(
        _ range: Range<Int>,
        _ epochs: Int,
        _ isSeparate: Bool,
        _ generator: inout MersenneTwister
    ) -> [Int32] {
        let once = range.map { Int32($0) }
        var order: [Int32] = []
        order.reserveCapacity(epochs * once.count)
        for _ in 0..<epochs { order += once }
        let border = isSeparate ? (epochs - 1) * once.count : order.count
        generator.shuffle(&order[..<border])
        generator.shuffle(&order[border...])
        return order
    }

    private static func starts(
        of count: Int,
        _ order: [Int32],
        _ documents: CorpusDocuments,
        _ length: Int
    ) -> [(place: Int32, offset: Int32)] {
        var starts: [(place: Int32, offset: Int32)] = []
        starts.reserveCapacity(count)
        /// Tokens before the document at hand.
        var before = 0
        for (place, document) in order.enumerated() {
            let end = before + documents.length(of: Int(document))
            while starts.count < count, starts.count * length < end {
                starts.append((Int32(place), Int32(starts.count * length - before)))
            }
            before = end
        }
        return starts
    }
}

/// Windows of an order again and again, in another order each epoch: Megatron's `cyclic` loader.
///
/// What fills no micro-batch at an epoch's end is left out. The order of an epoch is `torch.randperm` by a
/// generator with the epoch's number as its seed; the job's seed is in the order that is permuted.
///
/// - SeeAlso: Megatron-LM, `megatron/training/datasets/data_samplers.py`,
///   `MegatronPretrainingRandomSampler`.
public struct CyclicOrder: Sendable {
    /// Windows of an epoch.
    public let count: Int

    /// An order of `windows` windows, a multiple of `batch` of them an epoch.
    ///
    /// - Precondition: There is a batch.
    public init(windows: Int, batch: Int) {
        precondition(batch > 0 && windows >= batch, "CyclicOrder: \(windows) windows in \(batch)")
        count = windows / batch * batch
    }

    /// The order of an epoch, counted from 0.
    public func epoch(_ number: Int) -> [Int32] {
        var generator = MersenneTwister(seed: UInt32(truncatingIfNeeded: number))
        return generator.permutation(count)
    }
}
