internal import JobSpecs
internal import Jobs
internal import Protocol

extension JobEngine {
    /// Which finished jobs may stand in for a new one.
    struct Reuse: Sendable {
        /// Whose; nil for everybody's.
        let owner: String?
        /// Whether files are stored still, with the bytes of their digests.
        let areWhole: @Sendable ([OutputFile]) async -> Bool
    }

    /// A job that did what another one asks for.
    struct FinishedJob: Sendable {
        let id: String
        /// The one that ran: itself, or the one whose outputs it has.
        let origin: String
        let results: [UInt8]
        let outputs: [OutputFile]
    }

    /// Finished jobs that are compared, the newest ones.
    private static let candidateLimit = 32

    /// A job that succeeded with the same specification and the same inputs, and whose outputs are
    /// stored still, and undamaged.
    func finished(_ submission: Submission, _ inputs: [Input]) async throws -> FinishedJob? {
        guard let reuse = submission.reuse, let content = submission.content else { return nil }
        let candidates = try await store.succeeded(
            content: content,
            owner: reuse.owner,
            limit: Self.candidateLimit
        )
        for candidate in candidates {
            let id = candidate.job.id
            guard
                Self.contents(try await readable { try await store.inputs(of: id) })
                    == Self.contents(inputs)
            else {
                continue
            }
            let outputs = try await readable { try await store.outputs(of: id) }
            guard !outputs.isEmpty, await reuse.areWhole(outputs) else { continue }
            return FinishedJob(
                id: id,
                origin: candidate.job.reusedFrom ?? id,
                results: try await store.document(id).results,
                outputs: outputs
            )
        }
        return nil
    }

    /// What is in inputs, by their places and their files' paths; where the files lay does not matter.
    private static func contents(_ inputs: [Input]) -> [String: [String: SHA256Digest]] {
        inputs.reduce(into: [:]) { result, input in
            result[input.pointer] = input.files.reduce(into: [:]) { $0[$1.path] = $1.digest }
        }
    }
}

/// What a job computes, apart from its inputs.
enum JobContent {
    /// The digest of a specification without its name and without what its inputs are called; jobs of
    /// another version of the suite have another one.
    static func digest(kind: Kind, _ document: JSONValue, pointers: [String], version: String)
        -> SHA256Digest
    {
        var bare = document
        for pointer in pointers {
            bare = bare.replacing(at: pointer, with: .null)
        }
        if var members = bare.objectValue {
            members["name"] = nil
            bare = .object(members)
        }
        var hasher = SHA256Hasher()
        hasher.update(Array("\(version)\n\(kind.rawValue)\n".utf8))
        hasher.update(bare.canonicalBytes)
        return hasher.finalize()
    }
}
