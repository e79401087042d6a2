internal import Foundation
internal import JobSpecs
internal import NIOCore
internal import Testing

@testable internal import Gateway

/// A caller that hangs up frees its place at the model within a second.
struct HangUpTests {
    private static let patience = Duration.seconds(1)

    /// How long the engine has something to do after now.
    private static func timeUntilIdle(_ serving: EngineServing) async throws -> Duration {
        let start = ContinuousClock.now
        while await serving.load > 0, ContinuousClock.now - start < .seconds(20) {
            try await Task.sleep(for: .milliseconds(2))
        }
        return ContinuousClock.now - start
    }

    private static func waitUntilBusy(_ serving: EngineServing) async throws {
        while await serving.load == 0 { try await Task.sleep(for: .milliseconds(2)) }
    }

    /// Some 25 s of passes.
    private static let fields = #""prompt": "abc", "max_tokens": 250, "logit_bias": {"256": -100}"#

    @Test(arguments: [#", "stream": true"#, ""])
    func frees(its: String) async throws {
        let serving = try EngineServing(pause: .milliseconds(100))
        try await HTTPFixture.run(serving) { fixture in
            let request = RawClient.request("POST", "/v1/completions", "{\(Self.fields)\(its)}")
            try await fixture.client.connect { connection in
                try await connection.write(request)
                if !its.isEmpty { try await connection.read(until: "data: ") }
                try await Self.waitUntilBusy(serving)
            }
            #expect(try await Self.timeUntilIdle(serving) < Self.patience)
        }
    }

    /// What waits behind the request in the connection is read by nobody meanwhile.
    @Test func isSeenBehindFurtherRequests() async throws {
        let serving = try EngineServing(pause: .milliseconds(100))
        try await HTTPFixture.run(serving) { fixture in
            let request = RawClient.request("POST", "/v1/completions", "{\(Self.fields)}")
            let next = RawClient.request("GET", "/health", token: nil)
            try await fixture.client.connect { connection in
                try await connection.write(request)
                for _ in 0..<50 { try await connection.write(next) }
                try await Self.waitUntilBusy(serving)
            }
            #expect(try await Self.timeUntilIdle(serving) < Self.patience)
        }
    }

    @Test func answersThatTakeTooLongAreEnded() async throws {
        let serving = try EngineServing(pause: .milliseconds(100))
        var limits = HTTPSettings.Limits()
        limits.answerTime = .milliseconds(500)
        try await HTTPFixture.run(serving, limits: limits) { fixture in
            let whole = try await fixture.client.send(
                "POST",
                "/v1/completions",
                "{\(Self.fields)}"
            )
            #expect(whole.status == 504)
            #expect(whole.json["error"]?["code"] == .string("timeout"))
            let streamed = try await fixture.client.send(
                "POST",
                "/v1/completions",
                #"{\#(Self.fields), "stream": true}"#
            )
            #expect(streamed.status == 200)
            #expect(streamed.events.last?["error"]?["code"] == .string("timeout"))
            #expect(try await Self.timeUntilIdle(serving) < Self.patience)
        }
    }
}
