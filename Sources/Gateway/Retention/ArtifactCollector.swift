internal import Jobs
internal import Logging
internal import Protocol

/// Removes artifacts that nobody refers to: no job, nobody who brought them lately, nobody who is
/// bringing them.
struct ArtifactCollector: Sendable {
    let engine: JobEngine
    let artifacts: ArtifactStore

    private var store: any JobStore { engine.store }

    /// What was removed.
    struct Collected: Sendable, Equatable {
        let digest: SHA256Digest
        let size: UInt64
    }

    /// What became of some artifacts.
    struct Collection: Sendable {
        /// Those that were removed.
        var gone: [Collected] = []
        /// How many nobody refers to and the disk did not let go of.
        var stuckCount = 0

        static func += (left: inout Collection, right: Collection) {
            left.gone += right.gone
            left.stuckCount += right.stuckCount
        }
    }

    /// Artifacts that one step looks at.
    static let portion = 256

    /// Removes those of some artifacts that nobody refers to once openings have expired.
    ///
    /// While a backup runs, and while the store is not there, nothing is removed; what stays is found again by
    /// ``sweep(_:isDryRun:onRemoval:)``.
    @discardableResult
    func collect(
        _ digests: Set<SHA256Digest>,
        _ expiry: GrantExpiry
    ) async throws -> [Collected] {
        try await collection(of: digests, expiry).gone
    }

    /// The same; also what was to go and did not.
    func collection(
        of digests: Set<SHA256Digest>,
        _ expiry: GrantExpiry
    ) async throws -> Collection {
        let all = Array(digests)
        var collected = Collection()
        for start in stride(from: 0, to: all.count, by: Self.portion) {
            try Task.checkCancellation()
            let part = Set(all[start..<min(start + Self.portion, all.count)])
            collected += try await collect(portion: part, expiry)
        }
        return collected
    }

    /// Whether anything can be removed at this moment: not while a backup runs, nor while the store is away or
    /// cannot be written.
    func isFree() throws -> Bool {
        guard artifacts.obstacle == nil else { return false }
        return try CollectionLock.shared(root: artifacts.root) != nil
    }

    private func collect(
        portion: Set<SHA256Digest>,
        _ expiry: GrantExpiry
    ) async throws -> Collection {
        // What lies in another store's place is nobody's to remove.
        guard artifacts.obstacle == nil, let lock = try CollectionLock.shared(root: artifacts.root)
        else {
            return Collection()
        }
        // Condemned before anybody is asked: what is brought from here on stays.
        let condemned = artifacts.custody.condemn(portion)
        defer {
            artifacts.custody.absolve(condemned)
            withExtendedLifetime(lock) {}
        }
        var collected = Collection()
        for digest in try await store.release(condemned, expiry)
        where artifacts.fileSize(digest) != nil {
            let size: UInt64?
            do {
                size = try artifacts.custody.execute(digest) { try artifacts.remove(digest) }
            } catch {
                // One file that stays, as an immutable one, keeps no other; the next round finds it again.
                collected.stuckCount += 1
                engine.remarks.tell("an artifact stays: \(StoreError.sentence(of: error))")
                continue
            }
            if let size {
                collected.gone.append(Collected(digest: digest, size: size))
            }
        }
        return collected
    }

    /// Goes through all that is stored, and all that was brought and expires, and removes what nobody
    /// refers to.
    ///
    /// - Returns: The bytes that are stored afterwards.
    /// - Throws: ``StoreError`` (`outOfOrder`) if the store is not there.
    @discardableResult
    func sweep(
        _ expiry: GrantExpiry,
        isDryRun: Bool = false,
        onRemoval: (Collected) async throws -> Void
    ) async throws -> UInt64 {
        try artifacts.requirePresence()
        var left: UInt64 = 0
        for byte in UInt8.min...UInt8.max {
            let digests = try artifacts.digests(beginningWith: byte)
            for start in stride(from: 0, to: digests.count, by: Self.portion) {
                let part = Set(digests[start..<min(start + Self.portion, digests.count)])
                let sizes = part.reduce(UInt64(0)) { $0 + (artifacts.fileSize($1) ?? 0) }
                let gone = try await removed(part, expiry, isDryRun)
                left += sizes - min(sizes, gone.reduce(0) { $0 + $1.size })
                for one in gone { try await onRemoval(one) }
                try await pause()
            }
        }
        // What is stored was told of already.
        if !isDryRun { try await expire(expiry, isDryRun, onRemoval) }
        return left
    }

    /// Goes through what a holder brought; or, without one, through openings of artifacts that are not
    /// stored any more.
    func expire(
        _ expiry: GrantExpiry,
        _ isDryRun: Bool,
        _ onRemoval: (Collected) async throws -> Void
    ) async throws {
        var last: SHA256Digest?
        while true {
            let page = try await store.grants(expiry, after: last, limit: Self.portion)
            for one in try await removed(Set(page.map(\.digest)), expiry, isDryRun)
            where one.size > 0 {
                try await onRemoval(one)
            }
            guard page.count == Self.portion, let end = page.last?.digest, end != last else {
                return
            }
            last = end
            try await pause()
        }
    }

    private func removed(
        _ digests: Set<SHA256Digest>,
        _ expiry: GrantExpiry,
        _ isDryRun: Bool
    ) async throws -> [Collected] {
        guard isDryRun else { return try await collect(digests, expiry) }
        return try await store.releasable(digests, expiry)
            .filter { !artifacts.custody.isHeld($0) }
            .map { Collected(digest: $0, size: artifacts.fileSize($0) ?? 0) }
    }

    /// Lets calls have the database and the processors between two portions.
    private func pause() async throws {
        try await Task.sleep(for: .milliseconds(2))
    }
}
