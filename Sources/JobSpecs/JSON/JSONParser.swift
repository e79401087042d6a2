/// Reads one JSON document, strictly as RFC 8259 has it.
///
/// Refused beyond the grammar: duplicate keys, byte order marks, invalid UTF-8, lone surrogates,
/// numbers that do not fit a double, more bytes than allowed and nesting deeper than ``maximumDepth``.
public struct JSONParser {
    /// Longest job file accepted.
    public static let maximumByteCount = 256 * 1024
    /// Deepest nesting accepted.
    public static let maximumDepth = 32

    /// A parsed document: its value, and the 1-based line on which each path's value starts.
    public struct Document: Sendable {
        /// The value.
        public let value: JSONValue
        /// Lines by path, such as `$.optim.betas[1]`.
        public let lines: [String: Int]
        /// The numbers that are written with a point or an exponent, as they are written, by path:
        /// `1.0` and `1e0`, but not `1`, which is the same number.
        public let fractions: [String: String]

        /// A document that was read from another notation, or changed.
        public init(value: JSONValue, lines: [String: Int], fractions: [String: String]) {
            self.value = value
            self.lines = lines
            self.fractions = fractions
        }
    }

    /// The end of the sentence that refuses a number beyond all.
    static let tooLarge = "is too large for a number"

    /// Bytes after which paths that are not kept do not grow.
    private static let pathByteCount = 256
    private static let digits = UInt8(ascii: "0")...UInt8(ascii: "9")

    private let bytes: [UInt8]
    /// What is read, as errors call it.
    private let name: String
    /// Whether somebody will ask where things stand: of a long document that is much to remember.
    private let keepsPlaces: Bool
    private var position = 0
    private var line = 1
    private var lines: [String: Int] = [:]
    private var fractions: [String: String] = [:]

    private init(_ bytes: [UInt8], _ name: String, keepsPlaces: Bool) {
        self.bytes = bytes
        self.name = name
        self.keepsPlaces = keepsPlaces
    }

    /// Parses a whole file.
    ///
    /// - Throws: ``JobSpecError`` (`invalidJSON`) with the line of the mistake.
    public static func parse(_ bytes: [UInt8]) throws(JobSpecError) -> Document {
        guard bytes.count > maximumByteCount || !looksLikeYAML(bytes) else {
            throw JobSpecError(
                .invalidJSON,
                "the file looks like YAML, which is read from files named .yaml or .yml"
            )
        }
        return try document(bytes, "the file", byteLimit: maximumByteCount, keepsPlaces: true)
    }

    /// The value of a document that is no file, such as a request; `name` is what errors call it.
    ///
    /// - Throws: ``JobSpecError`` (`invalidJSON`) with the line of the mistake.
    public static func value(
        of bytes: [UInt8],
        name: String,
        byteLimit: Int
    ) throws(JobSpecError) -> JSONValue {
        try document(bytes, name, byteLimit: byteLimit, keepsPlaces: false).value
    }

    private static func document(
        _ bytes: [UInt8],
        _ name: String,
        byteLimit: Int,
        keepsPlaces: Bool
    ) throws(JobSpecError) -> Document {
        guard bytes.count <= byteLimit else {
            throw JobSpecError(
                .invalidJSON,
                "\(name) has \(bytes.count) bytes; at most \(byteLimit) are allowed"
            )
        }
        guard String(validating: bytes, as: UTF8.self) != nil else {
            throw JobSpecError(.invalidJSON, "\(name) is not UTF-8 text")
        }
        guard !bytes.starts(with: [0xEF, 0xBB, 0xBF]) else {
            throw JobSpecError(
                .invalidJSON,
                "\(name) starts with a byte order mark; save it without"
            )
        }
        var parser = JSONParser(bytes, name, keepsPlaces: keepsPlaces)
        let value = try parser.parseValue(path: "$", depth: 0)
        parser.skipSpace()
        guard parser.position == bytes.count else {
            throw parser.failure("expected the end of \(name), found \(parser.found)")
        }
        return Document(value: value, lines: parser.lines, fractions: parser.fractions)
    }

    private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    private var found: String {
        guard let byte = current else {
            return "the end of \(name)"
        }
        let rest = String(decoding: bytes[position...].prefix(8), as: UTF8.self)
        return byte < 0x20 ? "a control character" : "'\(rest.prefix(1))'"
    }

