internal import CWire
public import Serving

extension TextRequest: WireMessage {
    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_text_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        self.init(prompt: try Self.prompt(reader))
        tokenLimit = reader.optionalInt64(5).map(Int.init(clamping:))
        count = max(1, Int(reader.uint32(6)))
        temperature = reader.double(7)
        topP = reader.optionalDouble(8) ?? 1
        topK = Int(reader.uint32(9))
        minP = reader.double(10)
        repetitionPenalty = reader.optionalDouble(11) ?? 1
        presencePenalty = reader.double(12)
        frequencyPenalty = reader.double(13)
        logitBias = try Self.bias(reader.bytes(14))
        seed = reader.optionalInt64(15).map(UInt64.init(bitPattern:))
        stops = try reader.byteLists(16).map { String(decoding: $0, as: UTF8.self) }
        alternativeCount = reader.optionalInt64(17).map(Int.init(clamping:))
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        switch prompt {
        case .text(let text): writer.set(1, Optional(Array(text.utf8)))
        case .tokens(let tokens): writer.set(2, Optional(TokenBytes.encode(tokens)))
        case .conversation(let messages, let tools):
            writer.set(3, Optional(Array(messages.utf8)))
            writer.set(4, tools.map { Array($0.utf8) })
        }
        writer.set(5, tokenLimit.map(Int64.init))
        writer.set(6, UInt32(clamping: count))
        writer.set(7, temperature)
        writer.set(8, Optional(topP))
        writer.set(9, UInt32(clamping: topK))
        writer.set(10, minP)
        writer.set(11, Optional(repetitionPenalty))
        writer.set(12, presencePenalty)
        writer.set(13, frequencyPenalty)
        let bias = logitBias.sorted { $0.key < $1.key }.flatMap { token, value in
            TokenBytes.encode([token, Int32(bitPattern: value.bitPattern)])
        }
        writer.set(14, bias)
        writer.set(15, seed.map(Int64.init(bitPattern:)))
        writer.set(16, stops.map { Array($0.utf8) })
        writer.set(17, alternativeCount.map(Int64.init))
    }

    private static func prompt(_ reader: MessageReader) throws -> Prompt {
        func text(_ number: UInt32) -> String? {
            reader.optionalBytes(number).map { String(decoding: $0, as: UTF8.self) }
        }
        let tokens = try reader.optionalBytes(2).map { try TokenBytes.decode($0) }
        switch (text(1), tokens, text(3)) {
        case (let text?, nil, nil): return .text(text)
        case (nil, let tokens?, nil): return .tokens(tokens)
        case (nil, nil, let messages?): return .conversation(messages: messages, tools: text(4))
        default:
            throw RPCError(
                .invalidArgument,
                "TextRequest has one of text, tokens and messages, not none and not several"
            )
        }
    }

    private static func bias(_ bytes: [UInt8]) throws -> [Int32: Float] {
        let words = try TokenBytes.decode(bytes)
        guard words.count % 2 == 0 else {
            throw RPCError(.invalidArgument, "TextRequest.logit_bias has half a pair")
        }
        return stride(from: 0, to: words.count, by: 2).reduce(into: [:]) { bias, index in
            bias[words[index]] = Float(bitPattern: UInt32(bitPattern: words[index + 1]))
        }
    }
}

/// Tokens as bytes: 4 each, little-endian.
enum TokenBytes {
    static func encode(_ tokens: [Int32]) -> [UInt8] {
        tokens.flatMap { token in
            let bits = UInt32(bitPattern: token)
            return (0..<4).map { UInt8(truncatingIfNeeded: bits >> (8 * UInt32($0))) }
        }
    }

    static func decode(_ bytes: [UInt8]) throws -> [Int32] {
        guard bytes.count % 4 == 0 else {
            throw RPCError(.invalidArgument, "\(bytes.count) bytes are no tokens of 4 bytes each")
        }
        return stride(from: 0, to: bytes.count, by: 4).map { start in
            Int32(
                bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[start + $1]) << (8 * UInt32($1)) }
            )
        }
    }
}

extension TextToken: WireMessage {
    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_text_token())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        self.init(
            bytes: reader.bytes(1),
            logProbability: Float(reader.double(2)),
            alternatives: try reader.messages(3)
        )
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, bytes)
        writer.set(2, Double(logProbability))
        writer.set(3, alternatives)
    }
}

extension TextToken.Alternative: WireMessage {
    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_token_alternative())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        self.init(bytes: reader.bytes(1), logProbability: Float(reader.double(2)))
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, bytes)
        writer.set(2, Double(logProbability))
    }
}

extension TextAnswer: WireMessage {
    private enum Kind: UInt32, CaseIterable {
        case accepted = 1
        case text, finished
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_text_answer())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        let kind: Kind = try reader.enumeration(1)
        let index = Int(reader.uint32(2))
        let count = Int(reader.uint32(5))
        switch kind {
        case .accepted: self = .accepted(promptTokens: count)
        case .text:
            let text = String(decoding: reader.bytes(3), as: UTF8.self)
            self = .text(index: index, text, tokens: try reader.messages(4))
        case .finished:
            self = .finished(
                index: index,
                reason: try reader.text(6),
                stop: reader.optionalBytes(7).map { String(decoding: $0, as: UTF8.self) },
                tokens: count
            )
        }
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        switch self {
        case .accepted(let promptTokens):
            writer.set(1, Kind.accepted)
            writer.set(5, UInt32(clamping: promptTokens))
        case .text(let index, let text, let tokens):
            writer.set(1, Kind.text)
            writer.set(2, UInt32(clamping: index))
            writer.set(3, Array(text.utf8))
            writer.set(4, tokens)
        case .finished(let index, let reason, let stop, let tokens):
            writer.set(1, Kind.finished)
            writer.set(2, UInt32(clamping: index))
            writer.set(5, UInt32(clamping: tokens))
            writer.set(6, reason)
            writer.set(7, stop.map { Array($0.utf8) })
        }
    }
}
