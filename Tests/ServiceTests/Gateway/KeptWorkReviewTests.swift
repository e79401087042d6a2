internal import Foundation
internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

/// What the gateway says of files that a worker keeps, over real connections.
struct KeptWorkReviewTests {
    private static func review(
        _ client: RPCClient,
        _ instance: String,
        _ jobs: [KeptJob]
    ) async throws -> ReviewKeptResponse {
        try await client.call(
            QatMethods.reviewKept,
            ReviewKeptRequest(instance: instance, bootID: "b1", jobs: jobs)
        )
    }

    @Test func whatTheStoreHasOrNobodyWantsMayGo() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let worker = try await gateway.worker(.quant, "quant-1")
            let id = try await gateway.submit(ada)
            let lease = try await gateway.lease(worker, "quant-1")
            try await gateway.put("four", worker)
            let file = OutputFile(name: "state", digest: .of("four"), size: 4)
            let isSaved = try await worker.call(
                QatMethods.saveCheckpoint,
                SaveCheckpointRequest(
                    jobID: id,
                    epoch: lease.epoch,
                    instance: "quant-1",
                    bootID: "b1",
                    checkpoint: Checkpoint(step: 4, files: [file])
                )
            ).accepted
            #expect(isSaved)
            func answer(_ client: RPCClient, _ instance: String, _ step: UInt64) async throws
                -> ReviewKeptResponse
            {
                try await Self.review(client, instance, [KeptJob(jobID: id, step: step)])
            }
            let stored = ReviewKeptResponse(stored: [id])
            let over = ReviewKeptResponse(over: [id])
            #expect(try await answer(worker, "quant-1", 4) == stored)
            #expect(try await answer(worker, "quant-1", 5) == ReviewKeptResponse())
            // It is at work elsewhere.
            let other = try await gateway.worker(.quant, "quant-2")
            #expect(try await answer(other, "quant-2", 5) == over)
            let ended = try await worker.call(
                QatMethods.completeLease,
                CompleteLeaseRequest(
                    jobID: id,
                    epoch: lease.epoch,
                    outcome: .failed,
                    reason: "USER_ERROR",
                    message: "m",
                    bootID: "b1"
                )
            ).accepted
            #expect(ended)
            #expect(try await answer(worker, "quant-1", 4) == stored)
            #expect(try await answer(worker, "quant-1", 5) == over)
            _ = try await ada.call(QatMethods.removeJob, RemoveJobRequest(jobID: id))
            #expect(try await answer(worker, "quant-1", 5) == stored)
        }
    }

    @Test func aWorkerLearnsNothingOfOthersJobs() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let id = try await gateway.submit(ada)
            let trainer = try await gateway.worker(.train, "train-1")
            let kept = [KeptJob(jobID: id, step: 0)]
            #expect(try await Self.review(trainer, "train-1", kept) == ReviewKeptResponse())
            #expect(
                await code { _ = try await Self.review(trainer, "train-2", kept) }
                    == .permissionDenied
            )
            #expect(
                await code { _ = try await Self.review(ada, "train-1", kept) } == .permissionDenied
            )
            let many = [KeptJob](repeating: kept[0], count: 257)
            #expect(
                await code { _ = try await Self.review(trainer, "train-1", many) }
                    == .invalidArgument
            )
        }
    }
}
