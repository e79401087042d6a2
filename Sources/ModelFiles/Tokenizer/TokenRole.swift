/// What a token is for, and how files call it.
///
/// - SeeAlso: llama.cpp, `gguf-py/gguf/constants.py` (its `seperator` is spelled so), and
///   Transformers' `SPECIAL_TOKENS_ATTRIBUTES`.
enum TokenRole: String, Sendable, CaseIterable {
    case beginning = "bos"
    case end = "eos"
    case unknown = "unk"
    case separator = "sep"
    case padding = "pad"
    case classification = "cls"
    case mask = "mask"
    case endOfTurn = "eot"
    case endOfMessage = "eom"

    /// The roles of tokens that end a text, the main one first.
    static let ends: [TokenRole] = [.end, .endOfTurn, .endOfMessage]

    /// The key of the token's text in tokenizer_config.json, as in `bos_token`.
    var textKey: String { "\(rawValue)_token" }

    /// The key of the token's number in GGUF metadata.
    var ggufKey: String {
        let name =
            switch self {
            case .unknown: "unknown"
            case .separator: "seperator"
            case .padding: "padding"
            case .beginning, .end, .classification, .mask, .endOfTurn, .endOfMessage: rawValue
            }
        return "tokenizer.ggml.\(name)_token_id"
    }

    /// Whether Transformers has an attribute for it; llama.cpp alone has the others.
    var isKnownToTransformers: Bool {
        switch self {
        case .endOfTurn, .endOfMessage: false
        case .beginning, .end, .unknown, .separator, .padding, .classification, .mask: true
        }
    }
}
