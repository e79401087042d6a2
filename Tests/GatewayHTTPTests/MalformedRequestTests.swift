internal import Foundation
internal import JobSpecs
internal import Testing

@testable internal import Gateway

/// What no client should send: each gets a 4xx with OpenAI's error object, and the front lives on.
struct MalformedRequestTests {
    /// Bodies of `/generate`, `/v1/completions`, `/v1/chat/completions` and `/tokenize`.
    private static let bodies: [String: [String]] = [
        "/generate": [
            "", " ", "{", "}", "[]", "null", "1", "\"text\"", "{\"prompt\"}", "{\"prompt\": }",
            "{\"prompt\": \"a\",}", "{'prompt': 'a'}", "{\"prompt\": \"a\"} x", "{}",
            "{\"prompt\": 1}", "{\"prompt\": null}", "{\"prompt\": []}", "{\"prompt\": [1]}",
            "{\"prompt\": [\"a\", null]}", "{\"prompt\": {\"a\": 1}}",
            "{\"prompt\": \"a\", \"prompt\": \"b\"}",
            "{\"prompt\": \"a\", \"max_tokens\": 0}", "{\"prompt\": \"a\", \"max_tokens\": -1}",
            "{\"prompt\": \"a\", \"max_tokens\": 1.5}",
            "{\"prompt\": \"a\", \"max_tokens\": \"7\"}",
            "{\"prompt\": \"a\", \"max_tokens\": 1e99}",
            "{\"prompt\": \"a\", \"max_tokens\": true}",
            "{\"prompt\": \"a\", \"temperature\": NaN}",
            "{\"prompt\": \"a\", \"temperature\": Infinity}",
            "{\"prompt\": \"a\", \"temperature\": -1}",
            "{\"prompt\": \"a\", \"temperature\": 1e999}",
            "{\"prompt\": \"a\", \"temperature\": \"hot\"}", "{\"prompt\": \"a\", \"top_p\": 0}",
            "{\"prompt\": \"a\", \"top_p\": 1.1}", "{\"prompt\": \"a\", \"top_k\": -1}",
            "{\"prompt\": \"a\", \"min_p\": 2}", "{\"prompt\": \"a\", \"repetition_penalty\": 0}",
            "{\"prompt\": \"a\", \"presence_penalty\": 3}",
            "{\"prompt\": \"a\", \"frequency_penalty\": -3}",
            "{\"prompt\": \"a\", \"seed\": 1.5}",
            "{\"prompt\": \"a\", \"seed\": 99999999999999999999}",
            "{\"prompt\": \"a\", \"stop\": \"\"}", "{\"prompt\": \"a\", \"stop\": [1]}",
            "{\"prompt\": \"a\", \"stop\": {}}", "{\"prompt\": \"a\", \"logit_bias\": {\"x\": 1}}",
            "{\"prompt\": \"a\", \"logit_bias\": {\"1\": 101}}",
            "{\"prompt\": \"a\", \"logit_bias\": [1]}",
            "{\"prompt\": \"a\", \"logit_bias\": {\"99999\": 1}}", "{\"prompt\": \"\"}",
            "{\"prompt\": \"a\", \"model\": 1}", "{\"prompt\": \"a\", \"model\": \"none\"}",
            "{\"prompt\": \"a\", \"max_token\": 1}", "{\"prompt\": \"\\ud800\"}",
            "{\"prompt\": \"\\x\"}",
            "{\"prompt\": \"\u{1}\"}", "\u{FEFF}{\"prompt\": \"a\"}",
            String(repeating: "[", count: 100_000),
            "{\"prompt\": " + String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
                + "}",
            "{\"prompt\": \"\(String(repeating: "a", count: 400))\"}",
        ],
        "/v1/completions": [
            "{\"prompt\": [1, \"a\"]}", "{\"prompt\": [[1], [\"a\"]]}", "{\"prompt\": [-1]}",
            "{\"prompt\": [99999]}", "{\"prompt\": \"a\", \"n\": 0}",
            "{\"prompt\": \"a\", \"n\": 1000}",
            "{\"prompt\": \"a\", \"best_of\": 2}", "{\"prompt\": \"a\", \"suffix\": \"x\"}",
            "{\"prompt\": \"a\", \"logprobs\": 6}", "{\"prompt\": \"a\", \"logprobs\": true}",
            "{\"prompt\": \"a\", \"echo\": 1}", "{\"prompt\": [1], \"echo\": true}",
            "{\"prompt\": \"a\", \"echo\": true, \"logprobs\": 1}",
            "{\"prompt\": \"a\", \"stream\": \"yes\"}",
            "{\"prompt\": \"a\", \"stream_options\": {}}",
            "{\"prompt\": \"a\", \"stream\": true, \"stream_options\": {\"x\": true}}",
            "{\"prompt\": \"a\", \"messages\": []}",
        ],
        "/v1/chat/completions": [
            "{}", "{\"messages\": []}", "{\"messages\": \"a\"}", "{\"messages\": [1]}",
            "{\"messages\": [{}]}", "{\"messages\": [{\"role\": \"king\", \"content\": \"a\"}]}",
            "{\"messages\": [{\"role\": \"user\"}]}",
            "{\"messages\": [{\"role\": \"user\", \"content\": 1}]}",
            "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\"}]}]}",
        ]
            + [
                "\"top_logprobs\": 2", "\"logprobs\": true, \"top_logprobs\": 21",
                "\"max_tokens\": 1, \"max_completion_tokens\": 2",
                "\"response_format\": {\"type\": \"json_object\"}",
                "\"tools\": {}", "\"tools\": [1]", "\"tool_choice\": \"required\"",
                "\"functions\": []",
                "\"reasoning_effort\": \"low\"", "\"modalities\": [\"audio\"]", "\"store\": true",
                "\"n\": -1",
            ].map { "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}], \($0)}" },
        "/tokenize": [
            "{}", "{\"prompt\": 1}", "{\"prompt\": \"a\", \"messages\": []}", "{\"text\": \"a\"}",
        ],
    ]

