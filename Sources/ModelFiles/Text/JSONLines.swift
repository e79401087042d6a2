internal import Jinja

/// The texts in a JSONL file: one object a line, with a text under the key, or a conversation.
///
/// Empty lines are skipped; lines end with LF or CRLF.
struct JSONLines {
    private let bytes: UnsafeRawBufferPointer
    private let name: String
    private let key: String
    private let keyOption: String

    private static let lineLimit = 256 << 20
    private static let depthLimit = 64
    private static let keysNamed = 8

    init(_ bytes: UnsafeRawBufferPointer, name: String, key: String, keyOption: String) {
        self.bytes = bytes
        self.name = name
        self.key = key
        self.keyOption = keyOption
    }

    /// Whether a file of another name begins with two objects, a line each.
    static func look(like bytes: UnsafeRawBufferPointer) -> Bool {
        let start = bytes.prefix(1 << 16)
        let lines = start.split(separator: UInt8(ascii: "\n"), maxSplits: 2).prefix(2)
        return lines.count == 2
            && lines.allSatisfy { line in
                let trimmed = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
                return trimmed.starts(with: "{\"".utf8) && trimmed.last == UInt8(ascii: "}")
            }
    }

    /// Hands out the documents until `body` answers false.
    func forEachDocument(_ body: (TextDocument) -> Bool) throws(ModelFileError) {
        var start = 0
        var number = 0
        var count = 0
        while start < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[start...])
            let length = rest.firstIndex(of: UInt8(ascii: "\n")) ?? rest.count
            number += 1
            let line = UnsafeRawBufferPointer(rebasing: rest[..<length])
            if let document = try document(of: line, number: number, at: start) {
                count += 1
                guard body(document) else { return }
            }
            start += length + 1
        }
        guard count > 0 else { throw ModelFileError(.tooShort, "\(name): no line holds a text") }
    }

    /// What a line holds; nil if the line is empty.
    private func document(
        of line: UnsafeRawBufferPointer,
        number: Int,
        at offset: Int
    ) throws(ModelFileError) -> TextDocument? {
        let place = "\(name): line \(number), from byte \(offset)"
        guard line.count <= Self.lineLimit else {
            throw ModelFileError(
                .malformed,
                "\(place): \(line.count) bytes, more than a line's limit of \(Self.lineLimit)"
            )
        }
        var scanner = JSONScanner(line, path: place)
        guard let first = scanner.peek() else { return nil }
        guard first == UInt8(ascii: "{") else {
            let output = TextForm.unused(name.hasSuffix(".json") ? name + "l" : name + ".jsonl")
            let advice =
                first == UInt8(ascii: "[")
                ? "; a JSON list becomes lines by: jq -c '.[]' \(TextForm.quoted(name)) > "
                    + TextForm.quoted(output)
                : "; name a plain text .txt"
            throw ModelFileError(.malformed, "\(place): no JSON object a line\(advice)")
        }
        let members: (text: String?, others: [String], isConversation: Bool)
        do {
            members = try self.members(&scanner, place)
            if members.text == nil, members.isConversation {
                var scanner = JSONScanner(line, path: place)
                let conversation = try Conversation(
                    try TemplateValue.members(&scanner),
                    place: place
                )
                return .conversation(conversation, place: place)
            }
        } catch  where error.message.contains("not valid JSON") {
            throw ModelFileError(
                .malformed,
                "\(error.message); expected one JSON object a line (jq -c . makes such lines)"
            )
        }
        let (text, others, _) = members
        guard let text else {
            let found = others.isEmpty ? "none" : others.joined(separator: ", ")
            throw ModelFileError(
                .malformed,
                """
                \(place): no key \(key.debugDescription); its keys: \(found); name the one that \
                holds the text \(keyOption)
                """
            )
        }
        return .text(text)
    }

    /// The text, the first other keys, and whether one of them holds a conversation.
    private func members(
        _ scanner: inout JSONScanner,
        _ place: String
    ) throws(ModelFileError) -> (text: String?, others: [String], isConversation: Bool) {
        var text: String?
        var others: [String] = []
        var isConversation = false
        try scanner.expect("{")
        var isMore = !scanner.take("}")
        while isMore {
            let member = try scanner.string()
            try scanner.expect(":")
            if Conversation.keys.contains(member) {
                isConversation = true
                try Self.skip(&scanner, depth: 1)
            } else if member == key {
                guard text == nil else {
                    throw scanner.failure("\(key.debugDescription) a second time")
                }
                guard scanner.peek() == UInt8(ascii: "\"") else {
                    // What is no value at all is broken, whatever its key.
                    try Self.skip(&scanner, depth: 1)
                    throw ModelFileError(
                        .malformed,
                        "\(place): \(key.debugDescription) is no text"
                    )
                }
                text = try scanner.string()
            } else {
                if others.count < Self.keysNamed { others.append(member) }
                try Self.skip(&scanner, depth: 1)
            }
            isMore = try scanner.hasNext(before: "}")
        }
        try scanner.expectEnd()
        return (text, others, isConversation)
    }

    /// Takes a value of any kind; recursion ends at the depth limit.
    private static func skip(_ scanner: inout JSONScanner, depth: Int) throws(ModelFileError) {
        guard depth < depthLimit else { throw scanner.failure("more than \(depthLimit) levels") }
        switch scanner.peek() {
        case UInt8(ascii: "{"):
            try scanner.expect("{")
            var isMore = !scanner.take("}")
            while isMore {
                _ = try scanner.string()
                try scanner.expect(":")
                try skip(&scanner, depth: depth + 1)
                isMore = try scanner.hasNext(before: "}")
            }
        case UInt8(ascii: "["):
            try scanner.expect("[")
            var isMore = !scanner.take("]")
            while isMore {
                try skip(&scanner, depth: depth + 1)
                isMore = try scanner.hasNext(before: "]")
            }
        case UInt8(ascii: "\""): _ = try scanner.string()
        case UInt8(ascii: "t"): try scanner.word("true")
        case UInt8(ascii: "f"): try scanner.word("false")
        case UInt8(ascii: "n"): try scanner.word("null")
        default: _ = try scanner.number()
        }
    }
}
