internal import Foundation
internal import Inference
internal import JobSpecs
internal import Kernels
internal import ModelFiles
internal import Serving
internal import Testing

@testable internal import EvalService

/// Requests of a replica, on a tiny model.
struct AnswerDeskTests {
    private static func desk(
        _ settings: String = "",
        _ body: (inout AnswerDesk, LoadedEngine) throws -> Void
    ) throws {
        let folder = NSTemporaryDirectory() + "/qat-desk-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try ServedSuite.writeModel(to: folder)
        let model = try LoadedEngine(
            path: folder,
            options: EngineOptions(length: 128, sequences: 3),
            team: ThreadTeam(threadCount: 1)
        )
        let json = #"{"model": "x"\#(settings)}"#
        guard case .serve(let spec) = try JobSpec.parse(kind: "serve", json: Array(json.utf8))
        else {
            return
        }
        var desk = AnswerDesk(model, RequestReader(model, spec))
        try body(&desk, model)
    }

    /// Runs the engine until nobody waits; returns all that was told.
    private static func finish(_ desk: inout AnswerDesk, _ model: LoadedEngine) -> [ReplicaAnswer] {
        while !model.engine.isIdle {
            for event in model.engine.step(at: .zero) { _ = desk.take(event) }
        }
        return desk.takeAnswers()
    }

    private static func order(_ number: UInt64, _ request: TextRequest) -> ReplicaOrder {
        ReplicaOrder(.write, number: number, request: request)
    }

    private static func text(_ answers: [ReplicaAnswer], _ number: UInt64, _ index: Int = 0)
        -> String
    {
        answers.filter { $0.number == number }.reduce("") { text, answer in
            guard case .answer(.text(index, let piece, _)) = answer.content else { return text }
            return text + piece
        }
    }

    @Test func tellsEachAnswerOfARequestAndItsEnd() throws {
        try Self.desk { desk, model in
            let request = TextRequest(
                prompt: .text("abc"),
                tokenLimit: 5,
                count: 2,
                temperature: 1,
                seed: 3
            )
            desk.obey(Self.order(8, request))
            #expect(desk.textCount == 2)
            let answers = Self.finish(&desk, model)
            #expect(answers.first == ReplicaAnswer(8, .answer(.accepted(promptTokens: 3))))
            #expect(answers.last == ReplicaAnswer(8, .over))
            let ends = answers.compactMap { answer -> Int? in
                guard case .answer(.finished(let index, "length", nil, 5)) = answer.content else {
                    return nil
                }
                return index
            }
            #expect(ends.sorted() == [0, 1] && desk.isIdle)
            #expect(desk.counts == (1, 2, 10))
            // The second is what its own seed draws.
            desk.obey(
                Self.order(
                    9,
                    TextRequest(prompt: .text("abc"), tokenLimit: 5, temperature: 1, seed: 4)
                )
            )
            #expect(Self.text(Self.finish(&desk, model), 9) == Self.text(answers, 8, 1))
        }
    }

