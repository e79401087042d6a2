internal import Foundation
internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

/// Old checkpoints give their room back; what anybody refers to stays.
struct CheckpointSpaceTests {
    private let fixture: StoreFixture
    private let artifacts: ArtifactStore

    init() throws {
        fixture = try StoreFixture()
        artifacts = try ArtifactStore(root: fixture.folder + "/cas")
    }

    /// Saves a checkpoint of files that the worker brings, and removes what it takes the place of.
    ///
    /// - Returns: The digests that went; nil if the checkpoint was not taken.
    private func save(
        _ step: UInt64,
        _ contents: [String],
        _ lease: Lease
    ) async throws -> Set<SHA256Digest>? {
        let holder = StoreFixture.holder("train-1", boot: "b1")
        let own = Grant.holder(holder.worker)
        let now = fixture.engine.now.unix
        var files: [OutputFile] = []
        for (index, text) in contents.enumerated() {
            try await artifacts.put(text)
            try await fixture.engine.store.grant([
                .init(holder: own, digest: .of(text), size: 1, brought: now)
            ])
            files.append(OutputFile(name: "file-\(index)", digest: .of(text), size: 1))
        }
        let replaced = try await fixture.engine.saveCheckpoint(
            lease.jobID,
            LeaseClaim(epoch: Int64(lease.epoch), holder: holder),
            Checkpoint(step: step, files: files)
        )
        guard let replaced else { return nil }
        let collector = ArtifactCollector(engine: fixture.engine, artifacts: artifacts)
        let gone = try await collector.collect(replaced, GrantExpiry(before: now))
        return Set(gone.map(\.digest))
    }

    @Test func whatTheOlderCheckpointAloneHadIsFree() async throws {
        try await fixture.register()
        _ = try await fixture.submit("k")
        let lease = try #require(try await fixture.acquire())
        #expect(try await save(1, ["a", "b"], lease) == [])
        #expect(try await save(2, ["a", "c"], lease) == [.of("b")])
        #expect(try await save(1, ["d"], lease) == nil)
        #expect(artifacts.missing([.of("a"), .of("b"), .of("c")]) == [.of("b")])
    }

    @Test func whatAJobOrAUserOrAnotherWorkerRefersToIsNeverFree() async throws {
        try await fixture.register()
        _ = try await fixture.submit("k")
        let lease = try #require(try await fixture.acquire())
        let now = fixture.engine.now.unix
        let other = Grant.holder(WorkerIdentity(role: .train, instance: "train-2"))
        for (text, holder) in [("theirs", Grant.holder(user: "bob")), ("others", other)] {
            try await fixture.engine.store.grant([
                .init(holder: holder, digest: .of(text), size: 1, brought: now)
            ])
        }
        // "m" is the input of every job here.
        #expect(try await save(1, ["m", "theirs", "others", "ours"], lease) == [])
        #expect(try await save(2, ["x"], lease) == [.of("ours")])
    }
}

extension ArtifactStore {
    /// Stores a text under its digest.
    func put(_ text: String) async throws {
        let bytes = Array(text.utf8)
        let chunks = AsyncThrowingStream<[UInt8], any Error> { continuation in
            continuation.yield(bytes)
            continuation.finish()
        }
        try await put(.of(text), size: UInt64(bytes.count), chunks: chunks)
    }
}
