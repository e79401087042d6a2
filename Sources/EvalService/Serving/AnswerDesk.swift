internal import Inference
internal import ModelFiles
internal import Serving

/// The requests that an engine answers: which of its texts are whose, and what became known of them.
///
/// Not for concurrent use.
struct AnswerDesk {
    private struct Text {
        let request: UInt64
        let index: Int
        let tellsTokens: Bool
        var tokenCount = 0
    }

    private let reader: RequestReader
    private let model: LoadedEngine
    private var engine: InferenceEngine { model.engine }
    /// By the engine's numbers.
    private var texts: [Int: Text] = [:]
    /// The engine's numbers that have not ended, by request.
    private var open: [UInt64: Set<Int>] = [:]
    /// What is to be told.
    private var answers: [ReplicaAnswer] = []
    /// Whether requests are turned away.
    var isDraining = false
    /// Requests that were answered to their end, answers that ended, and tokens of those.
    private(set) var counts = (requests: 0, texts: 0, tokens: 0)

    init(_ model: LoadedEngine, _ reader: RequestReader) {
        self.model = model
        self.reader = reader
    }

    /// Whether nobody waits for anything.
    var isIdle: Bool { open.isEmpty }
    /// Texts that are under way.
    var textCount: Int { texts.count }

    /// Does what it is told.
    mutating func obey(_ order: ReplicaOrder) {
        switch (order.action, order.request) {
        case (.begin, _): for number in open.keys { cancel(number) }
        case (.cancel, _): cancel(order.number)
        case (.write, let request?) where !isDraining: write(request, order.number)
        case (.tokenize, let request?) where !isDraining: tokenize(request, order.number)
        case (.write, _?), (.tokenize, _?):
            refuse(order.number, .draining, "the replica takes no more requests")
        case (.write, nil), (.tokenize, nil):
            refuse(order.number, .invalid, "the order carries no request")
        }
    }

    private mutating func write(_ request: TextRequest, _ number: UInt64) {
        do throws(RefusedRequest) {
            let generations = try reader.requests(for: request)
            for (index, generation) in generations.enumerated() {
                let text = engine.add(generation)
                texts[text] = Text(
                    request: number,
                    index: index,
                    tellsTokens: generation.alternativeCount != nil
                )
                open[number, default: []].insert(text)
            }
            let count = generations[0].prompt.count
            answers.append(ReplicaAnswer(number, .answer(.accepted(promptTokens: count))))
        } catch {
            refuse(number, .invalid, error.message)
        }
    }

    private mutating func tokenize(_ request: TextRequest, _ number: UInt64) {
        do throws(RefusedRequest) {
            answers.append(ReplicaAnswer(number, .tokens(try reader.tokens(of: request.prompt))))
        } catch {
            refuse(number, .invalid, error.message)
        }
    }

    private mutating func refuse(
        _ number: UInt64,
        _ reason: ReplicaRefusal.Reason,
        _ message: String
    ) {
        answers.append(ReplicaAnswer(number, .refused(ReplicaRefusal(reason, message))))
    }

    private mutating func cancel(_ number: UInt64) {
        for text in open.removeValue(forKey: number) ?? [] {
            engine.cancel(text)
            texts[text] = nil
        }
    }

    /// Gives all up that is under way, and says why.
    mutating func giveUp(_ message: String) {
        for number in open.keys.sorted() {
            cancel(number)
            refuse(number, .failed, message)
        }
    }

    /// Takes what the engine says of a text; returns whether the text is one of a request.
    mutating func take(_ event: GenerationEvent) -> Bool {
        guard var text = texts[event.request] else { return false }
        if event.token != nil { text.tokenCount += 1 }
        texts[event.request] = text
        if event.finish == .nonFinite {
            cancel(text.request)
            refuse(text.request, .failed, "a logit of the model is NaN or infinite")
            return true
        }
        let tokens = text.tellsTokens ? token(of: event).map { [$0] } ?? [] : []
        if !event.text.isEmpty || !tokens.isEmpty {
            tell(text.request, .text(index: text.index, event.text, tokens: tokens))
        }
        if let finish = event.finish { end(text, event, finish) }
        return true
    }

    private mutating func end(_ text: Text, _ event: GenerationEvent, _ reason: FinishReason) {
        tell(
            text.request,
            .finished(
                index: text.index,
                reason: reason.rawValue,
                stop: event.stop,
                tokens: text.tokenCount
            )
        )
        texts[event.request] = nil
        counts.texts += 1
        counts.tokens += text.tokenCount
        open[text.request]?.remove(event.request)
        guard open[text.request]?.isEmpty == true else { return }
        open[text.request] = nil
        counts.requests += 1
        answers.append(ReplicaAnswer(text.request, .over))
    }

    private mutating func tell(_ number: UInt64, _ answer: TextAnswer) {
        answers.append(ReplicaAnswer(number, .answer(answer)))
    }

    /// What is to be told by now, once.
    mutating func takeAnswers() -> [ReplicaAnswer] {
        defer { answers.removeAll(keepingCapacity: true) }
        return answers
    }

    /// A drawn token that is part of the text, which one that ends it is not.
    private func token(of event: GenerationEvent) -> TextToken? {
        guard let token = event.token, let likelihood = token.logProbability,
            event.finish != .stop || event.stop != nil
        else { return nil }
        return TextToken(
            bytes: model.tokenizer.bytes(of: token.token),
            logProbability: max(likelihood, -.greatestFiniteMagnitude),
            alternatives: token.alternatives.map {
                TextToken.Alternative(
                    bytes: model.tokenizer.bytes(of: $0.token),
                    logProbability: max($0.logProbability, -.greatestFiniteMagnitude)
                )
            }
        )
    }
}
