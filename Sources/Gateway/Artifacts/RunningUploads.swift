internal import Synchronization

/// What each holder is uploading now.
final class RunningUploads: Sendable {
    private struct Share {
        var count = 0
        var byteCount: UInt64 = 0
    }

    /// Uploads that one holder may have under way.
    static let countLimit = 32

    private struct State {
        var shares: [String: Share] = [:]
        /// Uploads that are over, whoever's they were.
        var endedCount: UInt64 = 0
    }

    private let state = Mutex(State())

    /// Counts uploads that are over.
    var endedCount: UInt64 { state.withLock { $0.endedCount } }

    /// Takes one more upload of a holder.
    ///
    /// `room`: Bytes that their quota leaves them, those under way not counted; nil for no limit.
    /// `endedCount`: How many were over before `room` was looked up: one that ended since is neither
    /// in it nor under way.
    ///
    /// - Returns: Whether it was taken; else `room` is to be looked up again.
    /// - Throws: ``StoreError`` (`quota`; `busy` for too many at once).
    @discardableResult
    func begin(
        _ holder: String,
        byteCount: UInt64,
        room: UInt64?,
        endedCount: UInt64? = nil
    ) throws -> Bool {
        try state.withLock { state in
            if let endedCount, endedCount != state.endedCount { return false }
            var share = state.shares[holder] ?? Share()
            guard share.count < Self.countLimit else {
                throw StoreError(
                    .busy,
                    "\(Self.countLimit) uploads are under way; that is as many as one may have at once"
                )
            }
            let (total, overflow) = share.byteCount.addingReportingOverflow(byteCount)
            if let room, overflow || total > room {
                throw StoreError(
                    .quota,
                    "\(byteCount) bytes exceed what the quota leaves: \(room) bytes, of which "
                        + "\(share.byteCount) are under way"
                )
            }
            share.count += 1
            share.byteCount = overflow ? .max : total
            state.shares[holder] = share
            return true
        }
    }

    /// An upload that was taken is over.
    func end(_ holder: String, byteCount: UInt64) {
        state.withLock { state in
            guard var share = state.shares[holder] else { return }
            share.count -= 1
            share.byteCount -= min(byteCount, share.byteCount)
            state.shares[holder] = share.count > 0 ? share : nil
            state.endedCount += 1
        }
    }
}
