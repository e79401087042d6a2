internal import JobSpecs
internal import Protocol
internal import Serving
internal import Testing

@testable internal import Gateway

/// What goes wrong behind the front, as callers are told it.
struct RefusalTests {
    /// A model whose answers are what a test says.
    private struct ScriptedServing: ModelServing {
        /// What is told, and what it ends with, if with an error.
        var events: [TextAnswer] = []
        var end: RPCError?
        /// What a request is refused with at once.
        var refusal: RPCError?

        func models(for principal: Principal) async throws -> [ServedModel] {
            [
                ServedModel(
                    name: "m",
                    job: "job-1",
                    owner: "alice",
                    created: 1,
                    length: 9,
                    readyReplicas: 1,
                    replicas: 1
                )
            ]
        }

        func answers(
            to request: TextRequest,
            model: String,
            for principal: Principal
        ) async throws -> AsyncThrowingStream<TextAnswer, any Error> {
            if let refusal { throw refusal }
            return AsyncThrowingStream { continuation in
                for event in events { continuation.yield(event) }
                continuation.finish(throwing: end)
            }
        }

        func tokens(
            of prompt: TextRequest.Prompt,
            model: String,
            for principal: Principal
        ) async throws -> [Int32] {
            throw refusal ?? RPCError(.internal, "nobody asked for tokens")
        }

        func replicas() async -> [ReplicaState] { [] }
    }

    private static let some: [TextAnswer] = [
        .accepted(promptTokens: 1), .text(index: 0, "a", tokens: []),
    ]

    private static func ask(
        _ serving: ScriptedServing,
        _ more: String = "",
        check: @escaping @Sendable (RawReply) -> Void
    ) async throws {
        try await HTTPFixture.run(serving) { fixture in
            check(
                try await fixture.client.send(
                    "POST",
                    "/v1/completions",
                    #"{"prompt": "x"\#(more)}"#
                )
            )
        }
    }

    @Test(arguments: [
        (RPCError(.invalidArgument, "the prompt is too long"), 400, "invalid_request_error", nil),
        (RPCError(.permissionDenied, "no"), 403, "permission_error", nil),
        (RPCError(.notFound, "no model"), 404, "invalid_request_error", nil),
        (
            RPCError(.resourceExhausted, "256 wait", retryAfter: .milliseconds(6500)), 429,
            "rate_limit_error", "7"
        ),
        (RPCError(.unavailable, "no replica"), 503, "server_error", "1"),
        (RPCError(.internal, "a secret of the gateway's"), 500, "server_error", nil),
    ])
    func refusalsHaveTheirStatuses(
        error: RPCError,
        status: Int,
        type: String,
        retryAfter: String?
    ) async throws {
        try await Self.ask(ScriptedServing(refusal: error)) { reply in
            #expect(reply.status == status)
            #expect(reply.json["error"]?["type"] == .string(type))
            #expect(reply.headers["retry-after"] == retryAfter)
            #expect(reply.text.contains(error.message) == (status != 500))
        }
        // Before anything was told a stream has a status, too.
        try await Self.ask(ScriptedServing(refusal: error), #", "stream": true"#) { reply in
            #expect(reply.status == status)
            #expect(reply.headers["content-type"] == "application/json")
        }
    }

    @Test func lostReplicasAreSaid() async throws {
        let serving = ScriptedServing(events: Self.some)
        try await Self.ask(serving) { reply in
            #expect(reply.status == 503)
            #expect(reply.json["error"]?["code"] == .string("replica_lost"))
        }
        try await Self.ask(serving, #", "stream": true"#) { reply in
            #expect(reply.status == 200)
            #expect(reply.events.first?["choices"]?.arrayValue?[0]["text"] == .string("a"))
            // An error, and no end that would pass for a good one.
            #expect(reply.events.last?["error"]?["code"] == .string("replica_lost"))
            #expect(!reply.events.contains(.string("[DONE]")))
        }
    }

    @Test func errorsInTheMiddleAreSaid() async throws {
        let error = RPCError(.unavailable, "the worker was killed")
        let serving = ScriptedServing(events: Self.some, end: error)
        try await Self.ask(serving) { reply in
            #expect(reply.status == 503)
            #expect(reply.json["error"]?["message"] == .string("the worker was killed"))
        }
        try await Self.ask(serving, #", "stream": true"#) { reply in
            #expect(reply.events.last?["error"]?["message"] == .string("the worker was killed"))
        }
    }

    @Test(arguments: [("non_finite", 500), ("deadline", 504), ("cancelled", 503)])
    func endsThatAreNoneAreErrors(reason: String, status: Int) async throws {
        let end = TextAnswer.finished(index: 0, reason: reason, stop: nil, tokens: 1)
        try await Self.ask(ScriptedServing(events: Self.some + [end])) { reply in
            #expect(reply.status == status)
        }
    }
}
