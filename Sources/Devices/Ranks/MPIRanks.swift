internal import CMPI
internal import Kernels

/// Ranks that a launcher of Open MPI started.
///
/// Tensors are those of a ``CPUDevice``. Sums are added here, in the order of ranks, and not by the library,
/// whose order depends on sizes, versions and networks.
public final class MPIRanks: RankGroup, @unchecked Sendable {
    // Unsynchronized: one rank's calls come one after the other, on one thread.

    /// As Open MPI numbers them.
    public let rank: Int
    /// As the launcher started.
    public let count: Int
    private var gathered: [Double] = []

    /// Why a process is no rank.
    public struct StartError: Error, CustomStringConvertible {
        /// What is wrong.
        public let description: String
    }

    /// Makes this process one of `expected` ranks.
    ///
    /// - Throws: ``StartError`` if Open MPI is not there, or if the launcher started another number.
    public init(expecting expected: Int) throws {
        var (rank, count) = (Int32(0), Int32(0))
        var message = [CChar](repeating: 0, count: 512)
        guard qat_mpi_begin(&rank, &count, &message, message.count) == 0 else {
            let bytes = message.prefix { $0 != 0 }.map(UInt8.init(bitPattern:))
            throw StartError(description: String(decoding: bytes, as: UTF8.self))
        }
        self.rank = Int(rank)
        self.count = Int(count)
        guard count == expected else {
            throw StartError(
                description: """
                    the launcher started \(count) process\(count == 1 ? "" : "es") under Open MPI, not \
                    \(expected)
                    """
            )
        }
    }

    /// Leaves the group, as all ranks do in the end.
    public func leave() { qat_mpi_end() }

    /// Ends all ranks.
    public func abort(status: Int32) -> Never {
        qat_mpi_abort(status)
        fatalError("Open MPI did not end this process")
    }

    /// By `MPI_Ialltoallv`.
    public func begin(_ exchange: RankExchange) {
        let layout = exchange.layout
        // Arrays of constant properties keep their place; the layout lives as long as the exchange.
        layout.sentCounts.withUnsafeBufferPointer { counts in
            layout.offsets.withUnsafeBufferPointer { offsets in
                layout.incomingCounts.withUnsafeBufferPointer { incomingCounts in
                    layout.incomingOffsets.withUnsafeBufferPointer { incomingOffsets in
                        qat_mpi_exchange_floats(
                            exchange.values.floats,
                            counts.baseAddress,
                            offsets.baseAddress,
                            exchange.incoming.floats,
                            incomingCounts.baseAddress,
                            incomingOffsets.baseAddress,
                            &exchange.request
                        )
                    }
                }
            }
        }
    }

    /// Open MPI goes on within calls alone.
    public func advance(_ exchange: RankExchange) { _ = qat_mpi_test(&exchange.request) }

    /// Leaves the processor to others while it waits long.
    public func finish(_ exchange: RankExchange) { qat_mpi_wait(&exchange.request) }

    /// By `MPI_Iallgatherv`, in place.
    public func share(_ exchange: RankExchange) {
        qat_mpi_share_floats(
            exchange.values.floats,
            Int32(exchange.own.count),
            exchange.layout.counts,
            exchange.layout.offsets,
            &exchange.request
        )
        qat_mpi_wait(&exchange.request)
    }

    /// All hear all, and add for themselves.
    public func sum(_ values: UnsafeMutableBufferPointer<Double>) {
        guard let start = values.baseAddress, !values.isEmpty else { return }
        let all = values.count * count
        if gathered.count < all { gathered = [Double](repeating: 0, count: all) }
        gathered.withUnsafeMutableBufferPointer { gathered in
            var request: UnsafeMutableRawPointer?
            qat_mpi_gather_doubles(start, Int32(values.count), gathered.baseAddress, &request)
            qat_mpi_wait(&request)
            for index in values.indices {
                var sum = gathered[index]
                for rank in 1..<count { sum += gathered[rank * values.count + index] }
                values[index] = sum
            }
        }
    }

    /// Bytes of one message at most.
    private static let messageByteCount = 1 << 24

    /// In messages of a length that C counts.
    public func broadcast(_ bytes: UnsafeMutableRawBufferPointer) {
        for start in stride(from: 0, to: bytes.count, by: Self.messageByteCount) {
            let size = min(Self.messageByteCount, bytes.count - start)
            var request: UnsafeMutableRawPointer?
            qat_mpi_broadcast(bytes.baseAddress.map { $0 + start }, Int32(size), &request)
            qat_mpi_wait(&request)
        }
    }

    /// By `MPI_Igatherv`.
    public func collect(_ tensor: DeviceTensor, parts: [Range<Int>]) {
        move(tensor, parts, qat_mpi_collect_bytes)
    }

    /// By `MPI_Iscatterv`.
    public func spread(_ tensor: DeviceTensor, parts: [Range<Int>]) {
        move(tensor, parts) { rank, bytes, own, count, counts, offsets, request in
            qat_mpi_spread_bytes(rank, bytes, own, count, counts, offsets, request)
        }
    }

    private typealias Move = (
        Int32, UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, Int32, UnsafePointer<Int32>?,
        UnsafePointer<Int32>?, UnsafeMutablePointer<UnsafeMutableRawPointer?>?
    ) -> Void

    private func move(_ tensor: DeviceTensor, _ parts: [Range<Int>], _ operation: Move) {
        let unit = tensor.type.byteCount
        let layout = RankLayout(parts: parts, rank: rank, unit: unit)
        let start = tensor.address
        var request: UnsafeMutableRawPointer?
        layout.counts.withUnsafeBufferPointer { counts in
            layout.offsets.withUnsafeBufferPointer { offsets in
                operation(
                    Int32(rank),
                    start,
                    start + parts[rank].lowerBound * unit,
                    Int32(parts[rank].count * unit),
                    counts.baseAddress,
                    offsets.baseAddress,
                    &request
                )
                qat_mpi_wait(&request)
            }
        }
    }
}
