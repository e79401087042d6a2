internal import Formats
internal import Kernels

extension CPUDevice {
    /// Split over the team by rows.
    public func store(_ source: DeviceTensor, of batch: PagedBatch, in pages: PagedRows) {
        let layout = pages.layout
        precondition(
            source.columns == layout.heads * layout.dimension && source.rows >= batch.rows,
            "store: \(source.rows) rows of \(source.columns)"
        )
        let store = PageCodec(pages)
        let index = PageIndex(batch)
        let values = source.floats
        let scratch = pageCodes.reserve(team.threadCount * layout.dimension)
        let share = (batch.rows + team.threadCount - 1) / team.threadCount
        team.parallel { thread in
            let codes = scratch + thread * layout.dimension
            for row in min(thread * share, batch.rows)..<min((thread + 1) * share, batch.rows) {
                let (page, place) = index.place(of: row, layout.rows)
                for head in 0..<layout.heads {
                    store.encode(
                        values + row * source.columns + head * layout.dimension,
                        page: page,
                        head: head,
                        row: place,
                        codes: codes
                    )
                }
            }
        }
    }

    /// Split over the team by runs of rows and heads.
    ///
    /// Kept per thread are the scores of a run and a page as floats.
    public func attend(
        _ attention: PagedAttentionOperation,
        query: DeviceTensor,
        keys: PagedRows,
        values: PagedRows,
        into output: DeviceTensor
    ) {
        let layout = keys.layout
        precondition(
            values.layout == layout && query.columns == output.columns
                && query.columns % (layout.heads * layout.dimension) == 0
                && query.rows >= attention.batch.rows && output.rows >= attention.batch.rows,
            "attend: pages that do not fit \(query.rows) queries of \(query.columns)"
        )
        let heads = PagedHeads(attention, query, PageCodec(keys), PageCodec(values), output)
        let runs = pageRuns.reserve(attention.batch.rows + 1)
        let runCount = heads.findRuns(runs)
        // A run's page is decoded once for the heads that share it, unless threads would be idle then.
        let isSplit = runCount * layout.heads < 4 * team.threadCount
        let parts = isSplit ? heads.group : 1
        let units = runCount * layout.heads * parts
        let scores = scores.reserve(team.threadCount * heads.scoreCount)
        let page = pageFloats.reserve(team.threadCount * layout.rows * layout.dimension)
        let codes = pageCodes.reserve(team.threadCount * layout.rows * layout.dimension)
        let share = (units + team.threadCount - 1) / team.threadCount
        team.parallel { thread in
            let work = PagedHeads.Work(
                scores: scores + thread * heads.scoreCount,
                page: page + thread * layout.rows * layout.dimension,
                codes: codes + thread * layout.rows * layout.dimension
            )
            for unit in min(thread * share, units)..<min((thread + 1) * share, units) {
                let (run, rest) = unit.quotientAndRemainder(dividingBy: layout.heads * parts)
                let (head, part) = rest.quotientAndRemainder(dividingBy: parts)
                let first = head * heads.group
                heads.attend(
                    rows: Int(runs[run])..<Int(runs[run + 1]),
                    keyHead: head,
                    queryHeads: isSplit
                        ? first + part..<first + part + 1
                        : first..<first + heads.group,
                    work
                )
            }
        }
    }
}

/// Where rows of a pass have their keys and values.
private struct PageIndex {
    private let positions: UnsafePointer<Int32>
    private let sequences: UnsafePointer<Int32>
    private let tables: UnsafePointer<Int32>
    private let pagesPerSequence: Int

    init(_ batch: PagedBatch) {
        positions = UnsafePointer(batch.positions.tokens)
        sequences = UnsafePointer(batch.sequences.tokens)
        tables = UnsafePointer(batch.tables.tokens)
        pagesPerSequence = batch.tables.columns
    }

    func position(of row: Int) -> Int { Int(positions[row]) }
    func sequence(of row: Int) -> Int { Int(sequences[row]) }
    /// The page that holds positions from `index · rows` on.
    func page(_ index: Int, of sequence: Int) -> Int {
        Int(tables[sequence * pagesPerSequence + index])
    }

