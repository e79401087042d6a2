internal import JobSpecs
internal import Testing

@testable internal import Gateway

/// A gateway that stops lets answers end, for a while.
struct DrainTests {
    private static func fields(_ count: Int) -> String {
        #""prompt": "abc", "max_tokens": \#(count), "logit_bias": {"256": -100}"#
    }

    @Test func shortAnswersAreWrittenToTheirEnd() async throws {
        let serving = try EngineServing(pause: .milliseconds(50))
        try await HTTPFixture.run(serving) { fixture in
            try await fixture.client.connect { connection in
                let body = "{\(Self.fields(10))}"
                try await connection.write(RawClient.request("POST", "/v1/completions", body))
                while await serving.load == 0 { try await Task.sleep(for: .milliseconds(2)) }
                await fixture.stop()
                let reply = try await connection.reply()
                #expect(reply.status == 200)
                #expect(reply.json["usage"]?["completion_tokens"] == .number(10))
                #expect(await connection.isClosed())
            }
        }
    }

    @Test func longOnesAreCutOff() async throws {
        let serving = try EngineServing(pause: .milliseconds(100))
        var limits = HTTPSettings.Limits()
        limits.drainTime = .milliseconds(300)
        try await HTTPFixture.run(serving, limits: limits) { fixture in
            try await fixture.client.connect { connection in
                let body = #"{\#(Self.fields(250)), "stream": true}"#
                try await connection.write(RawClient.request("POST", "/v1/completions", body))
                try await connection.read(until: "data: ")
                await fixture.stop()
                let start = ContinuousClock.now
                while await serving.load > 0, ContinuousClock.now - start < .seconds(20) {
                    try await Task.sleep(for: .milliseconds(5))
                }
                // The engine alone would take another 25 s.
                #expect(ContinuousClock.now - start < .seconds(5))
            }
            await #expect(throws: (any Error).self) {
                try await fixture.client.send("GET", "/health", token: nil)
            }
        }
    }
}
