internal import Transformer

/// A text that was written to its end.
public struct WrittenText: Sendable, Equatable {
    /// The text, without what ended it.
    public fileprivate(set) var text = ""
    /// The tokens that were drawn, that which ended it included.
    public fileprivate(set) var tokens: [Int32] = []
    /// Why it ended.
    public fileprivate(set) var finish = FinishReason.cancelled
    /// The string that ended it, where one did.
    public fileprivate(set) var stop: String?
}

/// What happens while many texts are written.
public enum WritingEvent: Sendable {
    /// A pass is over: so many tokens were drawn for texts that go on, all of theirs together.
    case pass(openTokens: Int, openTexts: Int)
    /// The text of the request at a place ended.
    case text(Int, WrittenText)
}

extension InferenceEngine {
    /// Writes texts behind many prompts, as many at a time as there is room for; each is what it would be alone.
    ///
    /// `body`: Called after each pass and with each text as it ends; throwing gives the rest up.
    ///
    /// - Precondition: ``objection(to:)`` has none, and nothing else is being written.
    /// - Throws: ``TransformerError`` (`nonFinite`) of logits that are no numbers; what `body` throws.
    public func write(
        _ requests: [GenerationRequest],
        _ body: (WritingEvent) throws -> Void
    ) throws {
        precondition(isIdle, "an engine that writes something else")
        var open: [Int: (place: Int, text: WrittenText)] = [:]
        var next = 0
        defer { for number in open.keys { cancel(number) } }
        while next < requests.count || !open.isEmpty {
            // A few wait, so that no place is empty for a pass.
            while next < requests.count, open.count < 2 * sequences {
                open[add(requests[next])] = (next, WrittenText())
                next += 1
            }
            for event in step(at: .zero) {
                guard let (place, known) = open[event.request] else { continue }
                var text = known
                text.text += event.text
                if let token = event.token { text.tokens.append(token.token) }
                guard let finish = event.finish else {
                    open[event.request] = (place, text)
                    continue
                }
                open[event.request] = nil
                guard finish != .nonFinite else {
                    throw TransformerError(
                        .nonFinite,
                        "a logit is NaN or infinite behind \(text.tokens.count) tokens of text \(place + 1)"
                    )
                }
                (text.finish, text.stop) = (finish, event.stop)
                try body(.text(place, text))
            }
            let tokens = open.values.reduce(0) { $0 + $1.text.tokens.count }
            try body(.pass(openTokens: tokens, openTexts: open.count))
        }
    }
}
