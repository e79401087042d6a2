public import Devices
internal import Formats
internal import Kernels

/// How much a ``BatchDecoder`` takes at once.
public struct BatchLimits: Sendable, Equatable {
    /// Rows of a pass, of all sequences together.
    public var rows: Int
    /// Sequences that have pages at the same time.
    public var sequences: Int
    /// Tokens of a sequence.
    public var length: Int
    /// Tokens of a page.
    public var pageRows: Int
    /// Pages of all sequences together.
    public var pageCount: Int
    /// How keys and values are kept.
    public var encoding: CacheEncoding

    /// Limits; unless `pageCount` says otherwise, there are pages for every sequence at its full length.
    public init(
        rows: Int,
        sequences: Int,
        length: Int,
        pageRows: Int = 16,
        pageCount: Int? = nil,
        encoding: CacheEncoding = .float32
    ) {
        self.rows = rows
        self.sequences = sequences
        self.length = length
        self.pageRows = pageRows
        self.pageCount = pageCount ?? sequences * ((length + pageRows - 1) / pageRows)
        self.encoding = encoding
    }

    /// Pages of a sequence at its full length.
    public var pagesPerSequence: Int { (length + pageRows - 1) / pageRows }

    func layout(_ configuration: ModelConfiguration) -> PageLayout {
        PageLayout(
            encoding: encoding,
            rows: pageRows,
            heads: configuration.keyValueHeadCount,
            dimension: configuration.headDimension
        )
    }

    /// Bytes that the pages of a model take.
    public func cacheByteCount(_ configuration: ModelConfiguration) -> Int {
        2 * configuration.layerCount * pageCount * layout(configuration).pageByteCount
    }
}

/// Rows of a pass: tokens of several sequences, in order of positions within each.
public struct Batch: Sendable, Equatable {
    /// Each row's token.
    public private(set) var tokens: [Int32] = []
    /// Each row's position in its sequence.
    public private(set) var positions: [Int32] = []
    /// Each row's sequence, by its place among those that have pages.
    public private(set) var sequences: [Int32] = []
    /// Rows whose logits are asked for.
    public private(set) var wanted: [Int] = []

    /// No rows.
    public init() {}

    /// Takes all rows out and keeps their memory.
    public mutating func removeAll() {
        tokens.removeAll(keepingCapacity: true)
        positions.removeAll(keepingCapacity: true)
        sequences.removeAll(keepingCapacity: true)
        wanted.removeAll(keepingCapacity: true)
    }

    /// Adds tokens of a sequence, the first at `position`; returns which of the logits asked for are of
    /// the last one, or nil if its are not.
    @discardableResult
    public mutating func append(
        _ tokens: some Collection<Int32>,
        at position: Int,
        of sequence: Int,
        wantsLogits: Bool
    ) -> Int? {
        for (index, token) in tokens.enumerated() {
            self.tokens.append(token)
            positions.append(Int32(position + index))
            sequences.append(Int32(sequence))
        }
        guard wantsLogits, !tokens.isEmpty else { return nil }
        wanted.append(self.tokens.count - 1)
        return wanted.count - 1
    }
}

/// Runs a model over rows of several sequences at once, whose keys and values lie in pages.
///
/// What a sequence's logits are depends on its own tokens alone, to the bit, where products of weights
/// do not depend on the number of rows: not on the sequences beside it, nor on how its tokens are spread
/// over passes. Which page belongs to whom is its caller's business. Not for concurrent use.
public final class BatchDecoder {
    /// What it takes at once.
    public let limits: BatchLimits

    private let pass: DecoderPass
    private let attention: PagedAttention
    private let head: OutputHead
    /// `[rows whose logits are asked for, hidden]`.
    private let hidden: DeviceTensor
    private let logits: DeviceTensor
    private let wantedLimit: Int
    /// The pages of each sequence, `[sequences, pages]`.
    private var tables: [Int32]

    /// The model's shape.
    public var configuration: ModelConfiguration { pass.configuration }

