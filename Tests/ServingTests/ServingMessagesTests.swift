internal import Protocol
internal import Serving
internal import Testing

/// What is sent comes as it was.
struct ServingMessagesTests {
    @Test(arguments: [
        TextRequest.Prompt.text(""), .text("zero\u{0}byte, 😀"), .tokens([]),
        .tokens([0, 1, -1, .max]),
        .conversation(messages: "[]", tools: nil), .conversation(messages: "[1]", tools: "[2]"),
    ])
    func requestsComeAsTheyWere(prompt: TextRequest.Prompt) throws {
        let plain = TextRequest(prompt: prompt)
        #expect(try TextRequest(encoded: plain.encoded()) == plain)
        let full = TextRequest(
            prompt: prompt,
            tokenLimit: 7,
            count: 3,
            temperature: 0.7,
            topP: 0.9,
            topK: 40,
            minP: 0.05,
            repetitionPenalty: 1.1,
            presencePenalty: -0.5,
            frequencyPenalty: 0.25,
            logitBias: [5: -100, 2: 1.5],
            seed: .max,
            stops: ["\n", "end"],
            alternativeCount: 0
        )
        #expect(try TextRequest(encoded: full.encoded()) == full)
    }

    @Test(arguments: [
        ReplicaAnswer.Content.answer(.accepted(promptTokens: 9)),
        .answer(.text(index: 1, "a\u{0}b", tokens: [])),
        .answer(
            .text(
                index: 0,
                "é",
                tokens: [
                    TextToken(
                        bytes: [0xC3],
                        logProbability: -0.25,
                        alternatives: [.init(bytes: [0x41], logProbability: -1.5)]
                    )
                ]
            )
        ),
        .answer(.finished(index: 2, reason: "stop", stop: "", tokens: 4)),
        .answer(.finished(index: 0, reason: "length", stop: nil, tokens: 0)),
        .tokens([3, 1, 2]), .over, .refused(ReplicaRefusal(.invalid, "no")),
        .refused(ReplicaRefusal(.draining, "")), .refused(ReplicaRefusal(.failed, "NaN")),
    ])
    func answersComeAsTheyWere(content: ReplicaAnswer.Content) throws {
        var report = ReplicaReport()
        report.isDraining = true
        report.load.drawnTokens = 12
        report.load.texts = 3
        report.probe.seconds = 0.5
        let request = TellAnswersRequest(
            jobID: "j",
            epoch: 3,
            bootID: "b",
            answers: [ReplicaAnswer(.max, content)],
            report: report
        )
        #expect(try TellAnswersRequest(encoded: request.encoded()) == request)
    }

    @Test func ordersComeAsTheyWere() throws {
        let request = TextRequest(prompt: .text("x"))
        for action in ReplicaOrder.Action.allCases {
            let order = ReplicaOrder(action, number: 1 << 60, request: request)
            #expect(try ReplicaOrder(encoded: order.encoded()) == order)
        }
    }

    @Test func refusesRequestsWithoutAPrompt() {
        #expect(throws: RPCError.self) { try TextRequest(encoded: []) }
    }
}
