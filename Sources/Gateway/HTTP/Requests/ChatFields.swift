internal import JobSpecs
internal import Serving

/// What is peculiar to conversations: messages, tools, and what is refused by its name.
enum ChatFields {
    /// Fields that are taken only where they ask for nothing.
    static let keys: Set<String> = [
        "response_format", "modalities", "audio", "prediction", "reasoning_effort", "verbosity",
        "web_search_options", "functions", "function_call", "parallel_tool_calls", "service_tier",
        "store", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "moderation",
    ]

    private static let roles = ["system", "developer", "user", "assistant", "tool", "function"]
    private static let messageLimit = 4096

    /// Refuses by name what would have to change the answer and does not.
    static func check(_ fields: RequestFields) throws {
        try fields.refuse("response_format", "only {\"type\": \"text\"} is written") {
            $0["type"]?.stringValue == "text"
        }
        try fields.refuse("modalities", "only text is written") { $0 == .array([.string("text")]) }
        let foreign = [
            "audio", "prediction", "reasoning_effort", "verbosity", "web_search_options",
            "prompt_cache_options", "moderation",
        ]
        for key in foreign { try fields.refuse(key, "is not supported") }
        for key in ["functions", "function_call"] {
            try fields.refuse(key, "is not supported; tools and tool_choice are what it became")
        }
        try fields.refuse("parallel_tool_calls", "how many tools a model calls is its own choice") {
            $0 == .boolean(true)
        }
        try fields.refuse("service_tier", "there is one tier: auto or default") {
            ["auto", "default"].contains($0.stringValue)
        }
        try fields.refuse("store", "nothing is stored") { $0 == .boolean(false) }
        // Beginnings that are known are reused by themselves.
        _ = try fields.string("prompt_cache_key")
        try fields.refuse("prompt_cache_retention", "known beginnings are kept in memory alone") {
            ["in_memory", "in-memory"].contains($0.stringValue)
        }
    }

    /// The conversation, for the model's template.
    static func conversation(_ fields: RequestFields) throws -> TextRequest.Prompt {
        guard let value = fields["messages"] else {
            throw fields.wrong("messages", .null, "a list of messages")
        }
        guard let messages = value.arrayValue, (1...messageLimit).contains(messages.count) else {
            throw fields.wrong("messages", value, "a list of 1 to \(messageLimit) messages")
        }
        for (index, message) in messages.enumerated() { try check(message, "messages[\(index)]") }
        let sources = fields.source["messages"]?.elements ?? []
        let texts = zip(messages, sources).map { written($0, $1) }
        return .conversation(
            messages: "[\(texts.joined(separator: ","))]",
            tools: try tools(fields)
        )
    }

    private static func check(_ message: JSONValue, _ place: String) throws {
        guard let object = message.objectValue else {
            throw HTTPFailure.field(place, "\(place) is \(message.kindDescription), and no message")
        }
        guard let role = object["role"]?.stringValue, roles.contains(role) else {
            throw HTTPFailure.field(
                "\(place).role",
                "\(place).role is none of \(roles.joined(separator: ", "))"
            )
        }
        switch object["content"] ?? .null {
        case .string: return
        case .null:
            guard role == "assistant", object["tool_calls"] != nil else { break }
            return
        case .array(let parts):
            for (index, part) in parts.enumerated() {
                let type = part["type"]?.stringValue
                guard type == "text", part["text"]?.stringValue != nil else {
                    throw HTTPFailure.field(
                        "\(place).content[\(index)]",
                        "\(place).content[\(index)]: only parts of the type text are read",
                        code: "unsupported_parameter"
                    )
                }
            }
            return
        default: break
        }
        throw HTTPFailure.field("\(place).content", "\(place).content is no text")
    }

    /// A message as it was written, but for a text in parts, which templates take in one.
    private static func written(_ message: JSONValue, _ source: JSONSource) -> String {
        guard case .array(let parts)? = message["content"] else { return source.text }
        let text = parts.compactMap { $0["text"]?.stringValue }.joined()
        let members = source.members.map { key, value in
            JSONValue.string(key).canonicalText + ":"
                + (key == "content" ? JSONValue.string(text).canonicalText : value.text)
        }
        return "{\(members.joined(separator: ","))}"
    }

    /// The tools as they were written; nil if there are none, or none is to be called.
    private static func tools(_ fields: RequestFields) throws -> String? {
        try fields.refuse("tool_choice", "which tool is called is the model's choice: auto or none")
        {
            ["auto", "none"].contains($0.stringValue)
        }
        guard let value = fields["tools"] else { return nil }
        guard let tools = value.arrayValue else {
            throw fields.wrong("tools", value, "a list of tools")
        }
        for (index, tool) in tools.enumerated() {
            guard tool["type"]?.stringValue == "function",
                tool["function"]?["name"]?.stringValue != nil
            else {
                throw HTTPFailure.field(
                    "tools[\(index)]",
                    "tools[\(index)] is no {\"type\": \"function\", \"function\": {\"name\": …}}"
                )
            }
        }
        guard !tools.isEmpty, fields["tool_choice"]?.stringValue != "none" else { return nil }
        return fields.source["tools"]?.text
    }
}
