internal import Foundation
internal import JobSpecs
internal import Serving
internal import Testing

@testable internal import Gateway

/// Texts of a real engine over a real socket, in the shapes of OpenAI's API.
struct CompletionTests {
    private static let messages = #"[{"role": "user", "content": "Hello"}]"#

    private static func fixture(_ name: String) throws -> JSONValue {
        let url = try #require(
            Bundle.module.url(forResource: "Fixtures/\(name)", withExtension: "json")
        )
        return try JSONParser.parse([UInt8](Data(contentsOf: url))).value
    }

    /// What `found` lacks of `expected`: keys and kinds, of arrays those of the first element.
    private static func gaps(_ found: JSONValue, _ expected: JSONValue, at path: String = "$")
        -> [String]
    {
        switch (found, expected) {
        case (.object(let found), .object(let expected)):
            return expected.sorted { $0.key < $1.key }.flatMap { key, value in
                found[key].map { gaps($0, value, at: "\(path).\(key)") } ?? [
                    "\(path).\(key) is missing"
                ]
            }
        case (.array(let found), .array(let expected)):
            guard let first = expected.first else { return [] }
            guard !found.isEmpty else { return ["\(path) is empty"] }
            return found.flatMap { gaps($0, first, at: "\(path)[]") }
        case (.string, .string), (.number, .number), (.boolean, .boolean), (.null, .null): return []
        default: return ["\(path) is \(found.kindDescription), not \(expected.kindDescription)"]
        }
    }

    @Test func conversationsHaveOpenAIsShape() async throws {
        try await HTTPFixture.run(try EngineServing()) { fixture in
            let reply = try await fixture.client.send(
                "POST",
                "/v1/chat/completions",
                #"{"model": "tiny", "messages": \#(Self.messages), "max_tokens": 5, "seed": 1, "#
                    + #""logprobs": true, "top_logprobs": 2}"#
            )
            #expect(reply.status == 200)
            #expect(reply.headers["content-type"] == "application/json")
            #expect(Self.gaps(reply.json, try Self.fixture("chat-completion")) == [])
            let choice = reply.json["choices"]?.arrayValue?[0]
            let tokens = try #require(choice?["logprobs"]?["content"]?.arrayValue)
            #expect(tokens.count == 5)
            #expect(tokens.allSatisfy { $0["top_logprobs"]?.arrayValue?.count == 2 })
            #expect(choice?["finish_reason"] == .string("length"))
            // The conversation is put as its JSON, a token for each byte.
            let prompt = #"[{"role": "user", "content": "Hello"}]"#
            #expect(reply.json["usage"]?["prompt_tokens"] == .number(Double(prompt.utf8.count)))
            #expect(reply.json["usage"]?["completion_tokens"] == .number(5))
        }
    }

    @Test func textsHaveOpenAIsShape() async throws {
        try await HTTPFixture.run(try EngineServing()) { fixture in
            let reply = try await fixture.client.send(
                "POST",
                "/v1/completions",
                #"{"model": "tiny", "prompt": "abc", "max_tokens": 4, "temperature": 0, "logprobs": 2}"#
            )
            #expect(reply.status == 200)
            #expect(Self.gaps(reply.json, try Self.fixture("completion")) == [])
            let choice = reply.json["choices"]?.arrayValue?[0]
            let likely = choice?["logprobs"]?["top_logprobs"]?.arrayValue ?? []
            let drawn = choice?["logprobs"]?["token_logprobs"]?.arrayValue ?? []
            // Greedy: what was drawn is the likeliest.
            for (entry, value) in zip(likely, drawn) {
                #expect(
                    entry.objectValue?.values.compactMap(\.doubleValue).max() == value.doubleValue
                )
            }
            #expect(drawn.count == 4)
        }
    }

    @Test func streamsTellWhatWholeAnswersDo() async throws {
        try await HTTPFixture.run(try EngineServing()) { fixture in
            let body =
                #"{"messages": \#(Self.messages), "max_completion_tokens": 12, "seed": 7, "n": 2"#
            let whole = try await fixture.client.send("POST", "/v1/chat/completions", body + "}")
            let streamed = try await fixture.client.send(
                "POST",
                "/v1/chat/completions",
                body + #", "stream": true, "stream_options": {"include_usage": true}}"#
            )
            #expect(streamed.headers["content-type"] == "text/event-stream; charset=utf-8")
            var events = streamed.events
            #expect(events.popLast() == .string("[DONE]"))
            #expect(events.last?["usage"] == whole.json["usage"])
            #expect(events.last?["choices"] == .array([]))
            events.removeLast()
            let chunk = try Self.fixture("chat-completion-chunk")
            #expect(events.flatMap { Self.gaps($0, chunk) } == [])
            #expect(events.allSatisfy { $0["usage"] == .null })
            for index in 0..<2 {
                let own = events.compactMap { $0["choices"]?.arrayValue?[0] }
                    .filter { $0["index"]?.integerValue == index }
                let text = own.compactMap { $0["delta"]?["content"]?.stringValue }.joined()
                let message = whole.json["choices"]?.arrayValue?[index]["message"]
                #expect(text == message?["content"]?.stringValue)
                #expect(own.first?["delta"]?["role"] == .string("assistant"))
                #expect(own.last?["finish_reason"] == .string("length"))
                #expect(own.dropLast().allSatisfy { $0["finish_reason"] == .null })
            }
        }
    }

    @Test func listsOfPromptsAreAnsweredInTheirOrder() async throws {
        try await HTTPFixture.run(try EngineServing()) { fixture in
            func generate(_ prompt: String) async throws -> JSONValue? {
                let body =
                    #"{"prompt": \#(prompt), "max_tokens": 6, "temperature": 0}"#
                let reply = try await fixture.client.send("POST", "/generate", body)
                #expect(reply.status == 200)
                return reply.json["generated_text"]
            }
            let first = try await generate(#""one""#)
            let second = try await generate(#""two""#)
            #expect(first?.stringValue != nil)
            #expect(
                try await generate(#"["one", "two"]"#)
                    == .array([first, second].compactMap(\.self))
            )
        }
    }

    @Test func promptsMayBeTokensAndAreEchoed() async throws {
        let serving = try EngineServing()
        try await HTTPFixture.run(serving) { fixture in
            func text(_ fields: String) async throws -> String? {
                let body = #"{"max_tokens": 3, "temperature": 0, \#(fields)}"#
                let reply = try await fixture.client.send("POST", "/v1/completions", body)
                return reply.json["choices"]?.arrayValue?[0]["text"]?.stringValue
            }
            let plain = try #require(try await text(#""prompt": "ab""#))
            #expect(try await text(#""prompt": [97, 98]"#) == plain)
            #expect(try await text(#""prompt": "ab", "echo": true"#) == "ab" + plain)
            #expect(await serving.prompts.contains(.tokens([97, 98])))
        }
    }

    @Test func stopsEndTextsAndAreNotInThem() async throws {
        try await HTTPFixture.run(try EngineServing()) { fixture in
            let body = #"{"prompt": "abcdef", "max_tokens": 40, "temperature": 0"#
            let whole = try await fixture.client.send("POST", "/v1/completions", body + "}")
            let text = try #require(whole.json["choices"]?.arrayValue?[0]["text"]?.stringValue)
            // Some character of the text that is one, and not its first.
            let stop = try #require(text.dropFirst(3).first { $0 != "\u{FFFD}" && $0.isASCII })
            let stops = JSONValue.array([.string("never"), .string(String(stop))]).canonicalText
            let reply = try await fixture.client.send(
                "POST",
                "/v1/completions",
                body + #", "stop": \#(stops)}"#
            )
            let choice = reply.json["choices"]?.arrayValue?[0]
            let before = text.prefix { $0 != stop }
            #expect(choice?["text"]?.stringValue == String(before))
            #expect(choice?["finish_reason"] == .string("stop"))
            #expect(choice?["stop_reason"] == .string(String(stop)))
        }
    }

    @Test func messagesReachTheModelAsTheyWereWritten() async throws {
        let serving = try EngineServing()
        try await HTTPFixture.run(serving) { fixture in
            let tools =
                #"[{"type": "function", "function": {"name": "f", "parameters": {"z": 1, "a": 1.50}}}]"#
            let body =
                #"{"messages": [{"role": "user", "name": "x", "content": [{"type": "text", "text": "a\"b"},"#
                + #"{"type": "text", "text": "c"}]}], "tools": \#(tools), "max_tokens": 1}"#
            let reply = try await fixture.client.send("POST", "/v1/chat/completions", body)
            #expect(reply.status == 200)
            #expect(
                await serving.prompts.last
                    == .conversation(
                        messages: #"[{"role":"user","name":"x","content":"a\"bc"}]"#,
                        tools: tools
                    )
            )
        }
    }

    @Test func modelsAndTokensAreTold() async throws {
        try await HTTPFixture.run(try EngineServing()) { fixture in
            let list = try await fixture.client.send("GET", "/v1/models")
            #expect(Self.gaps(list.json, try Self.fixture("models")) == [])
            let one = try await fixture.client.send("GET", "/v1/models/tiny")
            #expect(one.json == list.json["data"]?.arrayValue?[0])
            let other = try await fixture.client.send("GET", "/v1/models/none")
            #expect(other.status == 404)
            #expect(Self.gaps(other.json, try Self.fixture("error")) == [])
            let tokens = try await fixture.client.send("POST", "/tokenize", #"{"prompt": "ab"}"#)
            #expect(
                tokens.json
                    == .object([
                        "count": .number(2), "max_model_len": .number(256),
                        "tokens": .array([.number(97), .number(98)]),
                    ])
            )
        }
    }

    @Test func healthIsToldToEverybody() async throws {
        try await HTTPFixture.run(try EngineServing()) { fixture in
            let reply = try await fixture.client.send("GET", "/health", token: nil)
            #expect(reply.status == 200)
            #expect(reply.json["status"] == .string("healthy"))
            #expect(reply.json["models"]?["tiny"]?["ready"] == .number(1))
            try await fixture.client.connect { connection in
                let request = "HEAD /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                try await connection.write(Array(request.utf8))
                let head = try await connection.read(until: "\r\n\r\n")
                #expect(String(decoding: head, as: UTF8.self).hasPrefix("HTTP/1.1 200"))
                // Headers alone.
                #expect(head.suffix(4) == Array("\r\n\r\n".utf8)[...])
                #expect(await connection.isClosed())
            }
        }
        try await HTTPFixture.run(NothingServed()) { fixture in
            let reply = try await fixture.client.send("GET", "/health", token: nil)
            #expect(reply.status == 503)
            #expect(reply.json["status"] == .string("unhealthy"))
        }
    }

    @Test func metricsArePrometheusText() async throws {
        try await HTTPFixture.run(try EngineServing()) { fixture in
            _ = try await fixture.client.send(
                "POST",
                "/generate",
                #"{"prompt": "ab", "max_tokens": 3}"#
            )
            let reply = try await fixture.client.send("GET", "/metrics")
            #expect(reply.headers["content-type"] == MetricsPage.contentType)
            let lines = reply.text.split(separator: "\n").map(String.init)
            #expect(lines.contains(#"qat_http_requests_total{path="/generate",status="200"} 1"#))
            #expect(lines.contains(#"qat_http_tokens_total{model="tiny",kind="prompt"} 2"#))
            #expect(
                lines.contains(#"qat_replica_ready{model="tiny",job="job-1",worker="eval-1"} 1"#)
            )
            #expect(lines.contains("# TYPE qat_first_text_seconds histogram"))
            let sample = /[a-z_]+(\{([a-z]+="[^"]*",?)+\})? [-+0-9.e]+|# (HELP|TYPE) .+/
            #expect(lines.filter { $0.wholeMatch(of: sample) == nil } == [])
        }
    }
}