    /// What to write instead of what stands here, where people or Python write something else.
    private var advice: String {
        let rest = bytes[position...]
        let habits: [(String, String)] = [
            ("//", "JSON has no comments; leave them out"),
            ("/*", "JSON has no comments; leave them out"),
            ("#", "JSON has no comments; leave them out"),
            ("NaN", "JSON has no NaN; write a number"), ("nan", "JSON has no NaN; write a number"),
            ("Infinity", "JSON has no infinity; write a number"), ("True", "write true"),
            ("False", "write false"), ("None", "write null"), ("'", "write \" around strings"),
            (".", "write a digit before the point"), ("+", "leave the sign out"),
        ]
        return habits.first { rest.starts(with: $0.0.utf8) }.map { "; \($0.1)" } ?? ""
    }

    /// Whether the first line that says something is `key: value`, a list's `- ` or `---`.
    public static func looksLikeYAML(_ bytes: [UInt8]) -> Bool {
        let start = String(decoding: bytes.prefix(4096), as: UTF8.self)
        let lines = start.split(whereSeparator: \.isNewline).map { $0.drop { $0 == " " } }
        guard let line = lines.first(where: { !$0.isEmpty && !$0.hasPrefix("#") }) else {
            return false
        }
        guard !line.hasPrefix("---"), !line.hasPrefix("- ") else {
            return true
        }
        let key = line.prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "-" }
        let rest = line[key.endIndex...]
        return !key.isEmpty && (rest == ":" || rest.hasPrefix(": "))
    }

    private func failure(_ message: String, path: String = "$") -> JobSpecError {
        JobSpecError(.invalidJSON, [.init(path: path, message: message, line: line)])
    }

    /// The path of what is within another; where only errors name it, that of its surroundings once these have a
    /// long one: a name of half a document before as many elements would be copied for each of them.
    private func extended(_ path: String, _ whole: () -> String) -> String {
        keepsPlaces || path.utf8.count < Self.pathByteCount ? whole() : path
    }

    private mutating func skipSpace() {
        while let byte = current, byte == 0x20 || (0x09...0x0D).contains(byte) {
            guard byte != 0x0B, byte != 0x0C else {
                return
            }
            line += byte == 0x0A ? 1 : 0
            position += 1
        }
    }

    private mutating func parseValue(path: String, depth: Int) throws(JobSpecError) -> JSONValue {
        guard depth <= Self.maximumDepth else {
            throw failure("nested deeper than \(Self.maximumDepth) levels", path: path)
        }
        skipSpace()
        if keepsPlaces { lines[path] = line }
        switch current {
        case UInt8(ascii: "{"): return try parseObject(path: path, depth: depth)
        case UInt8(ascii: "["): return try parseArray(path: path, depth: depth)
        case UInt8(ascii: "\""): return .string(try parseString(path: path))
        case UInt8(ascii: "t"): return try parseWord("true", .boolean(true), path: path)
        case UInt8(ascii: "f"): return try parseWord("false", .boolean(false), path: path)
        case UInt8(ascii: "n"): return try parseWord("null", .null, path: path)
        case let byte? where byte == UInt8(ascii: "-") || Self.digits.contains(byte):
            return .number(try parseNumber(path: path))
        default: throw failure("expected a value, found \(found)\(advice)", path: path)
        }
    }

    private mutating func parseWord(
        _ word: String,
        _ value: JSONValue,
        path: String
    ) throws(JobSpecError) -> JSONValue {
        guard bytes[position...].starts(with: word.utf8) else {
            throw failure("expected \(word), found \(found)", path: path)
        }
        position += word.utf8.count
        return value
    }

    private mutating func parseObject(path: String, depth: Int) throws(JobSpecError) -> JSONValue {
        position += 1
        var members: [String: JSONValue] = [:]
        skipSpace()
        if current == UInt8(ascii: "}") {
            position += 1
            return .object(members)
        }
        while true {
            skipSpace()
            guard current == UInt8(ascii: "\"") else {
                let isTrailing = current == UInt8(ascii: "}")
                let advice = isTrailing ? "; leave out the comma before it" : advice
                throw failure("expected a key in quotes, found \(found)\(advice)", path: path)
            }
            let key = try parseString(path: path)
            let memberPath = extended(path) { JSONPath.appending(key, to: path) }
            guard members[key] == nil else {
                throw failure("duplicate key", path: memberPath)
            }
            skipSpace()
            guard current == UInt8(ascii: ":") else {
                throw failure("expected ':' after the key, found \(found)", path: memberPath)
            }
            position += 1
            members[key] = try parseValue(path: memberPath, depth: depth + 1)
            skipSpace()
            if current == UInt8(ascii: "}") {
                position += 1
                return .object(members)
            }
            guard current == UInt8(ascii: ",") else {
                throw failure("expected ',' or '}', found \(found)\(advice)", path: memberPath)
            }
            position += 1
        }
    }

    private mutating func parseArray(path: String, depth: Int) throws(JobSpecError) -> JSONValue {
        position += 1
        var elements: [JSONValue] = []
        skipSpace()
        if current == UInt8(ascii: "]") {
            position += 1
            return .array(elements)
        }
        while true {
            let elementPath = extended(path) { "\(path)[\(elements.count)]" }
            skipSpace()
            guard elements.isEmpty || current != UInt8(ascii: "]") else {
                throw failure(
                    "expected a value, found ']'; leave out the comma before it",
                    path: elementPath
                )
            }
            elements.append(try parseValue(path: elementPath, depth: depth + 1))
            skipSpace()
            if current == UInt8(ascii: "]") {
                position += 1
                return .array(elements)
            }
            guard current == UInt8(ascii: ",") else {
                throw failure("expected ',' or ']', found \(found)\(advice)", path: elementPath)
            }
            position += 1
        }
    }

    private mutating func parseNumber(path: String) throws(JobSpecError) -> Double {
        let start = position
        if current == UInt8(ascii: "-") {
            position += 1
        }
        let wholeStart = position
        var isValid = skipDigits() > 0
        isValid = isValid && (bytes[wholeStart] != UInt8(ascii: "0") || position == wholeStart + 1)
        if current == UInt8(ascii: ".") {
            position += 1
            isValid = skipDigits() > 0 && isValid
        }
        if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
            position += 1
            if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") {
                position += 1
            }
            isValid = skipDigits() > 0 && isValid
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        guard isValid, let number = Double(text) else {
            throw failure("\(text) is not a JSON number", path: path)
        }
        guard number.isFinite else {
            throw failure("\(text) \(Self.tooLarge)", path: path)
        }
        if keepsPlaces, text.contains(where: { ".eE".contains($0) }) {
            fractions[path] = text
        }
        return number
    }

    private mutating func skipDigits() -> Int {
        let start = position
        while let byte = current, Self.digits.contains(byte) {
            position += 1
        }
        return position - start
    }

    private mutating func parseString(path: String) throws(JobSpecError) -> String {
        position += 1
        var text: [UInt8] = []
        while let byte = current {
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"):
                text += String(try parseEscape(path: path)).utf8
            case 0..<0x20:
                throw failure("a string holds an unescaped control character", path: path)
            default: text.append(byte)
            }
        }
        throw failure("a string is not closed", path: path)
    }

    private mutating func parseEscape(path: String) throws(JobSpecError) -> Unicode.Scalar {
        let escape = current
        position += 1
        switch escape {
        case UInt8(ascii: "\""): return "\""
        case UInt8(ascii: "\\"): return "\\"
        case UInt8(ascii: "/"): return "/"
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): break
        default: throw failure("a string holds an unknown escape", path: path)
        }
        let first = try parseHex(path: path)
        if let scalar = Unicode.Scalar(first) {
            return scalar
        }
        guard (0xD800..<0xDC00).contains(first), bytes[position...].starts(with: #"\u"#.utf8) else {
            throw failure("a string holds half a surrogate pair", path: path)
        }
        position += 2
        let second = try parseHex(path: path)
        guard (0xDC00..<0xE000).contains(second),
            let scalar = Unicode.Scalar(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
        else {
            throw failure("a string holds half a surrogate pair", path: path)
        }
        return scalar
    }

    private mutating func parseHex(path: String) throws(JobSpecError) -> UInt32 {
        let digits = bytes[position...].prefix(4)
        guard digits.count == 4, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
            let value = UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
        else {
            throw failure("\\u takes four hexadecimal digits", path: path)
        }
        position += 4
        return value
    }
}
