internal import Jinja
internal import OrderedCollections

extension ChatTemplate {
    /// The text that a model continues with its answer to a conversation of the kind of OpenAI's API.
    ///
    /// Messages are handed to the template as they stand, with all their members; a content that is a list of
    /// texts is one text to it. Its tokens are those of the text as it is.
    ///
    /// - Parameters:
    ///   - messages: A JSON array of messages with `role` and `content`.
    ///   - tools: A JSON array of tools, which the template puts; nil for none.
    /// - Returns: The text.
    /// - Throws: ``ModelFileError`` (`malformed`) of what is no conversation, or one that the template refuses,
    ///   in its own words; (`unsupported`) of what of Jinja is not rendered here.
    public func prompt(messages: String, tools: String?) throws(ModelFileError) -> String {
        var line: OrderedDictionary<String, TemplateValue> = [
            "messages": try Self.value(messages, "messages").joiningTexts()
        ]
        if let tools { line["tools"] = try Self.value(tools, "tools") }
        let conversation = try Conversation(line, place: "the conversation")
        return try renderer().prompt(conversation, place: "the conversation")
    }

    private static func value(_ json: String, _ name: String) throws(ModelFileError)
        -> TemplateValue
    {
        let bytes = Array(json.utf8)
        let result = bytes.withUnsafeBytes { buffer -> Result<TemplateValue, ModelFileError> in
            do throws(ModelFileError) {
                var scanner = JSONScanner(buffer, path: name)
                let value = try TemplateValue.parse(&scanner)
                guard scanner.peek() == nil else { throw scanner.failure("more than one value") }
                return .success(value)
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}

extension TemplateValue {
    /// Messages whose contents are texts where they were lists of nothing but texts.
    ///
    /// Most templates know no lists, and print them as Python does.
    fileprivate func joiningTexts() -> TemplateValue {
        guard case .list(let messages) = self else { return self }
        return .list(
            messages.map { message in
                guard case .object(var members) = message,
                    case .list(let parts) = members["content"]
                else { return message }
                let texts = parts.map { part -> String? in
                    guard case .object(let members) = part, case .text("text") = members["type"],
                        case .text(let text) = members["text"]
                    else { return nil }
                    return text
                }
                let known = texts.compactMap { $0 }
                guard !parts.isEmpty, known.count == texts.count else { return message }
                members["content"] = .text(known.joined(separator: "\n"))
                return .object(members)
            }
        )
    }
}
