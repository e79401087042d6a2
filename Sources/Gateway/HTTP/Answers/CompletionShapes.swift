internal import Foundation
internal import JobSpecs
internal import Serving

/// Texts as OpenAI's API shows them, whole and in pieces, and as `/generate` does.
struct CompletionShapes: Sendable {
    private let request: CompletionRequest
    private let model: String
    private let id: String
    private let created = Date.now.timeIntervalSince1970.rounded(.down)

    init(_ request: CompletionRequest, model: String, id: String) {
        self.request = request
        self.model = model
        self.id = id
    }

    private var isChat: Bool { if case .chat = request.style { true } else { false } }

    /// Whether a piece depends on the tokens of those before it.
    var keepsTokens: Bool { !isChat && tellsTokens }

    private var tellsTokens: Bool { request.requests.first?.alternativeCount != nil }

    /// What an answer begins with before anything of it is written.
    func beginning(_ prompt: Int) -> String {
        guard case .completion(echoes: true) = request.style,
            case .text(let text) = request.requests[prompt].prompt
        else { return "" }
        return text
    }

    /// The piece that comes before all others of a text, if there is one.
    func first(place: Int, _ text: String) -> JSONValue? {
        if isChat {
            let delta: [String: JSONValue] = ["role": .string("assistant"), "content": .string("")]
            return chunk([choice(place, ["delta": .object(delta)], WrittenText(), after: [])])
        }
        guard !text.isEmpty else { return nil }
        return piece(WrittenText(text: text), place: place, after: [])
    }

    /// A piece of a text, after tokens that were told before.
    func piece(_ piece: WrittenText, place: Int, after tokens: [TextToken]) -> JSONValue {
        var content: [String: JSONValue] = [:]
        if isChat {
            let isEnd = piece.reason != nil
            content["delta"] = .object(isEnd ? [:] : ["content": .string(piece.text)])
        } else {
            content["text"] = .string(piece.text)
        }
        return chunk([choice(place, content, piece, after: tokens)])
    }

    /// The last piece, if the tokens are to be told.
    func usage(_ usage: TokenUsage) -> JSONValue {
        var chunk = envelope(isPiece: true)
        chunk["choices"] = .array([])
        chunk["usage"] = Self.usage(usage)
        return .object(chunk)
    }

    /// All texts.
    func whole(_ written: WrittenTexts) -> JSONValue {
        let texts = written.texts
        if case .plain(let isList) = request.style {
            let values = texts.map { JSONValue.string($0.text) }
            return .object(["generated_text": isList ? .array(values) : values[0]])
        }
        var answer = envelope(isPiece: false)
        answer["choices"] = .array(
            texts.enumerated().map { place, text in
                guard isChat else {
                    return choice(place, ["text": .string(text.text)], text, after: [])
                }
                let message: [String: JSONValue] = [
                    "role": .string("assistant"), "content": .string(text.text), "refusal": .null,
                ]
                return choice(place, ["message": .object(message)], text, after: [])
            }
        )
        answer["usage"] = Self.usage(written.usage)
        return .object(answer)
    }

    private func envelope(isPiece: Bool) -> [String: JSONValue] {
        let kind = isChat ? "chat.completion" + (isPiece ? ".chunk" : "") : "text_completion"
        return [
            "id": .string((isChat ? "chatcmpl-" : "cmpl-") + id), "object": .string(kind),
            "created": .number(created), "model": .string(model),
        ]
    }

    private func chunk(_ choices: [JSONValue]) -> JSONValue {
        var chunk = envelope(isPiece: true)
        chunk["choices"] = .array(choices)
        if request.includesUsage { chunk["usage"] = .null }
        return .object(chunk)
    }

    private func choice(
        _ place: Int,
        _ content: [String: JSONValue],
        _ text: WrittenText,
        after tokens: [TextToken]
    ) -> JSONValue {
        var choice = content
        choice["index"] = .number(Double(place))
        choice["finish_reason"] = text.reason.map { .string($0) } ?? .null
        if let stop = text.stop { choice["stop_reason"] = .string(stop) }
        choice["logprobs"] = .null
        if tellsTokens, !text.tokens.isEmpty {
            choice["logprobs"] =
                isChat
                ? Likelihoods.chat(text.tokens) : Likelihoods.completion(text.tokens, after: tokens)
        }
        return .object(choice)
    }

    private static func usage(_ usage: TokenUsage) -> JSONValue {
        .object([
            "prompt_tokens": .number(Double(usage.prompt)),
            "completion_tokens": .number(Double(usage.completion)),
            "total_tokens": .number(Double(usage.prompt + usage.completion)),
        ])
    }
}

/// Tokens with their likelihoods, as OpenAI's API shows them.
enum Likelihoods {
    /// Of conversations.
    static func chat(_ tokens: [TextToken]) -> JSONValue {
        let content = tokens.map { token -> JSONValue in
            var entry = entry(token.text, token.bytes, token.logProbability)
            entry["top_logprobs"] = .array(
                token.alternatives.map { .object(self.entry($0.text, $0.bytes, $0.logProbability)) }
            )
            return .object(entry)
        }
        return .object(["content": .array(content), "refusal": .null])
    }

    /// Of texts, after tokens that were told before.
    static func completion(_ tokens: [TextToken], after before: [TextToken]) -> JSONValue {
        // Where tokens begin, in characters as Python counts them: a byte that begins none belongs to the one
        // before.
        var begun = before.reduce(0) { $0 + characters($1.bytes) }
        var offsets: [JSONValue] = []
        for token in tokens {
            let isInside = token.bytes.first.map { $0 & 0xC0 == 0x80 } ?? false
            offsets.append(.number(Double(max(0, begun - (isInside ? 1 : 0)))))
            begun += characters(token.bytes)
        }
        let likely = tokens.map { token -> JSONValue in
            var entries = [token.text: number(token.logProbability)]
            for other in token.alternatives.reversed() {
                entries[other.text] = number(other.logProbability)
            }
            return .object(entries)
        }
        return .object([
            "tokens": .array(tokens.map { .string($0.text) }),
            "token_logprobs": .array(tokens.map { number($0.logProbability) }),
            "top_logprobs": .array(likely),
            "text_offset": .array(offsets),
        ])
    }

    private static func entry(
        _ text: String,
        _ bytes: [UInt8],
        _ logProbability: Float
    ) -> [String: JSONValue] {
        [
            "token": .string(text), "logprob": number(logProbability),
            "bytes": .array(bytes.map { .number(Double($0)) }),
        ]
    }

    /// A logarithm with the digits of a Float; what cannot be, as OpenAI's API writes it.
    private static func number(_ value: Float) -> JSONValue {
        .number(value.isFinite ? Double("\(value)") ?? Double(value) : -9999)
    }

    private static func characters(_ bytes: [UInt8]) -> Int {
        bytes.reduce(0) { $0 + ($1 & 0xC0 == 0x80 ? 0 : 1) }
    }
}