    /// A row's page, and its place there.
    func place(of row: Int, _ pageRows: Int) -> (page: Int, row: Int) {
        let (index, place) = position(of: row).quotientAndRemainder(dividingBy: pageRows)
        return (page(index, of: sequence(of: row)), place)
    }
}

/// Between floats and what pages hold, in the host's memory.
private struct PageCodec {
    let layout: PageLayout
    private let start: UnsafeMutablePointer<UInt8>
    private let storage: BlockStorage?
    private let blockSize: Int

    init(_ pages: PagedRows) {
        layout = pages.layout
        start = pages.pages.bytes
        guard case .quantized(let format) = layout.encoding else {
            storage = nil
            blockSize = 0
            return
        }
        storage = BlockStorage(format: format, globalScale: pages.scale)
        blockSize = format.scaleKind.hasBlocks ? format.blockSize : layout.dimension
    }

    private func page(_ index: Int) -> UnsafeMutablePointer<UInt8> {
        start + index * layout.pageByteCount
    }

    /// Keeps one head of a position; `codes` has room for a byte per element.
    func encode(
        _ source: UnsafePointer<Float>,
        page index: Int,
        head: Int,
        row: Int,
        codes: UnsafeMutablePointer<UInt8>
    ) {
        let page = page(index)
        let target = page + layout.codes(head: head, row: row)
        let count = layout.dimension
        guard let storage else {
            target.withMemoryRebound(to: UInt16.self, capacity: 2 * count) { halves in
                if case .bfloat16 = layout.encoding {
                    HalfConversion.narrow(source, into: halves, count: count)
                } else {
                    UnsafeMutableRawPointer(halves).copyMemory(from: source, byteCount: 4 * count)
                }
            }
            return
        }
        QuantizeKernels.quantize(
            codes: codes,
            scales: page + layout.scales(head: head, row: row),
            source,
            count: count,
            blockSize: blockSize,
            storage: storage
        )
        QuantizeKernels.pack(
            target,
            codes: codes,
            count: count,
            codeBits: storage.format.element.bitWidth
        )
    }

    /// A head's first `rows` positions of a page as floats, row by row: where they lie, or in `floats`.
    func decode(
        page index: Int,
        head: Int,
        rows: Int,
        floats: UnsafeMutablePointer<Float>,
        codes: UnsafeMutablePointer<UInt8>
    ) -> UnsafePointer<Float> {
        let page = page(index)
        let source = page + layout.codes(head: head, row: 0)
        let count = rows * layout.dimension
        guard let storage else {
            let raw = UnsafeRawPointer(source)
            if case .float32 = layout.encoding { return raw.assumingMemoryBound(to: Float.self) }
            HalfConversion.widen(
                raw.assumingMemoryBound(to: UInt16.self),
                into: floats,
                count: count
            )
            return UnsafePointer(floats)
        }
        QuantizeKernels.unpack(
            codes,
            packed: source,
            count: count,
            codeBits: storage.format.element.bitWidth
        )
        QuantizeKernels.dequantize(
            floats,
            codes: codes,
            scales: page + layout.scales(head: head, row: 0),
            count: count,
            blockSize: blockSize,
            storage: storage
        )
        return UnsafePointer(floats)
    }
}

/// Heads of attention over pages.
private struct PagedHeads {
    /// A thread's memory.
    struct Work {
        let scores: UnsafeMutablePointer<Float>
        /// A head of a page.
        let page: UnsafeMutablePointer<Float>
        let codes: UnsafeMutablePointer<UInt8>
    }

    /// Rows that share a decoded page, at most.
    private static let runRows = 8

    /// Query heads per key head.
    let group: Int
    private let rowCount: Int
    private let index: PageIndex
    private let scores: AttentionScores
    private let keys: PageCodec
    private let values: PageCodec
    private let query: UnsafeMutablePointer<Float>
    private let output: UnsafeMutablePointer<Float>
    private let width: Int
    /// Scores of a query head: a place for each position.
    private let scoreWidth: Int

    private var layout: PageLayout { keys.layout }

