internal import Synchronization

/// What each holder is uploading now.
final class RunningUploads: Sendable {
    private struct Share {
        var count = 0
        var byteCount: UInt64 = 0
    }

    /// Uploads that one holder may have under way.
    static let countLimit = 32

    private let shares = Mutex<[String: Share]>([:])

    /// Takes one more upload of a holder.
    ///
    /// `room`: Bytes that their quota leaves them, those under way not counted; nil for no limit.
    ///
    /// - Throws: ``StoreError`` (`quota`; `busy` for too many at once).
    func begin(_ holder: String, byteCount: UInt64, room: UInt64?) throws {
        try shares.withLock { shares in
            var share = shares[holder] ?? Share()
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
            shares[holder] = share
        }
    }

    /// An upload that was taken is over.
    func end(_ holder: String, byteCount: UInt64) {
        shares.withLock { shares in
            guard var share = shares[holder] else { return }
            share.count -= 1
            share.byteCount -= min(byteCount, share.byteCount)
            shares[holder] = share.count > 0 ? share : nil
        }
    }
}
