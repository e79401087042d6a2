internal import AsyncAlgorithms
internal import HTTPTypes
internal import JobSpecs
internal import Serving

/// Has the texts of one request written, and tells them whole or piece by piece.
struct TextWriting: Sendable {
    /// What becomes known of a prompt's answers; nil at their end.
    private typealias Part = (prompt: Int, answer: TextAnswer?)

    let request: CompletionRequest
    /// The model's name.
    let model: String
    let principal: Principal
    let serving: any ModelServing
    let metrics: HTTPMetrics

    /// Answers a request; its prompts are at work at the same time.
    func run(_ answer: HTTPAnswer) async throws {
        let shapes = CompletionShapes(request, model: model, id: answer.id)
        var texts = WrittenTexts(request, shapes)
        defer { metrics.count(texts.usage, model) }
        // One at a time is told, and whoever reads slowly is waited for.
        let parts = AsyncThrowingChannel<Part, any Error>()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (number, prompt) in request.requests.enumerated() {
                group.addTask { await write(prompt, number, to: parts) }
            }
            defer { group.cancelAll() }
            var left = request.requests.count
            for try await part in parts {
                if let event = part.answer {
                    let pieces = try texts.take(event, of: part.prompt)
                    if !pieces.isEmpty { try await answer.send(events: pieces) }
                    continue
                }
                try texts.requireWhole(part.prompt)
                left -= 1
                if left == 0 { break }
            }
            // The parts end like that as well where their reader is cancelled.
            try Task.checkCancellation()
        }
        guard request.streams else { return try await answer.send(shapes.whole(texts)) }
        if request.includesUsage { try await answer.send(events: [shapes.usage(texts.usage)]) }
        try await answer.endEvents()
    }

    private func write(
        _ prompt: TextRequest,
        _ number: Int,
        to parts: AsyncThrowingChannel<Part, any Error>
    ) async {
        do {
            let answers = try await serving.answers(to: prompt, model: model, for: principal)
            for try await answer in answers { await parts.send((number, answer)) }
            await parts.send((number, nil))
        } catch {
            parts.fail(error)
        }
    }
}

/// A text that is being written, or is.
struct WrittenText: Sendable {
    var text = ""
    var tokens: [TextToken] = []
    /// Why it ended, in OpenAI's words; nil while it goes on.
    var reason: String?
    /// The string that ended it.
    var stop: String?
}

/// Tokens of a request.
struct TokenUsage: Sendable, Equatable {
    var prompt = 0
    var completion = 0
}

/// What is known of a request's texts, and what of it is to be told as it comes.
struct WrittenTexts: Sendable {
    private let request: CompletionRequest
    private let shapes: CompletionShapes
    /// Texts so far; of those that are told as they come only what later pieces depend on.
    private(set) var texts: [WrittenText]
    /// Tokens so far.
    private(set) var usage = TokenUsage()

    init(_ request: CompletionRequest, _ shapes: CompletionShapes) {
        self.request = request
        self.shapes = shapes
        texts = Array(
            repeating: WrittenText(),
            count: request.requests.reduce(0) { $0 + $1.count }
        )
    }

    /// Takes what became known of a prompt's answers; returns what is to be told of it at once.
    ///
    /// - Throws: ``HTTPFailure`` of an end that is none.
    mutating func take(_ event: TextAnswer, of prompt: Int) throws -> [JSONValue] {
        let places = places(prompt)
        switch event {
        case .accepted(let tokens):
            usage.prompt += tokens
            let beginning = shapes.beginning(prompt)
            for place in places { texts[place].text = beginning }
            return request.streams
                ? places.compactMap { shapes.first(place: $0, beginning) } : []
        case .text(let index, let text, let tokens):
            guard let place = place(index, places) else { return [] }
            guard request.streams else {
                texts[place].text += text
                texts[place].tokens += tokens
                return []
            }
            let before = texts[place].tokens
            if shapes.keepsTokens { texts[place].tokens += tokens }
            guard !text.isEmpty || !tokens.isEmpty else { return [] }
            let piece = WrittenText(text: text, tokens: tokens)
            return [shapes.piece(piece, place: place, after: before)]
        case .finished(let index, let reason, let stop, let tokens):
            guard let place = place(index, places) else { return [] }
            usage.completion += tokens
            texts[place].reason = try Self.word(reason)
            texts[place].stop = stop
            guard request.streams else { return [] }
            let last = WrittenText(reason: texts[place].reason, stop: stop)
            return [shapes.piece(last, place: place, after: [])]
        }
    }

    /// Checks that all answers to a prompt ended.
    ///
    /// - Throws: ``HTTPFailure`` if one did not.
    func requireWhole(_ prompt: Int) throws {
        guard texts[places(prompt)].contains(where: { $0.reason == nil }) else { return }
        throw HTTPFailure(
            .serviceUnavailable,
            "the replica that wrote this went away",
            type: "server_error",
            code: "replica_lost",
            retryAfter: 1
        )
    }

    private func places(_ prompt: Int) -> Range<Int> {
        let count = request.requests[prompt].count
        return prompt * count..<(prompt + 1) * count
    }

    /// Where an answer is, if there is one of this number.
    private func place(_ index: Int, _ places: Range<Int>) -> Int? {
        (0..<places.count).contains(index) ? places.lowerBound + index : nil
    }

    /// Why a text ended, in OpenAI's words.
    ///
    /// - Throws: ``HTTPFailure`` of an end that is none.
    private static func word(_ reason: String) throws -> String {
        switch reason {
        case "stop", "length": return reason
        case "deadline": throw HTTPFailure.timeout
        case "non_finite":
            throw HTTPFailure(
                .internalServerError,
                "the model came to numbers that are none (NaN or infinity)",
                type: "server_error",
                code: "non_finite"
            )
        default:
            throw HTTPFailure(
                .serviceUnavailable,
                "the replica ended the text: \(reason)",
                type: "server_error",
                code: "unavailable",
                retryAfter: 1
            )
        }
    }
}
