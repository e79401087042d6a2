internal import JobSpecs
internal import Serving

/// A request for texts, whichever way it was put.
struct CompletionRequest: Sendable {
    /// How it is answered.
    enum Style: Sendable {
        /// `/generate`; a list for a list.
        case plain(isList: Bool)
        /// `/v1/completions`; whether prompts are told before what follows them.
        case completion(echoes: Bool)
        /// `/v1/chat/completions`.
        case chat
    }

    var style: Style
    /// The model's name; nil if there is only one to mean.
    var model: String?
    /// A request for each prompt, of as many answers each.
    var requests: [TextRequest]
    /// Whether it is answered piece by piece.
    var streams = false
    /// Whether the last piece tells how many tokens there were.
    var includesUsage = false

    /// Texts of one request, at most: prompts, and answers to each.
    static let textLimit = 128

    /// Fields that say something of the caller, or that change nothing here.
    private static let remarks: Set<String> = ["user", "metadata", "safety_identifier"]

    /// Reads the body of a `POST /generate`.
    ///
    /// - Throws: ``HTTPFailure`` that names the field.
    init(plain fields: RequestFields) throws {
        try fields.requireKnown(SamplingFields.keys.union(["prompt", "model", "max_tokens"]))
        let value = fields["prompt"]
        let prompts =
            value?.stringValue.map { [$0] } ?? value?.arrayValue?.compactMap(\.stringValue)
        guard let value, let prompts, prompts.count == value.arrayValue?.count ?? 1,
            (1...Self.textLimit).contains(prompts.count)
        else {
            throw fields.wrong(
                "prompt",
                value ?? .null,
                "a string, or a list of 1 to \(Self.textLimit) strings,"
            )
        }
        style = .plain(isList: value.arrayValue != nil)
        model = try fields.string("model")
        var request = TextRequest(
            prompt: .text(""),
            tokenLimit: try fields.integer("max_tokens", Self.tokenRange) ?? 512,
            temperature: 0.7,
            topP: 0.9
        )
        try SamplingFields.read(fields, into: &request)
        requests = prompts.map { prompt in
            var each = request
            each.prompt = .text(prompt)
            return each
        }
    }

    /// Reads the body of a `POST /v1/completions`.
    ///
    /// - Throws: ``HTTPFailure`` that names the field.
    init(completion fields: RequestFields) throws {
        try fields.requireKnown(
            SamplingFields.keys.union(Self.remarks).union([
                "prompt", "model", "max_tokens", "n", "best_of", "echo", "logprobs", "stream",
                "stream_options", "suffix",
            ])
        )
        model = try fields.string("model")
        var request = TextRequest(
            prompt: .text(""),
            tokenLimit: try fields.integer("max_tokens", Self.tokenRange) ?? 16,
            count: try fields.integer("n", 1...Self.textLimit) ?? 1,
            temperature: 1
        )
        try SamplingFields.read(fields, into: &request)
        request.alternativeCount = try fields.integer("logprobs", 0...5)
        let count = request.count
        try fields.refuse("best_of", "only as many texts are drawn as n asks for") {
            $0.integerValue == count
        }
        try fields.refuse("suffix", "text before a given end is not written") {
            $0.stringValue == ""
        }
        let prompts = try Self.prompts(fields)
        guard prompts.count * count <= Self.textLimit else {
            throw HTTPFailure.field(
                "n",
                "\(prompts.count) prompts and n \(count) ask for more than \(Self.textLimit) texts"
            )
        }
        let echoes = try fields.boolean("echo") ?? false
        if echoes {
            if request.alternativeCount != nil {
                throw HTTPFailure.field("echo", "echo: likelihoods of prompts are not told")
            }
            if prompts.contains(where: { if case .tokens = $0 { true } else { false } }) {
                throw HTTPFailure.field("echo", "echo: a prompt of tokens is not put into words")
            }
        }
        style = .completion(echoes: echoes)
        requests = prompts.map { prompt in
            var each = request
            each.prompt = prompt
            return each
        }
        try readStream(fields)
    }

