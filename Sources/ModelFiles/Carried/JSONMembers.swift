/// The members of a JSON object as they stand in a text: their order and the spelling of their values
/// stay when some of them are changed.
struct JSONMembers: Sendable {
    private struct Member: Sendable {
        let key: String
        /// The key as it stands, with its quotes.
        let keyText: [UInt8]
        var value: [UInt8]
    }

    private var members: [Member] = []

    /// Finds the members of a text that was read as an object before.
    ///
    /// `limit`: How many values the text may hold.
    ///
    /// - Throws: ``ModelFileError`` (`malformed`).
    init(_ bytes: [UInt8], path: String, limit: Int) throws(ModelFileError) {
        // Typed throws do not pass through withUnsafeBytes.
        let result = bytes.withUnsafeBytes { buffer in
            Result { () throws(ModelFileError) in
                try Self.members(of: buffer, path: path, limit: limit)
            }
        }
        members = try result.get()
    }

    private static func members(
        of buffer: UnsafeRawBufferPointer,
        path: String,
        limit: Int
    ) throws(ModelFileError) -> [Member] {
        var scanner = JSONScanner(buffer, path: path)
        var budget = limit
        var members: [Member] = []
        try scanner.expect("{")
        var isMore = !scanner.take("}")
        while isMore {
            _ = scanner.peek()
            let keyStart = scanner.offset
            let key = try scanner.string()
            let keyText = Array(buffer[keyStart..<scanner.offset])
            try scanner.expect(":")
            _ = scanner.peek()
            let start = scanner.offset
            _ = try JSONValue.parse(&scanner, depth: 1, budget: &budget)
            let value = Array(buffer[start..<scanner.offset])
            members.append(Member(key: key, keyText: keyText, value: value))
            isMore = try scanner.hasNext(before: "}")
        }
        try scanner.expectEnd()
        return members
    }

    /// Whether a key is there, be it null.
    func contains(_ key: String) -> Bool { members.contains { $0.key == key } }

    /// Whether a key says nothing.
    func isNullOrMissing(_ key: String) -> Bool {
        value(key)?.elementsEqual("null".utf8) ?? true
    }

    /// The value of a member as it stands.
    func value(_ key: String) -> [UInt8]? { members.first { $0.key == key }?.value }

    /// Gives a member another value, JSON text; a new one comes last.
    mutating func set(_ key: String, _ value: [UInt8]) {
        if let index = members.firstIndex(where: { $0.key == key }) {
            members[index].value = value
        } else {
            members.append(Member(key: key, keyText: Array("\"\(key)\"".utf8), value: value))
        }
    }

    mutating func remove(_ key: String) { members.removeAll { $0.key == key } }

    /// The object, a line for each member.
    var text: [UInt8] {
        var output = Array("{".utf8)
        for (index, member) in members.enumerated() {
            output += Array(index == 0 ? "\n  ".utf8 : ",\n  ".utf8)
            output += member.keyText + Array(": ".utf8) + member.value
        }
        return output + Array("\n}\n".utf8)
    }
}
