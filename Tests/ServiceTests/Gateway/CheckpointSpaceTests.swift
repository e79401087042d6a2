internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

/// Old checkpoints give their room back; what anybody refers to stays.
struct CheckpointSpaceTests {
    private static func save(
        _ step: UInt64,
        _ contents: [String],
        _ lease: Lease,
        _ fixture: StoreFixture
    ) async throws -> Set<SHA256Digest>? {
        let files = contents.enumerated().map { index, text in
            OutputFile(name: "file-\(index)", digest: .of(text), size: 1)
        }
        return try await fixture.engine.saveCheckpoint(
            lease.jobID,
            LeaseClaim(
                epoch: Int64(lease.epoch),
                holder: StoreFixture.holder("train-1", boot: "b1")
            ),
            Checkpoint(step: step, files: files)
        )
    }

    @Test func whatTheOlderCheckpointAloneHadIsFree() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        _ = try await fixture.submit("k")
        let lease = try #require(try await fixture.acquire())
        #expect(try await Self.save(1, ["a", "b"], lease, fixture) == [])
        #expect(try await Self.save(2, ["a", "c"], lease, fixture) == [.of("b")])
        #expect(try await Self.save(1, ["d"], lease, fixture) == nil)
    }

    @Test func whatAJobOrAUserRefersToIsNeverFree() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        _ = try await fixture.submit("k")
        let lease = try #require(try await fixture.acquire())
        try await fixture.engine.store.grant(.of("theirs"), size: 1, to: Grant.holder(user: "bob"))
        // "m" is the input of every job here.
        #expect(try await Self.save(1, ["m", "theirs", "ours"], lease, fixture) == [])
        #expect(try await Self.save(2, ["x"], lease, fixture) == [.of("ours")])
    }
}