    /// Requests that are no requests, or none that the front takes; all but a few as raw bytes.
    private static func raw() -> [[UInt8]] {
        let token = "Authorization: Bearer \(HTTPFixture.token)\r\n"
        let json = "Content-Type: application/json\r\n"
        let post = "POST /generate HTTP/1.1\r\nHost: x\r\n"
        let texts = [
            "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET /v1 HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
            "DELETE /generate HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /generate HTTP/1.1\r\nHost: x\r\n\r\n", "BREW /health HTTP/1.1\r\nHost: x\r\n\r\n",
            "nonsense\r\n\r\n", "GET /health\r\n\r\n", "GET /health HTTP/9.9\r\n\r\n",
            "GET /health HTTP/1.1\r\nNo colon here\r\n\r\n", "\u{0}\u{1}\u{2}\u{3}\r\n\r\n",
            "GET /v1/models HTTP/1.1\r\nHost: x\r\nX: \(String(repeating: "a", count: 70_000))\r\n\r\n",
            "GET /\(String(repeating: "a", count: 70_000)) HTTP/1.1\r\nHost: x\r\n\r\n",
            post + token + "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}",
            post + token + "Content-Length: 2\r\n\r\n{}",
            post + token
                + "Content-Type: application/json; charset=latin1\r\nContent-Length: 2\r\n\r\n{}",
            post + token + json + "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
            post + token + json + "Content-Length: 999999999\r\n\r\n",
            post + token + json + "Content-Length: -5\r\n\r\n{}",
            post + token + json + "Content-Length: abc\r\n\r\n{}",
            post + token + json + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
            post + token + json + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
            post + token + json + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}xx0\r\n\r\n",
            post + token + json + "Transfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n0\r\n\r\n",
            post + json + "Content-Length: 2\r\n\r\n{}",
            post + "Authorization: Basic YTpi\r\n" + json + "Content-Length: 2\r\n\r\n{}",
            post + "Authorization: Bearer wrong\r\n" + json + "Content-Length: 2\r\n\r\n{}",
        ]
        let head = Array((post + token + json + "Content-Length: 15\r\n\r\n").utf8)
        // No UTF-8 within a string.
        return texts.map { Array($0.utf8) } + [
            head + Array(#"{"prompt": ""#.utf8) + [0xFF, 0x22, 0x7D]
        ]
    }

