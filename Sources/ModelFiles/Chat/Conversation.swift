internal import Jinja
internal import OrderedCollections

/// What was said in turns: a line of JSON lines with `messages`, or with `conversations` as ShareGPT has them.
///
/// Messages are handed to the model's chat template as they stand, with all their members.
public struct Conversation {
    /// Of each message, `role`, `content` and what else the line has.
    let messages: [TemplateValue]
    /// Beside the messages: `tools`, and what `chat_template_kwargs` holds.
    let values: [String: TemplateValue]

    /// The keys of a line that hold a conversation.
    static let keys = ["messages", "conversations"]
    /// Names of a template's values that a line does not give.
    private static let own: Set<String> = [
        "messages", "add_generation_prompt", "continue_final_message",
    ]
    private static let assistant = "assistant"
    private static let messageLimit = 10_000

    /// Reads one.
    ///
    /// `line`: All members of the line. `place`: What messages call it.
    ///
    /// - Throws: ``ModelFileError`` (`malformed`) of what is no conversation, with its message.
    init(
        _ line: OrderedDictionary<String, TemplateValue>,
        place: String
    ) throws(ModelFileError) {
        guard let key = Self.keys.first(where: { line[$0] != nil }), let value = line[key] else {
            throw ModelFileError(.malformed, "\(place): no messages")
        }
        guard case .list(let items) = value, !items.isEmpty, items.count <= Self.messageLimit else {
            throw ModelFileError(
                .malformed,
                "\(place): \(key.debugDescription) is no list of 1 to \(Self.messageLimit) messages"
            )
        }
        var messages: [TemplateValue] = []
        for (index, item) in items.enumerated() {
            let place = "\(place): \(key)[\(index)]"
            guard case .object(let members) = item else {
                throw ModelFileError(.malformed, "\(place) is no object")
            }
            messages.append(
                .object(
                    try key == "messages"
                        ? Self.checked(members, place) : Self.turned(members, place)
                )
            )
        }
        self.messages = messages
        var values: [String: TemplateValue] = [:]
        values["tools"] = line["tools"]
        if let given = line["chat_template_kwargs"], !given.isNone {
            guard case .object(let members) = given else {
                throw ModelFileError(.malformed, "\(place): \"chat_template_kwargs\" is no object")
            }
            for (name, value) in members {
                guard !Self.own.contains(name) else {
                    throw ModelFileError(
                        .malformed,
                        "\(place): \"chat_template_kwargs\" cannot set \(name.debugDescription)"
                    )
                }
                values[name] = value
            }
        }
        self.values = values
    }

    private static func checked(
        _ members: OrderedDictionary<String, TemplateValue>,
        _ place: String
    ) throws(ModelFileError) -> OrderedDictionary<String, TemplateValue> {
        guard case .text(let role) = members["role"], !role.isEmpty else {
            throw ModelFileError(.malformed, "\(place): \"role\" is no text")
        }
        switch members["content"] {
        case .text, .list: return members
        case nil, .some(.none):
            // A message may do nothing but call.
            if let calls = members["tool_calls"], !calls.isNone { return members }
            throw ModelFileError(.malformed, "\(place): no \"content\", and no \"tool_calls\"")
        default:
            throw ModelFileError(
                .malformed,
                "\(place): \"content\" is neither a text nor a list of parts"
            )
        }
    }

    /// A message as ShareGPT has it: `from` and `value`.
    private static func turned(
        _ members: OrderedDictionary<String, TemplateValue>,
        _ place: String
    ) throws(ModelFileError) -> OrderedDictionary<String, TemplateValue> {
        guard case .text(let from) = members["from"], case .text(let value) = members["value"]
        else {
            throw ModelFileError(.malformed, "\(place): \"from\" and \"value\" are no texts")
        }
        let roles = [
            "human": "user", "user": "user", "gpt": assistant, "assistant": assistant,
            "model": assistant,
            "chatgpt": assistant, "system": "system", "tool": "tool", "function": "tool",
            "observation": "tool",
        ]
        guard let role = roles[from] else {
            throw ModelFileError(
                .malformed,
                "\(place): nobody is called \(from.debugDescription); expected \(roles.keys.sorted().joined(separator: ", "))"
            )
        }
        return ["role": .text(role), "content": .text(value)]
    }

    /// The messages that the model is to learn to write.
    var answers: [Int] {
        messages.indices.filter { index in
            guard case .object(let members) = messages[index],
                case .text(let role) = members["role"]
            else {
                return false
            }
            return role == Self.assistant
        }
    }
}

extension TemplateValue {
    var isNone: Bool {
        if case .none = self { true } else { false }
    }

    /// Reads a JSON value; objects keep their order.
    ///
    /// - Throws: ``ModelFileError`` (`malformed`), naming the byte.
    static func parse(
        _ scanner: inout JSONScanner,
        depth: Int = 0
    ) throws(ModelFileError) -> TemplateValue {
        guard depth < 64 else { throw scanner.failure("more than 64 levels") }
        switch scanner.peek() {
        case UInt8(ascii: "{"):
            return .object(try members(&scanner, depth: depth))
        case UInt8(ascii: "["):
            try scanner.expect("[")
            var items: [TemplateValue] = []
            var isMore = !scanner.take("]")
            while isMore {
                items.append(try parse(&scanner, depth: depth + 1))
                isMore = try scanner.hasNext(before: "]")
            }
            return .list(items)
        case UInt8(ascii: "\""): return .text(try scanner.string())
        case UInt8(ascii: "t"):
            try scanner.word("true")
            return .flag(true)
        case UInt8(ascii: "f"):
            try scanner.word("false")
            return .flag(false)
        case UInt8(ascii: "n"):
            try scanner.word("null")
            return .none
        default:
            return switch try scanner.number() {
            case .integer(let value): .integer(value)
            case .real(let value): .real(value)
            }
        }
    }

    /// Reads the members of an object, each key once.
    static func members(
        _ scanner: inout JSONScanner,
        depth: Int = 0
    ) throws(ModelFileError) -> OrderedDictionary<String, TemplateValue> {
        try scanner.expect("{")
        var members: OrderedDictionary<String, TemplateValue> = [:]
        var isMore = !scanner.take("}")
        while isMore {
            let key = try scanner.string()
            try scanner.expect(":")
            guard members.updateValue(try parse(&scanner, depth: depth + 1), forKey: key) == nil
            else {
                throw scanner.failure("\(key.debugDescription) a second time")
            }
            isMore = try scanner.hasNext(before: "}")
        }
        return members
    }
}