    init(
        _ attention: PagedAttentionOperation,
        _ query: DeviceTensor,
        _ keys: PageCodec,
        _ values: PageCodec,
        _ output: DeviceTensor
    ) {
        rowCount = attention.batch.rows
        index = PageIndex(attention.batch)
        scores = attention.scores
        (self.keys, self.values) = (keys, values)
        (self.query, self.output) = (query.floats, output.floats)
        width = query.columns
        group = width / (keys.layout.heads * keys.layout.dimension)
        scoreWidth = attention.batch.lastPosition + 1
    }

    /// Floats of a thread's scores.
    var scoreCount: Int { min(Self.runRows, rowCount) * group * scoreWidth }

    /// Writes where runs of rows of one sequence begin, and behind them the number of rows; returns how
    /// many runs there are.
    func findRuns(_ starts: UnsafeMutablePointer<Int32>) -> Int {
        var count = 0
        var first = 0
        for row in 0...rowCount {
            let isOver =
                row == rowCount || row - first == Self.runRows
                || index.sequence(of: row) != index.sequence(of: first)
            guard isOver, row > first else { continue }
            starts[count] = Int32(first)
            count += 1
            first = row
        }
        starts[count] = Int32(rowCount)
        return count
    }

    func attend(rows: Range<Int>, keyHead: Int, queryHeads: Range<Int>, _ work: Work) {
        let sequence = index.sequence(of: rows.lowerBound)
        let firstSeen = scores.firstVisible(from: index.position(of: rows.lowerBound))
        let last = index.position(of: rows.upperBound - 1)
        let pages = firstSeen / layout.rows...last / layout.rows
        func line(_ row: Int, _ head: Int) -> UnsafeMutablePointer<Float> {
            let place = (row - rows.lowerBound) * queryHeads.count + head - queryHeads.lowerBound
            return work.scores + place * scoreWidth
        }
        func forEachPage(
            of cache: PageCodec,
            _ body: (_ first: Int, _ floats: UnsafePointer<Float>) -> Void
        ) {
            for page in pages {
                let first = page * layout.rows
                let floats = cache.decode(
                    page: index.page(page, of: sequence),
                    head: keyHead,
                    rows: min(layout.rows, last + 1 - first),
                    floats: work.page,
                    codes: work.codes
                )
                body(first, floats)
            }
        }
        forEachPage(of: keys) { first, key in
            forEachLine(rows, queryHeads, first) { row, head, seen in
                CachedAttentionKernels.scores(
                    line(row, head) + first + seen.lowerBound,
                    query: query + row * width + head * layout.dimension,
                    keys: key + seen.lowerBound * layout.dimension,
                    count: seen.count,
                    dimension: layout.dimension
                )
            }
        }
        for row in rows {
            for head in queryHeads {
                weigh(line(row, head), position: index.position(of: row))
                (output + row * width + head * layout.dimension)
                    .update(repeating: 0, count: layout.dimension)
            }
        }
        forEachPage(of: values) { first, value in
            forEachLine(rows, queryHeads, first) { row, head, seen in
                CachedAttentionKernels.mix(
                    into: output + row * width + head * layout.dimension,
                    weights: line(row, head) + first + seen.lowerBound,
                    values: value + seen.lowerBound * layout.dimension,
                    count: seen.count,
                    dimension: layout.dimension
                )
            }
        }
    }

    /// Hands out each row and head that sees something of the page that begins at position `first`, and
    /// what it sees, counted from there.
    private func forEachLine(
        _ rows: Range<Int>,
        _ queryHeads: Range<Int>,
        _ first: Int,
        _ body: (_ row: Int, _ head: Int, _ seen: Range<Int>) -> Void
    ) {
        for row in rows {
            let position = index.position(of: row)
            let from = max(scores.firstVisible(from: position) - first, 0)
            let end = min(position + 1 - first, layout.rows)
            guard from < end else { continue }
            for head in queryHeads { body(row, head, from..<end) }
        }
    }

    /// Scores of a query become probabilities.
    private func weigh(_ line: UnsafeMutablePointer<Float>, position: Int) {
        let first = scores.firstVisible(from: position)
        let count = position + 1 - first
        if let cap = scores.softCap {
            DecoderKernels.softCap(line + first, count: count, scale: scores.scale, cap: cap)
        }
        DecoderKernels.softmax(line + first, count: count, scale: scores.softmaxScale)
    }
}
