internal import Protocol
internal import Synchronization

/// Keeps uploads and removals of one artifact from crossing.
///
/// Whoever brings an artifact holds it from before the first byte until it is known to whom it is open;
/// whoever removes one condemns it before asking whether anybody refers to it. Holding takes a
/// condemnation back, so that what was brought in between stays.
final class ArtifactCustody: Sendable {
    private struct State {
        var held: [SHA256Digest: Int] = [:]
        var condemned: Set<SHA256Digest> = []
    }

    private let state = Mutex(State())

    /// Holds an artifact while `body` runs.
    func holding<Result>(
        _ digest: SHA256Digest,
        _ body: () async throws -> Result
    ) async rethrows -> Result {
        try await holding([digest], body)
    }

    /// Holds artifacts while `body` runs.
    func holding<Result>(
        _ digests: Set<SHA256Digest>,
        _ body: () async throws -> Result
    ) async rethrows -> Result {
        state.withLock { state in
            for digest in digests { state.held[digest, default: 0] += 1 }
            state.condemned.subtract(digests)
        }
        defer {
            state.withLock { state in
                for digest in digests {
                    let count = state.held[digest, default: 1] - 1
                    state.held[digest] = count == 0 ? nil : count
                }
            }
        }
        return try await body()
    }

    /// Condemns those of some artifacts that nobody holds, and returns them.
    func condemn(_ digests: Set<SHA256Digest>) -> Set<SHA256Digest> {
        state.withLock { state in
            let free = digests.filter { state.held[$0] == nil }
            state.condemned.formUnion(free)
            return free
        }
    }

    /// Runs `body`, which removes a file, if the artifact is condemned still; nobody can take hold of it
    /// meanwhile.
    ///
    /// - Returns: What `body` returns, or nil if somebody was faster.
    func execute<Result>(
        _ digest: SHA256Digest,
        _ body: () throws -> sending Result
    ) rethrows -> sending Result? {
        try state.withLock { state in
            guard state.condemned.remove(digest) != nil else { return nil }
            return try body()
        }
    }

    /// Takes condemnations back.
    func absolve(_ digests: Set<SHA256Digest>) {
        state.withLock { $0.condemned.subtract(digests) }
    }

    /// Whether somebody brings an artifact at this moment.
    func isHeld(_ digest: SHA256Digest) -> Bool { state.withLock { $0.held[digest] != nil } }
}
