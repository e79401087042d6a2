internal import Foundation
internal import TestProgram
internal import Testing

@testable internal import Gateway

/// OpenAI's own Python client, as `scripts/check openai-client` brings it.
struct OpenAIClientTests {
    /// A Python that has it; nil where nobody brought one.
    private static let python = ProcessInfo.processInfo.environment["QAT_OPENAI_PYTHON"]

    @Test(.enabled(if: python != nil, "QAT_OPENAI_PYTHON names no Python with the package openai"))
    func worksUnchanged() async throws {
        let python = try #require(Self.python)
        let script = try #require(
            Bundle.module.url(forResource: "Fixtures/openai_client", withExtension: "py")
        )
        try await HTTPFixture.run(try EngineServing()) { fixture in
            let outcome = try await HTTPSTests.onThread {
                try TestProgram.run(
                    python,
                    [script.path, "http://127.0.0.1:\(fixture.client.port)/v1", HTTPFixture.token]
                )
            }
            #expect(outcome.errors == "")
            #expect(
                outcome.output.split(separator: "\n") == [
                    "models", "chat", "stream", "logprobs", "stop", "completions", "tools",
                    "errors",
                    "together",
                ]
            )
        }
    }
}