    /// Takes a model's weights as they are, inputs rounded as `activations` says; keys and values, too,
    /// before they are kept.
    ///
    /// - Throws: ``TransformerError`` (`invalidRecipe`) of activations that do not fit the model, of
    ///   inputs under a scale per tensor that is found as the model runs (what a sequence becomes would
    ///   depend on those beside it), of keys and values that the encoding cannot keep;
    ///   (`invalidConfiguration`) of lengths at which the model turns keys otherwise.
    public init(
        parameters: Parameters,
        activations: ActivationQuantization = .none,
        limits: BatchLimits,
        device: any ComputeDevice
    ) throws {
        let configuration = parameters.configuration
        try Self.check(configuration, activations, limits)
        self.limits = limits
        let weights = try LayerWeights(
            parameters: parameters,
            recipe: .none,
            activations: activations,
            device: device
        )
        attention = PagedAttention(
            configuration: configuration,
            limits: limits,
            scales: weights.cacheScales,
            device: device
        )
        pass = DecoderPass(
            weights: weights,
            attention: attention,
            rows: limits.rows,
            positions: limits.length,
            keeping: .none
        )
        head = OutputHead(configuration: configuration, device: device)
        wantedLimit = min(limits.rows, limits.sequences)
        hidden = device.tensor(rows: wantedLimit, columns: configuration.hiddenSize)
        logits = device.tensor(rows: wantedLimit, columns: configuration.vocabularySize)
        tables = Array(repeating: 0, count: limits.sequences * limits.pagesPerSequence)
    }

    private static func check(
        _ configuration: ModelConfiguration,
        _ activations: ActivationQuantization,
        _ limits: BatchLimits
    ) throws(TransformerError) {
        if let (name, input) = activations.inputs.sorted(by: { $0.key < $1.key }).first(where: {
            $0.value.scale == nil && $0.value.format.scaleKind.hasTensorScale
        }) {
            throw TransformerError(
                .invalidRecipe,
                """
                the inputs of \(name) are rounded to \(input.format.name) under a scale per tensor that \
                is found as the model runs, so that a text would depend on those beside it
                """
            )
        }
        guard configuration.headDimension % limits.encoding.granularity == 0 else {
            throw TransformerError(
                .invalidRecipe,
                """
                heads of \(configuration.headDimension) elements do not divide into blocks of \
                \(limits.encoding.granularity) of the key-value cache
                """
            )
        }
        let length = limits.length
        guard
            [configuration.rotary, configuration.localRotary ?? configuration.rotary]
                .allSatisfy({ $0.regime(length: 1) == $0.regime(length: length) })
        else {
            throw TransformerError(
                .invalidConfiguration,
                """
                sequences of \(length) tokens: the model turns keys otherwise where a text grows beyond \
                the length that it was first trained on; serve it up to that
                """
            )
        }
    }

    /// Makes `page` the one that holds a sequence's positions from `index` · ``BatchLimits/pageRows`` on.
    public func setPage(_ page: Int, at index: Int, of sequence: Int) {
        precondition(
            (0..<limits.pageCount).contains(page)
                && (0..<limits.pagesPerSequence).contains(index)
                && (0..<limits.sequences).contains(sequence),
            "page \(page) at \(index) of sequence \(sequence)"
        )
        tables[sequence * limits.pagesPerSequence + index] = Int32(page)
    }

    /// Runs rows, each of which has a page, and computes the logits asked for.
    ///
    /// - Precondition: No more rows, and logits asked for, than the limits allow; tokens are in the
    ///   vocabulary.
    public func run(_ batch: Batch) {
        let count = batch.tokens.count
        precondition(
            (1...limits.rows).contains(count) && batch.wanted.count <= wantedLimit,
            "a pass of \(count) rows, \(batch.wanted.count) of which want logits"
        )
        let vocabulary = Int32(configuration.vocabularySize)
        precondition(batch.tokens.allSatisfy { (0..<vocabulary).contains($0) }, "unknown tokens")
        attention.set(batch, tables: tables)
        batch.tokens.withUnsafeBufferPointer { tokens in
            if let start = tokens.baseAddress { pass.forward(start, rows: count) }
        }
        guard !batch.wanted.isEmpty else { return }
        for (index, row) in batch.wanted.enumerated() {
            pass.device.copy(pass.finalNorm.rows(row..<row + 1), to: hidden.rows(index..<index + 1))
        }
        head.logits(
            logits.first(batch.wanted.count),
            hidden: hidden.first(batch.wanted.count),
            weight: pass.weights.headOperand()
        )
    }

    /// Copies logits of the last pass, `[vocabulary]`; `index` counts those asked for.
    public func logits(_ index: Int, into values: UnsafeMutablePointer<Float>) {
        pass.device.download(logits.rows(index..<index + 1), into: values)
    }
}
