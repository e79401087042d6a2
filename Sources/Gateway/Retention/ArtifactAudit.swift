internal import Protocol

/// Reads every artifact and compares it with its digest, and looks for those that jobs refer to and that
/// are not there.
///
/// One file at a time, in pieces between which calls have their turn; a caller that leaves ends it.
struct ArtifactAudit: Sendable {
    let store: any JobStore
    let artifacts: ArtifactStore
    /// Blobs between two reports without a fault.
    var interval: UInt64 = 64

    private static let page = 256
    /// Jobs that one fault names.
    private static let jobLimit = 64

    /// Reads all there is; `report` gets each fault, how far it is now and then, and the end.
    func run(_ report: (VerifyArtifactsReport) async throws -> Void) async throws {
        try artifacts.requirePresence()
        var state = VerifyArtifactsReport()
        var damaged: Set<SHA256Digest> = []
        for byte in UInt8.min...UInt8.max {
            for digest in try artifacts.digests(beginningWith: byte) {
                guard let size = artifacts.fileSize(digest) else { continue }
                if let fault = try await fault(in: digest) {
                    damaged.insert(digest)
                    try await tell(fault, &state, report)
                }
                state.checked += 1
                state.bytes += size
                if state.checked.isMultiple(of: interval) { try await report(state) }
            }
        }
        try await findMissing(except: damaged, &state, report)
        try await findUnreadable(&state, report)
        try await report(state)
    }

    /// What is wrong with an artifact; nil also if it went meanwhile.
    private func fault(in digest: SHA256Digest) async throws -> ArtifactFault? {
        do {
            try await artifacts.verify(digest, isTrusting: false)
            return nil
        } catch let error as StoreError where error.code == .corrupt || error.code == .unusable {
            return ArtifactFault(digest: digest, message: error.message)
        } catch let error as StoreError where error.code == .notFound {
            return nil
        }
    }

    private func findMissing(
        except damaged: Set<SHA256Digest>,
        _ state: inout VerifyArtifactsReport,
        _ report: (VerifyArtifactsReport) async throws -> Void
    ) async throws {
        var last: SHA256Digest?
        while true {
            let page = try await store.referenced(after: last, limit: Self.page)
            for digest in page where artifacts.size(digest) == nil && !damaged.contains(digest) {
                let fault = ArtifactFault(
                    digest: digest,
                    missing: true,
                    message: "artifact sha256:\(digest.hex) is not stored; put it again"
                )
                try await tell(fault, &state, report)
            }
            last = page.last
            guard page.count == Self.page else { return }
            try Task.checkCancellation()
        }
    }

    /// Rows of which nobody knows what artifact they name.
    private func findUnreadable(
        _ state: inout VerifyArtifactsReport,
        _ report: (VerifyArtifactsReport) async throws -> Void
    ) async throws {
        for row in try await store.damagedDigests(limit: Self.page) {
            state.faults += 1
            var told = state
            told.fault = ArtifactFault(
                missing: true,
                message: row.message,
                jobIDs: [row.job],
                jobs: 1
            )
            try await report(told)
        }
    }

    private func tell(
        _ fault: ArtifactFault,
        _ state: inout VerifyArtifactsReport,
        _ report: (VerifyArtifactsReport) async throws -> Void
    ) async throws {
        var fault = fault
        let (jobs, count) = try await store.references(to: fault.digest, limit: Self.jobLimit)
        // Removed, with its jobs, since the page was read.
        guard !fault.missing || count > 0 else { return }
        fault.jobIDs = jobs.map(\.job)
        fault.jobs = UInt64(count)
        state.faults += 1
        var told = state
        told.fault = fault
        try await report(told)
    }
}
