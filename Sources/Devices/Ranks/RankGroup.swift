/// The processes that train one model together, of which this is one: ranks, from 0.
///
/// Every rank makes the same calls in the same order, each of which waits for the others unless it says
/// otherwise. Where a rank is gone, all others end with it. Not for concurrent use.
public protocol RankGroup: AnyObject, Sendable {
    /// This one.
    var rank: Int { get }
    /// All of them; 2 or more.
    var count: Int { get }

    /// Begins to bring of ``RankExchange/values`` each other rank its part, and returns at once.
    ///
    /// Until ``finish(_:)`` the values stay as they are.
    func begin(_ exchange: RankExchange)
    /// Gives an exchange that was begun time to go on; it may stand still without.
    func advance(_ exchange: RankExchange)
    /// Waits until ``RankExchange/incoming`` holds what the other ranks had for this one.
    func finish(_ exchange: RankExchange)
    /// Makes each rank's part of an exchange's values those of all.
    func share(_ exchange: RankExchange)

    /// Adds up what the ranks hold, element by element and in the order of ranks: all have the same bits then.
    func sum(_ values: UnsafeMutableBufferPointer<Double>)
    /// Makes bytes those of rank 0.
    func broadcast(_ bytes: UnsafeMutableRawBufferPointer)
    /// Brings each rank's part of a tensor to rank 0, where the others' come to lie beside its own.
    func collect(_ tensor: DeviceTensor, parts: [Range<Int>])
    /// Brings each rank its part of rank 0's tensor.
    func spread(_ tensor: DeviceTensor, parts: [Range<Int>])
}

/// Values of which each rank has a part, and room for what the others say of this rank's.
public final class RankExchange: @unchecked Sendable {
    // Unsynchronized: one rank's calls come one after the other.

    /// Single precision.
    public let values: DeviceTensor
    /// By rank, one behind the other.
    public let parts: [Range<Int>]
    /// A row for each other rank, in order, as long as this rank's part.
    public let incoming: DeviceTensor
    /// This rank's part.
    public let own: DeviceTensor

    /// What the message-passing library is given, and must find unchanged while it works.
    let layout: RankLayout
    var request: UnsafeMutableRawPointer?

    /// An exchange of `values` among as many ranks as there are `parts`, which cover them in order.
    ///
    /// `room`: Single precision, for as many elements as this rank's part has, from each other rank.
    public init(_ values: DeviceTensor, parts: [Range<Int>], rank: Int, room: DeviceTensor) {
        self.values = values
        self.parts = parts
        let part = parts[rank]
        own = values.part(part)
        incoming = room.reshaped(rows: parts.count - 1, columns: part.count)
        layout = RankLayout(parts: parts, rank: rank)
    }

    /// What another rank had for this one.
    public func incoming(from rank: Int, to own: Int) -> DeviceTensor {
        let row = rank < own ? rank : rank - 1
        return incoming.rows(row..<row + 1)
    }
}

/// Counts and places of parts as C has them.
final class RankLayout {
    let counts: [Int32]
    let offsets: [Int32]
    /// Of what goes to others: nothing of a rank's own.
    let sentCounts: [Int32]
    let incomingCounts: [Int32]
    let incomingOffsets: [Int32]

    init(parts: [Range<Int>], rank: Int, unit: Int = 1) {
        counts = parts.map { Int32($0.count * unit) }
        offsets = parts.map { Int32($0.lowerBound * unit) }
        let own = parts[rank].count * unit
        sentCounts = parts.enumerated().map { $0 == rank ? 0 : Int32($1.count * unit) }
        incomingCounts = parts.indices.map { $0 == rank ? 0 : Int32(own) }
        incomingOffsets = parts.indices.map { Int32(($0 > rank ? $0 - 1 : $0) * own) }
    }
}

extension DeviceTensor {
    /// Some of its elements, seen as a vector; the tensor itself if it is all of them.
    public func part(_ range: Range<Int>) -> DeviceTensor {
        if range == 0..<count { return self }
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "\(range) of \(count)")
        return DeviceTensor(
            memory,
            offset: offset + range.lowerBound,
            columns: range.count,
            type: type
        )
    }
}