    /// Reads the body of a `POST /v1/chat/completions`.
    ///
    /// - Throws: ``HTTPFailure`` that names the field.
    init(chat fields: RequestFields) throws {
        try fields.requireKnown(
            SamplingFields.keys.union(Self.remarks).union(ChatFields.keys).union([
                "messages", "model", "max_tokens", "max_completion_tokens", "n", "logprobs",
                "top_logprobs", "stream", "stream_options", "tools", "tool_choice",
            ])
        )
        try ChatFields.check(fields)
        style = .chat
        model = try fields.string("model")
        var request = TextRequest(
            prompt: try ChatFields.conversation(fields),
            tokenLimit: try Self.chatLimit(fields),
            count: try fields.integer("n", 1...Self.textLimit) ?? 1,
            temperature: 1
        )
        try SamplingFields.read(fields, into: &request)
        let alternatives = try fields.integer("top_logprobs", 0...20)
        if try fields.boolean("logprobs") ?? false {
            request.alternativeCount = alternatives ?? 0
        } else if alternatives != nil {
            throw HTTPFailure.field("top_logprobs", "top_logprobs is set, and logprobs is not true")
        }
        requests = [request]
        try readStream(fields)
    }

    private static let tokenRange = 1...Int(Int32.max)

    private static func chatLimit(_ fields: RequestFields) throws -> Int? {
        let old = try fields.integer("max_tokens", tokenRange)
        let new = try fields.integer("max_completion_tokens", tokenRange)
        if let old, let new, old != new {
            throw HTTPFailure.field(
                "max_tokens",
                "max_tokens is \(old) and max_completion_tokens is \(new): they mean the same"
            )
        }
        return new ?? old
    }

    private mutating func readStream(_ fields: RequestFields) throws {
        streams = try fields.boolean("stream") ?? false
        guard let value = fields["stream_options"] else { return }
        guard streams else {
            throw HTTPFailure.field(
                "stream_options",
                "stream_options is set, and stream is not true"
            )
        }
        guard let options = value.objectValue else {
            throw fields.wrong("stream_options", value, "an object")
        }
        for (key, value) in options.sorted(by: { $0.key < $1.key }) where value != .null {
            switch (key, value.booleanValue) {
            case ("include_usage", let flag?): includesUsage = flag
            // What would make all pieces equally long is not added.
            case ("include_obfuscation", false): break
            default:
                throw HTTPFailure.field(
                    "stream_options",
                    "stream_options takes include_usage, true or false, and include_obfuscation false",
                    code: "unsupported_parameter"
                )
            }
        }
    }

    /// A text, texts, tokens, or lists of tokens.
    private static func prompts(_ fields: RequestFields) throws -> [TextRequest.Prompt] {
        let need =
            "a string, a list of tokens, or a list of 1 to \(textLimit) of them,"
        guard let value = fields["prompt"] else { throw fields.wrong("prompt", .null, need) }
        if let text = value.stringValue { return [.text(text)] }
        if let tokens = tokens(value) { return [.tokens(tokens)] }
        let elements = value.arrayValue ?? []
        let prompts = elements.compactMap { element -> TextRequest.Prompt? in
            element.stringValue.map { .text($0) } ?? tokens(element).map { .tokens($0) }
        }
        guard prompts.count == elements.count, (1...textLimit).contains(prompts.count) else {
            throw fields.wrong("prompt", value, need)
        }
        return prompts
    }

    private static func tokens(_ value: JSONValue) -> [Int32]? {
        guard let elements = value.arrayValue, !elements.isEmpty else { return nil }
        let tokens = elements.compactMap { element in
            element.integerValue.flatMap { Int32(exactly: $0) }.flatMap { $0 >= 0 ? $0 : nil }
        }
        return tokens.count == elements.count ? tokens : nil
    }
}
