internal import Devices
internal import Kernels

/// What begins anew within a window where a document ends.
///
/// - SeeAlso: Megatron-Core 0.16, `megatron/core/datasets/gpt_dataset.py`,
///   `_get_ltor_masks_and_position_ids`.
public struct DocumentRules: Sendable, Equatable, Codable {
    /// The token that ends a document, of which it is the last; with nil, documents end where tokens are
    /// marked so (``MarkedToken/documentEnd``).
    public var endToken: Int32?
    /// Whether the token behind it has position 0.
    public var resetsPositions: Bool
    /// Whether tokens behind it see nothing before them.
    public var resetsAttention: Bool
    /// Whether what follows it is not asked for: its position counts in no loss.
    public var masksLoss: Bool

    /// Rules.
    public init(
        endToken: Int32?,
        resetsPositions: Bool = false,
        resetsAttention: Bool = false,
        masksLoss: Bool = false
    ) {
        self.endToken = endToken
        self.resetsPositions = resetsPositions
        self.resetsAttention = resetsAttention
        self.masksLoss = masksLoss
    }

    /// Whether a document ends with a token.
    func ends(with token: Int32) -> Bool {
        guard let endToken else { return MarkedToken.has(MarkedToken.documentEnd, token) }
        return MarkedToken.token(token) == endToken
    }
}

extension DocumentRules? {
    /// Whether anything counts in the loss of a window: a token behind one that is not silent.
    public func leavesTarget(in window: some BidirectionalCollection<Int32>) -> Bool {
        window.dropLast().contains { !isSilent($0) }
    }

    /// Whether a token's position counts in no loss: by its mark, or since a document ends there.
    func isSilent(_ token: Int32) -> Bool {
        if MarkedToken.has(MarkedToken.silent, token) { return true }
        guard let self, self.masksLoss else { return false }
        return self.ends(with: token)
    }
}

/// Where documents begin in the windows of a pass, row by row.
final class DocumentMarks {
    /// Each row's position, int32 `[1, rows]`; nil where it is the row's place in its window.
    let positions: DeviceTensor?
    /// The first row of its window that each row sees, int32 `[1, rows]`; nil where that is the window's.
    let starts: DeviceTensor?
    private let rules: DocumentRules
    private let length: Int
    private let host: AlignedBuffer<Int32>
    private let device: any ComputeDevice

    /// Marks of `rows` rows in windows of `length`; nil where no rule needs any.
    init?(_ rules: DocumentRules?, rows: Int, length: Int, device: any ComputeDevice) {
        guard let rules, rules.resetsPositions || rules.resetsAttention else { return nil }
        self.rules = rules
        self.length = length
        self.device = device
        host = AlignedBuffer(count: rows)
        positions = rules.resetsPositions ? device.tensor(columns: rows, type: .int32) : nil
        starts = rules.resetsAttention ? device.tensor(columns: rows, type: .int32) : nil
    }

    /// Makes them those of `tokens`, as many as there are rows.
    func set(_ tokens: UnsafePointer<Int32>) {
        if let positions {
            forEachRow(of: tokens) { row, start in
                host.pointer[row] = Int32(row % length - start)
            }
            device.upload(host.pointer, to: positions)
        }
        if let starts {
            forEachRow(of: tokens) { row, start in host.pointer[row] = Int32(start) }
            device.upload(host.pointer, to: starts)
        }
    }

    /// Hands out each row, and where in its window the document begins that it belongs to.
    private func forEachRow(
        of tokens: UnsafePointer<Int32>,
        _ body: (_ row: Int, _ start: Int) -> Void
    ) {
        var start = 0
        for row in 0..<host.count {
            let place = row % length
            if place == 0 {
                start = 0
            } else if rules.ends(with: tokens[row - 1]) {
                start = place
            }
            body(row, start)
        }
    }
}

/// Which rows of a micro-batch count in a loss that has no targets: all but those whose tokens are silent.
final class LossRows {
    private let rules: DocumentRules?
    private let isSilent: AlignedBuffer<Bool>
    private let length: Int

    /// Rows in windows of `length`.
    init(rows: Int, length: Int, _ rules: DocumentRules?) {
        self.rules = rules
        self.length = length
        isSilent = AlignedBuffer(count: rows)
    }

    /// Makes them those of `tokens`, as many as there are rows.
    func set(_ tokens: UnsafePointer<Int32>) {
        for row in 0..<isSilent.count { isSilent.pointer[row] = rules.isSilent(tokens[row]) }
    }

    /// How many rows of `tokens` count, and how many of them a token follows in their window.
    func count(
        _ tokens: UnsafePointer<Int32>,
        windows: Int
    ) -> (rows: Int, targets: Int) {
        var (rows, targets) = (windows * length, windows * (length - 1))
        for row in 0..<windows * length where rules.isSilent(tokens[row]) {
            rows -= 1
            if row % length != length - 1 { targets -= 1 }
        }
        return (rows, targets)
    }

    /// Hands out the rows of a range in runs of those that count and those that do not.
    func forEachRun(in range: Range<Int>, _ body: (_ run: Range<Int>, _ counts: Bool) -> Void) {
        var start = range.lowerBound
        while start < range.upperBound {
            let isOut = isSilent.pointer[start]
            var end = start + 1
            while end < range.upperBound, isSilent.pointer[end] == isOut { end += 1 }
            body(start..<end, !isOut)
            start = end
        }
    }
}
