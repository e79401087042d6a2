internal import Devices
internal import Kernels

/// What a rank of a run told the others, and how long it waited for them.
public struct RankTraffic: Sendable {
    /// Steps taken.
    public var steps = 0
    /// Bytes that this rank sends in a step: gradients to those who own them, and the weights that it owns.
    public let sentByteCount: Int
    /// Until the gradients of all steps were added up, from when this rank had its own.
    public var reducing = Duration.zero
    /// Until all steps' weights were known.
    public var sharing = Duration.zero
}

/// What ranks do with the gradients of an arena: each owns a part of it, has the sum of all ranks' gradients
/// there, moments for it alone (ZeRO, stage 1), and tells the others what its weights became.
///
/// The arena is cut into buckets in the order in which a backward pass is done with them, from the model's
/// end on, and each bucket evenly into the parts of ranks: while a bucket is on its way, the pass goes on.
/// Of each element the ranks' gradients are added in the order of ranks: the same ranks give the same bits.
/// - SeeAlso: Rajbhandari et al. 2020, "ZeRO", arXiv:1910.02054.
final class GradientReduction {
    /// Some elements of a slot.
    struct Segment {
        let slot: Int
        /// Within the slot.
        let range: Range<Int>
    }

    private struct Bucket {
        let range: Range<Int>
        /// The layer, counted from 0, whose end in a backward pass the bucket waits for; -1 for that of the
        /// pass.
        let layer: Int
        let exchange: RankExchange
        /// By rank.
        let segments: [[Segment]]
    }

    /// Elements of a bucket, as long as it is not cut off by what is ready: 8 MiB.
    static let bucketCount = 1 << 21
    /// Buckets that are on their way at once.
    private static let flights = 3

    let ranks: any RankGroup
    /// This rank's elements.
    let ownSegments: [Segment]
    private let arena: GradientArena
    private let buckets: [Bucket]
    private let device: any ComputeDevice
    /// By slot, of all ranks' sums.
    private let squares: AlignedBuffer<Double>
    /// Buckets that were begun, and those of them that were finished.
    private var begun = 0
    private var finished = 0
    private(set) var traffic: RankTraffic

    /// Parts of an arena for each rank.
    init(
        _ arena: GradientArena,
        ranks: any RankGroup,
        _ settings: TrainingEngine.Settings,
        _ device: any ComputeDevice
    ) {
        self.ranks = ranks
        self.arena = arena
        self.device = device
        let places = arena.slots.map { $0.offset..<$0.offset + $0.entry.count }
        let plan = RankBuckets(
            places,
            layers: arena.slots.map { RankBuckets.layer(of: $0.entry.name) },
            total: arena.storage.count,
            target: settings.bucketCount
        )
        let parts = plan.buckets.map { plan.parts(of: $0.range, ranks: ranks.count) }
        let room = parts.map { (ranks.count - 1) * $0[ranks.rank].count }.max() ?? 0
        let rooms = (0..<Self.flights).map { _ in device.tensor(columns: max(room, 1)) }
        let buckets = zip(plan.buckets, parts).enumerated().map { index, found in
            let (bucket, parts) = found
            return Bucket(
                range: bucket.range,
                layer: bucket.layer,
                exchange: RankExchange(
                    arena.storage.part(bucket.range),
                    parts: parts,
                    rank: ranks.rank,
                    room: rooms[index % Self.flights]
                ),
                segments: parts.map { part in
                    let start = bucket.range.lowerBound
                    let range = start + part.lowerBound..<start + part.upperBound
                    return Self.segments(of: range, in: places)
                }
            )
        }
        self.buckets = buckets
        ownSegments = buckets.flatMap { $0.segments[ranks.rank] }
        squares = AlignedBuffer(count: max(arena.slots.count, 1))
        let own = buckets.reduce(0) { $0 + $1.exchange.own.count }
        let sent = arena.storage.count - own + (ranks.count - 1) * own
        traffic = RankTraffic(sentByteCount: sent * ElementType.float32.byteCount)
    }

    private static func segments(of range: Range<Int>, in places: [Range<Int>]) -> [Segment] {
        places.enumerated().compactMap { slot, place in
            let found = range.clamped(to: place)
            guard !found.isEmpty else { return nil }
            let start = place.lowerBound
            return Segment(slot: slot, range: found.lowerBound - start..<found.upperBound - start)
        }
    }

    private func gradient(_ segment: Segment) -> DeviceTensor {
        let slot = arena.slots[segment.slot]
        return DeviceTensor(
            arena.storage.memory,
            offset: slot.offset + segment.range.lowerBound,
            columns: segment.range.count
        )
    }