    @Test func likelihoodsAreOfTheTextsTokens() throws {
        try Self.desk { desk, model in
            let request = TextRequest(prompt: .text("abc"), tokenLimit: 6, alternativeCount: 2)
            desk.obey(Self.order(1, request))
            let answers = Self.finish(&desk, model)
            let tokens = answers.flatMap { answer -> [TextToken] in
                guard case .answer(.text(_, _, let tokens)) = answer.content else { return [] }
                return tokens
            }
            #expect(tokens.count == 6)
            #expect(
                String(decoding: tokens.flatMap(\.bytes), as: UTF8.self) == Self.text(answers, 1)
            )
            for token in tokens {
                // The most likely token was drawn.
                #expect(token.alternatives.count == 2 && token.alternatives[0].bytes == token.bytes)
                #expect(token.alternatives[0].logProbability == token.logProbability)
            }
        }
    }

    @Test func givesUpWhatNobodyWaitsFor() throws {
        try Self.desk { desk, model in
            desk.obey(Self.order(1, TextRequest(prompt: .text("abc"), tokenLimit: 100, count: 3)))
            desk.obey(Self.order(2, TextRequest(prompt: .text("abc"), tokenLimit: 3)))
            desk.obey(ReplicaOrder(.cancel, number: 1))
            #expect(desk.textCount == 1)
            let answers = Self.finish(&desk, model)
            #expect(answers.last == ReplicaAnswer(2, .over))
            #expect(model.engine.load.usedPages == 0 && desk.isIdle)
            desk.obey(Self.order(3, TextRequest(prompt: .text("abc"), tokenLimit: 3)))
            desk.obey(ReplicaOrder(.begin))
            #expect(desk.isIdle && model.engine.isIdle)
        }
    }

    @Test func refusesWhatTheModelCannotAnswer() throws {
        try Self.desk(#", "max_input_len": 8, "max_output_len": 4"#) { desk, model in
            func refusal(_ request: TextRequest) throws -> String {
                desk.obey(Self.order(1, request))
                guard case .refused(let refusal) = try #require(desk.takeAnswers().first).content
                else {
                    return "answered"
                }
                #expect(refusal.reason == .invalid)
                return refusal.message
            }
            let words = [
                (TextRequest(prompt: .text("123456789")), "max_input_len is 8"),
                (TextRequest(prompt: .text("")), "no tokens"),
                (TextRequest(prompt: .tokens([256])), "token 256"),
                (TextRequest(prompt: .text("x"), tokenLimit: 0), "max_tokens is 0"),
                (TextRequest(prompt: .text("x"), count: 0), "n is 0"),
                (TextRequest(prompt: .text("x"), temperature: -1), "temperature"),
                (TextRequest(prompt: .text("x"), alternativeCount: 21), "logprobs"),
                (TextRequest(prompt: .conversation(messages: "{", tools: nil)), "messages"),
                (TextRequest(prompt: .conversation(messages: "[]", tools: nil)), "messages"),
                (
                    TextRequest(prompt: .text("x"), stops: Array(repeating: "y", count: 65)),
                    "stop strings"
                ),
            ]
            for (request, word) in words {
                let message = try refusal(request)
                #expect(message.contains(word), "\(message)")
            }
            // An answer ends where the job says.
            desk.obey(Self.order(2, TextRequest(prompt: .text("x"), tokenLimit: 50)))
            let answers = Self.finish(&desk, model)
            let end = TextAnswer.finished(index: 0, reason: "length", stop: nil, tokens: 4)
            #expect(answers.contains(ReplicaAnswer(2, .answer(end))))
        }
    }

    @Test func conversationsGoThroughTheTemplate() throws {
        try Self.desk { desk, model in
            let messages = #"[{"role": "user", "content": [{"type": "text", "text": "hi"}]}]"#
            let prompt = TextRequest.Prompt.conversation(messages: messages, tools: nil)
            desk.obey(ReplicaOrder(.tokenize, number: 1, request: TextRequest(prompt: prompt)))
            let expected = Array("[user] hi\n[assistant] ".utf8).map { byte in
                model.tokenizer.encode(String(decoding: [byte], as: UTF8.self))[0]
            }
            #expect(desk.takeAnswers() == [ReplicaAnswer(1, .tokens(expected))])
        }
    }

    @Test func turnsRequestsAwayWhileItDrains() throws {
        try Self.desk { desk, model in
            desk.obey(Self.order(1, TextRequest(prompt: .text("abc"), tokenLimit: 3)))
            desk.isDraining = true
            desk.obey(Self.order(2, TextRequest(prompt: .text("abc"), tokenLimit: 3)))
            let answers = Self.finish(&desk, model)
            #expect(answers.contains(ReplicaAnswer(1, .over)))
            let refusals = answers.filter { $0.number == 2 }.map(\.content)
            guard case .refused(let refusal)? = refusals.first else {
                Issue.record("\(refusals)")
                return
            }
            #expect(refusal.reason == .draining)
            desk.obey(Self.order(3, TextRequest(prompt: .text("abc"), tokenLimit: 3)))
            desk.giveUp("over")
            #expect(desk.isIdle)
        }
    }
}