    private static func check(_ reply: RawReply, _ what: String) {
        #expect((400..<500).contains(reply.status), "\(what): \(reply.status)")
        let error = reply.json["error"]
        #expect(error?["message"]?.stringValue?.isEmpty == false, "\(what): \(reply.text)")
        #expect(error?["type"]?.stringValue != nil, "\(what): \(reply.text)")
        for key in ["param", "code"] {
            let value = error?[key]
            #expect(value == .null || value?.stringValue != nil, "\(what): \(reply.text)")
        }
    }

    @Test func eachIsRefusedAndNothingEnds() async throws {
        let serving = try EngineServing()
        try await HTTPFixture.run(serving) { fixture in
            var count = 0
            for (path, bodies) in Self.bodies.sorted(by: { $0.key < $1.key }) {
                for body in bodies {
                    let reply = try await fixture.client.send("POST", path, body)
                    Self.check(reply, "\(path) \(body.prefix(200))")
                    count += 1
                }
            }
            for bytes in Self.raw() {
                let reply = try await fixture.client.send(bytes)
                Self.check(reply, String(decoding: bytes.prefix(200), as: UTF8.self))
                count += 1
            }
            #expect(count >= 100)
            #expect(await serving.load == 0)
            let health = try await fixture.client.send("GET", "/health", token: nil)
            #expect(health.status == 200)
        }
    }

    /// A name of half a megabyte before as many elements: copied for each of them it would be some 70 GB.
    @Test(.timeLimit(.minutes(1)))
    func longNamesCostNothing() async throws {
        try await HTTPFixture.run(NothingServed()) { fixture in
            let name = String(repeating: "a", count: 500_000)
            let list = String(repeating: "0,", count: 150_000)
            for body in [#"{"\#(name)": [\#(list)0]}"#, #"{"\#(name)": [\#(list)]}"#] {
                let reply = try await fixture.client.send("POST", "/generate", body)
                #expect(reply.status == 400)
                #expect(reply.body.count < 4096)
            }
        }
    }

    @Test func refusalsNameTheField() async throws {
        try await HTTPFixture.run(try EngineServing()) { fixture in
            func error(_ body: String) async throws -> (JSONValue?, JSONValue?) {
                let reply = try await fixture.client.send("POST", "/generate", body)
                return (reply.json["error"]?["param"], reply.json["error"]?["message"])
            }
            let (param, message) = try await error(#"{"prompt": "a", "max_token": 1}"#)
            #expect(param == .string("max_token"))
            #expect(message == .string("unknown field max_token; did you mean max_tokens?"))
            let (other, range) = try await error(#"{"prompt": "a", "temperature": 3}"#)
            #expect(other == .string("temperature"))
            #expect(range == .string("temperature is 3; a number from 0 to 2 is needed"))
        }
    }

    @Test func statusesSayWhatIsWrong() async throws {
        try await HTTPFixture.run(try EngineServing()) { fixture in
            func status(_ bytes: [UInt8]) async throws -> RawReply {
                try await fixture.client.send(bytes)
            }
            let request = RawClient.request
            #expect(try await status(request("GET", "/nowhere", nil, nil, [:])).status == 404)
            let method = try await status(request("PUT", "/generate", nil, nil, [:]))
            #expect(method.status == 405)
            #expect(method.headers["allow"] == "POST")
            let nobody = try await status(request("GET", "/v1/models", nil, nil, [:]))
            #expect(nobody.status == 401)
            #expect(nobody.headers["www-authenticate"] == #"Bearer realm="qat""#)
            let type = ["Content-Type": "text/plain"]
            #expect(
                try await status(request("POST", "/generate", "{}", HTTPFixture.token, type)).status
                    == 415
            )
            let length = ["Content-Length": "99999999"]
            #expect(
                try await status(request("POST", "/generate", "{}", HTTPFixture.token, length))
                    .status
                    == 413
            )
            let header = ["X": String(repeating: "a", count: 70_000)]
            #expect(try await status(request("GET", "/health", nil, nil, header)).status == 431)
        }
    }
}
