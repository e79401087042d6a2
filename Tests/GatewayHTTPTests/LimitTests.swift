internal import Foundation
internal import JobSpecs
internal import Testing

@testable internal import Gateway

/// What requests may take of time and room.
struct LimitTests {
    private static let long = #"{"prompt": "abc", "max_tokens": 200, "logit_bias": {"256": -100}}"#

    @Test func usersHaveSoManyRequestsAtOnce() async throws {
        let serving = try EngineServing(pause: .milliseconds(100))
        var limits = HTTPSettings.Limits()
        limits.userRequests = 1
        try await HTTPFixture.run(serving, limits: limits) { fixture in
            try await fixture.client.connect { connection in
                try await connection.write(RawClient.request("POST", "/generate", Self.long))
                while await serving.load == 0 { try await Task.sleep(for: .milliseconds(2)) }
                let second = try await fixture.client.send("POST", "/generate", Self.long)
                #expect(second.status == 429)
                #expect(second.headers["retry-after"] == "1")
                #expect(second.json["error"]?["code"] == .string("rate_limit_exceeded"))
            }
            // Its place is free once it has hung up.
            while await serving.load > 0 { try await Task.sleep(for: .milliseconds(2)) }
            let body = #"{"prompt": "abc", "max_tokens": 1}"#
            #expect(try await fixture.client.send("POST", "/generate", body).status == 200)
        }
    }

    @Test func thereAreSoManyRequestsAtOnceInAll() async throws {
        let serving = try EngineServing(pause: .milliseconds(100))
        var limits = HTTPSettings.Limits()
        limits.requests = 1
        try await HTTPFixture.run(serving, limits: limits) { fixture in
            try await fixture.client.connect { connection in
                try await connection.write(RawClient.request("POST", "/generate", Self.long))
                while await serving.load == 0 { try await Task.sleep(for: .milliseconds(2)) }
                let second = try await fixture.client.send("POST", "/generate", Self.long)
                #expect(second.status == 503)
                #expect(second.headers["retry-after"] == "1")
            }
        }
    }

    @Test func bodiesComeInInTime() async throws {
        var limits = HTTPSettings.Limits()
        limits.readTime = .milliseconds(300)
        try await HTTPFixture.run(NothingServed(), limits: limits) { fixture in
            try await fixture.client.connect { connection in
                let request = RawClient.request("POST", "/generate", #"{"prompt": "a"}"#)
                try await connection.write(Array(request.dropLast()))
                let reply = try await connection.reply()
                #expect(reply.status == 408)
                #expect(reply.json["error"]?["code"] == .string("request_timeout"))
                #expect(await connection.isClosed())
            }
        }
    }

    @Test(arguments: ["", "GET /health HTTP/1.1\r\nHost"])
    func idleConnectionsAreClosed(start: String) async throws {
        var limits = HTTPSettings.Limits()
        limits.idleTime = .milliseconds(300)
        try await HTTPFixture.run(NothingServed(), limits: limits) { fixture in
            try await fixture.client.connect { connection in
                // On a busy machine the connection may be closed before.
                if !start.isEmpty { try? await connection.write(Array(start.utf8)) }
                #expect(await connection.isClosed())
            }
        }
    }

    @Test func connectionsBeyondTheLimitWait() async throws {
        var limits = HTTPSettings.Limits()
        limits.connections = 1
        try await HTTPFixture.run(NothingServed(), limits: limits) { fixture in
            let request = RawClient.request("GET", "/health", token: nil)
            let second = try await fixture.client.connect { first in
                try await first.write(request)
                #expect(try await first.reply().status == 503)
                let second = Task { try await fixture.client.send(request) }
                try await first.write(request)
                #expect(try await first.reply().status == 503)
                return second
            }
            // The first is gone.
            #expect(try await second.value.status == 503)
        }
    }

    @Test func bodiesAreBoundWhateverTheirFraming() async throws {
        var limits = HTTPSettings.Limits()
        limits.bodyBytes = 1024
        try await HTTPFixture.run(NothingServed(), limits: limits) { fixture in
            let head =
                "POST /generate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \(HTTPFixture.token)\r\n"
                + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            let chunk = "400\r\n\(String(repeating: " ", count: 1024))\r\n"
            let reply = try await fixture.client.send(Array((head + chunk + chunk).utf8))
            #expect(reply.status == 413)
        }
    }

    @Test func connectionsServeOneRequestAfterTheOther() async throws {
        try await HTTPFixture.run(try EngineServing()) { fixture in
            try await fixture.client.connect { connection in
                let body = #"{"prompt": "abc", "max_tokens": 2}"#
                for _ in 0..<3 {
                    try await connection.write(RawClient.request("POST", "/generate", body))
                    #expect(try await connection.reply().status == 200)
                }
                let expecting = RawClient.request(
                    "POST",
                    "/generate",
                    body,
                    headers: ["Expect": "100-continue", "Connection": "close"]
                )
                try await connection.write(expecting)
                let last = try await connection.reply()
                #expect(last.status == 200)
                #expect(last.headers["connection"] == "close")
                #expect(await connection.isClosed())
            }
        }
    }

    /// As proxies ask.
    @Test func oldVersionsGetNoChunks() async throws {
        try await HTTPFixture.run(try EngineServing()) { fixture in
            let body = #"{"prompt": "abc", "max_tokens": 2, "stream": true}"#
            let text = String(
                decoding: RawClient.request("POST", "/v1/completions", body),
                as: UTF8.self
            )
            let reply = try await fixture.client.send(
                Array(text.replacingOccurrences(of: "HTTP/1.1", with: "HTTP/1.0").utf8)
            )
            #expect(reply.headers["transfer-encoding"] == nil)
            #expect(reply.events.last == .string("[DONE]"))
        }
    }
}
