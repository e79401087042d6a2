internal import Foundation
internal import Inference
internal import Kernels
internal import Testing
internal import Transformer

@testable internal import Questions

/// GSM8K's prompts, texts and filters equal lm-evaluation-harness's; see `Fixtures/README.md`.
@Suite struct NumberAnswerTests {
    private struct Sample: Decodable {
        let prompt: String
        let text: String
    }

    private struct Filtered: Decodable {
        let text: String
        let answer: String
        let strict: String
        let flexible: String
        let strictMatch: Int
        let flexibleMatch: Int
    }

    private struct Expected: Decodable {
        let fewShot: Int
        let samples: [Sample]
        let filters: [Filtered]
    }

    private let expected: Expected

    init() throws {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let path = try ChoiceFixture.path("expected/gsm8k_5.json")
        expected = try decoder.decode(Expected.self, from: Data(contentsOf: URL(filePath: path)))
    }

    @Test func filtersFindTheHarnessNumbers() {
        #expect(expected.filters.count == 300)
        #expect(expected.filters.contains { $0.strictMatch == 1 })
        for test in expected.filters {
            #expect(NumberAnswer.strict(test.text) == test.strict, "\(test)")
            #expect(NumberAnswer.flexible(test.text) == test.flexible, "\(test)")
            let strict = NumberAnswer.isExactMatch(test.strict, answer: test.answer)
            let flexible = NumberAnswer.isExactMatch(test.flexible, answer: test.answer)
            #expect(strict == (test.strictMatch == 1), "\(test)")
            #expect(flexible == (test.flexibleMatch == 1), "\(test)")
        }
    }

    @Test func promptsAreTheHarness() throws {
        let set = try GSM8K(
            problems: [ChoiceFixture.path("questions/gsm8k.jsonl")],
            examples: [ChoiceFixture.path("questions/gsm8k_train.jsonl")],
            exampleCount: expected.fewShot,
            limit: expected.samples.count
        )
        #expect(set.problems.indices.map { set.prompt(of: $0) } == expected.samples.map(\.prompt))
    }

    /// Greedy tokens of a tiny model, up to 256 of them.
    @Test func textsAreTheHarness() throws {
        let model = try LoadedEngine(
            path: ChoiceFixture.path("model"),
            options: EngineOptions(sequences: 5),
            team: ThreadTeam(threadCount: 1)
        )
        #expect(expected.samples.count == 12)
        let asking = try AnswerRequests(
            expected.samples.map(\.prompt),
            model.tokenizer,
            model.configuration
        )
        var texts: [Int: String] = [:]
        try model.engine.write(asking.requests) { event in
            if case .text(let place, let text) = event { texts[place] = asking.answer(text) }
        }
        #expect(expected.samples.indices.map { texts[$0] } == expected.samples.map(\.text))
        #expect(asking.cutCount == 0)
    }

    @Test func textsEndBeforeTheFirstStop() {
        #expect(GSM8K.cut("1</s>2Question:3", endOfText: "2") == "1")
        #expect(GSM8K.cut(" 12. Quest", endOfText: nil) == " 12. Quest")
    }
}
