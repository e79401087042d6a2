/// JSON text as a tree, for small files of unknown origin: its depth and size are bounded, and an
/// object has each key once.
enum JSONValue: Sendable, Equatable {
    case null
    case flag(Bool)
    case integer(Int)
    /// Finite.
    case real(Double)
    case text(String)
    case list([JSONValue])
    case object([String: JSONValue])

    private static let depthLimit = 64

    /// Parses one value.
    ///
    /// `limit`: How many values the text may hold; each takes some tens of bytes of memory.
    ///
    /// - Throws: ``ModelFileError`` (`malformed`), naming the byte.
    static func parse(
        _ bytes: [UInt8],
        path: String,
        limit: Int
    ) throws(ModelFileError) -> JSONValue {
        // Typed throws do not pass through withUnsafeBytes.
        let result = bytes.withUnsafeBytes { buffer in
            Result { () throws(ModelFileError) in
                var scanner = JSONScanner(buffer, path: path)
                var budget = limit
                let value = try parse(&scanner, depth: 0, budget: &budget)
                try scanner.expectEnd()
                return value
            }
        }
        return try result.get()
    }

    /// Reads a file of one JSON object.
    static func object(
        path: String,
        byteLimit: Int,
        limit: Int
    ) throws(ModelFileError) -> JSONObject {
        let bytes = try FileSystem.read(path, limit: byteLimit)
        guard case .object(let members) = try parse(bytes, path: path, limit: limit) else {
            throw ModelFileError(.malformed, "\(path): no JSON object")
        }
        return JSONObject(members: members, place: path)
    }

    /// What kind of value it is, for messages.
    var kind: String {
        switch self {
        case .null: "null"
        case .flag: "a flag"
        case .integer: "an integer"
        case .real: "a number"
        case .text: "a text"
        case .list: "a list"
        case .object: "an object"
        }
    }

    /// Parses the next value; recursion ends at the depth limit.
    static func parse(
        _ scanner: inout JSONScanner,
        depth: Int,
        budget: inout Int
    ) throws(ModelFileError) -> JSONValue {
        guard depth < depthLimit else {
            throw scanner.failure("more than \(depthLimit) levels")
        }
        budget -= 1
        guard budget >= 0 else { throw scanner.failure("too many values") }
        switch scanner.peek() {
        case UInt8(ascii: "{"): return try members(&scanner, depth: depth, budget: &budget)
        case UInt8(ascii: "["):
            try scanner.expect("[")
            var list: [JSONValue] = []
            var isMore = !scanner.take("]")
            while isMore {
                list.append(try parse(&scanner, depth: depth + 1, budget: &budget))
                isMore = try scanner.hasNext(before: "]")
            }
            return .list(list)
        case UInt8(ascii: "\""): return .text(try scanner.string())
        case UInt8(ascii: "t"):
            try scanner.word("true")
            return .flag(true)
        case UInt8(ascii: "f"):
            try scanner.word("false")
            return .flag(false)
        case UInt8(ascii: "n"):
            try scanner.word("null")
            return .null
        default:
            if let word = scanner.foreignNumber() {
                throw scanner.failure("\(word), where a number or null belongs,")
            }
            switch try scanner.number() {
            case .integer(let value): return .integer(value)
            case .real(let value): return .real(value)
            }
        }
    }

    private static func members(
        _ scanner: inout JSONScanner,
        depth: Int,
        budget: inout Int
    ) throws(ModelFileError) -> JSONValue {
        try scanner.expect("{")
        var members: [String: JSONValue] = [:]
        var isMore = !scanner.take("}")
        while isMore {
            let key = try scanner.string()
            try scanner.expect(":")
            if let word = scanner.foreignNumber() {
                throw scanner.failure(
                    "\(key.debugDescription) is \(word), where a number or null belongs,"
                )
            }
            let value = try parse(&scanner, depth: depth + 1, budget: &budget)
            guard members.updateValue(value, forKey: key) == nil else {
                throw scanner.failure("\(key.debugDescription) a second time")
            }
            isMore = try scanner.hasNext(before: "}")
        }
        return .object(members)
    }
}
