internal import Foundation
internal import Protocol
internal import Testing

@testable internal import Gateway
@testable internal import qat_client

/// docs/CLIENT.md, Removing: what `jobs rm --dry-run` says is what the removal comes to, by a real gateway.
struct RemovalForecastTests {
    private func outcome(_ body: () async throws -> Void) async throws -> RPCError? {
        do {
            try await body()
            return nil
        } catch let error as RPCError {
            return error
        }
    }

    /// Seen: "would go", and then "the artifacts cannot be written; nothing is removed until that is mended".
    @Test(arguments: [true, false])
    func aStoreThatTakesNoRemovalIsSaidAhead(isWritable: Bool) async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let id = try await gateway.submit(ada)
            _ = try await ada.call(QatMethods.cancelJob, CancelJobRequest(jobID: id, now: true))
            // Whoever is root may write everywhere; what is no folder takes no file.
            if !isWritable {
                try FileManager.default.removeItem(atPath: gateway.artifacts.root + "/tmp")
            }
            var forecast = RemovalForecast(client: ada)
            let ahead = try await outcome { try await forecast.remove(id) }
            let removal = try await outcome {
                _ = try await ada.call(QatMethods.removeJob, RemoveJobRequest(jobID: id))
            }
            #expect((ahead == nil) == isWritable)
            #expect(ahead?.message == removal?.message && ahead?.code == removal?.code)
            #expect(
                ahead.map { qat_client.ExitStatus($0) } == removal.map { qat_client.ExitStatus($0) }
            )
        }
    }
}