    // MARK: Gradients

    /// Begins a step.
    func begin() { (begun, finished) = (0, 0) }

    /// Sends the buckets that wait for nothing after a layer, whose gradients are done.
    func release(layer: Int) {
        while begun < buckets.count, buckets[begun].layer >= layer {
            if begun - finished == Self.flights { finishNext() }
            ranks.begin(buckets[begun].exchange)
            begun += 1
        }
    }

    /// Gives what is on its way time.
    func advance() {
        for index in finished..<begun { ranks.advance(buckets[index].exchange) }
    }

    private func finishNext() {
        let exchange = buckets[finished].exchange
        ranks.finish(exchange)
        exchange.addUp(rank: ranks.rank, device)
        finished += 1
    }

    /// Sends what is left and waits for all; the norm of the sums.
    func complete() -> Double {
        let start = ContinuousClock.now
        release(layer: -1)
        while finished < buckets.count { finishNext() }
        traffic.reducing += .now - start
        traffic.steps += 1
        squares.elements.update(repeating: 0)
        for segment in ownSegments {
            let norm = device.norm(of: gradient(segment))
            squares.pointer[segment.slot] += norm * norm
        }
        ranks.sum(squares.elements)
        return squares.elements.reduce(0, +).squareRoot()
    }

    /// L2 norm of the latest sums of a slot.
    func norm(ofSlot slot: Int) -> Double { squares.pointer[slot].squareRoot() }

    /// The parameter nearest to the model's end whose gradient is not finite.
    func lastNonFinite() -> String? {
        let slot = arena.slots.indices.last { !squares.pointer[$0].isFinite }
        return slot.map { arena.slots[$0].entry.name }
    }

    // MARK: Weights

    /// Makes all ranks' weights those that each one's owner computed; the gradients are overwritten.
    func shareWeights(_ tensor: (ParameterLayout.Entry) -> DeviceTensor) {
        func weight(_ segment: Segment) -> DeviceTensor {
            tensor(arena.slots[segment.slot].entry).part(segment.range)
        }
        let start = ContinuousClock.now
        defer { traffic.sharing += .now - start }
        for segment in ownSegments { device.copy(weight(segment), to: gradient(segment)) }
        for bucket in buckets {
            ranks.share(bucket.exchange)
            for (rank, segments) in bucket.segments.enumerated() where rank != ranks.rank {
                for segment in segments { device.copy(gradient(segment), to: weight(segment)) }
            }
        }
    }

    /// Calls `body` for each bucket with its elements, and the parts of ranks in the arena.
    func forEachBucket(_ body: (_ range: Range<Int>, _ parts: [Range<Int>]) -> Void) {
        for bucket in buckets { body(bucket.range, bucket.exchange.parts) }
    }
}

/// The sum over ranks of a tensor that all of them have whole.
final class WholeReduction {
    private let tensor: DeviceTensor
    private let exchanges: [RankExchange]
    private let ranks: any RankGroup
    private let device: any ComputeDevice

    init(_ tensor: DeviceTensor, ranks: any RankGroup, device: any ComputeDevice) {
        self.tensor = tensor
        self.ranks = ranks
        self.device = device
        let plan = RankBuckets(
            [0..<tensor.count],
            layers: [-1],
            total: tensor.count,
            target: GradientReduction.bucketCount
        )
        let parts = plan.buckets.map { plan.parts(of: $0.range, ranks: ranks.count) }
        let room = device.tensor(
            columns: max(parts.map { (ranks.count - 1) * $0[ranks.rank].count }.max() ?? 0, 1)
        )
        exchanges = zip(plan.buckets, parts).map { bucket, parts in
            RankExchange(tensor.part(bucket.range), parts: parts, rank: ranks.rank, room: room)
        }
    }

    /// Adds up, in the order of ranks.
    func run() {
        for exchange in exchanges {
            ranks.begin(exchange)
            ranks.finish(exchange)
            exchange.addUp(rank: ranks.rank, device)
            ranks.share(exchange)
        }
    }
}

extension RankExchange {
    /// Makes this rank's part the sum of all ranks', in their order.
    fileprivate func addUp(rank: Int, _ device: any ComputeDevice) {
        // What comes before this rank is added up where it lies; a sum of two is the same either way round.
        if rank > 0 {
            let sum = incoming(from: 0, to: rank)
            for other in 1..<rank { device.add(incoming(from: other, to: rank), to: sum) }
            device.add(sum, to: own)
        }
        for other in rank + 1..<parts.count { device.add(incoming(from: other, to: rank), to: own) }
    }
}
