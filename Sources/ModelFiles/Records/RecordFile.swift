/// Files of records: JSON lines, and tables of comma-separated values.
public enum RecordFile {
    /// Bytes of a file at most: records are held in memory.
    private static let byteLimit = 1 << 30
    /// Values in a line at most.
    private static let valueLimit = 1 << 20

    /// The objects of a JSONL file, a line each; empty lines are skipped.
    ///
    /// - Throws: ``ModelFileError``, naming the line that is none; (`tooShort`) without any.
    public static func jsonLines(path: String) throws(ModelFileError) -> [Record] {
        let file = try open(path)
        defer { withExtendedLifetime(file) {} }
        let bytes = file.bytes
        var records: [Record] = []
        var (start, number) = (0, 0)
        while start < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[start...])
            let length = rest.firstIndex(of: UInt8(ascii: "\n")) ?? rest.count
            number += 1
            start += length + 1
            let line = UnsafeRawBufferPointer(rebasing: rest[..<length])
            if let record = try record(line, place: "\(file.name): line \(number)") {
                records.append(record)
            }
        }
        guard !records.isEmpty else {
            throw ModelFileError(.tooShort, "\(file.name): no line holds a record")
        }
        return records
    }

    private static func record(
        _ line: UnsafeRawBufferPointer,
        place: String
    ) throws(ModelFileError) -> Record? {
        var scanner = JSONScanner(line, path: place)
        guard let first = scanner.peek() else { return nil }
        guard first == UInt8(ascii: "{") else {
            let advice =
                first == UInt8(ascii: "[") ? "; a JSON list becomes lines by: jq -c '.[]'" : ""
            throw ModelFileError(.malformed, "\(place): no JSON object\(advice)")
        }
        var budget = valueLimit
        guard
            case .object(let members) = try JSONValue.parse(&scanner, depth: 0, budget: &budget)
        else { return nil }
        try scanner.expectEnd()
        return Record(JSONObject(members: members, place: place))
    }

    /// The rows of a table without a heading, as RFC 4180 has them: fields in quotes may hold commas,
    /// line ends and doubled quotes.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - columns: The keys of a row's fields.
    /// - Returns: The rows, in their order; empty lines are none.
    /// - Throws: ``ModelFileError``, naming the row that has other fields; (`tooShort`) without any.
    public static func table(
        path: String,
        columns: [String]
    ) throws(ModelFileError) -> [Record] {
        let file = try open(path)
        defer { withExtendedLifetime(file) {} }
        var reader = TableReader(file.bytes, name: file.name)
        var records: [Record] = []
        while let (fields, line) = try reader.next() {
            let place = "\(file.name): line \(line)"
            guard fields.count == columns.count else {
                throw ModelFileError(
                    .malformed,
                    "\(place): \(fields.count) fields, not the \(columns.count) of "
                        + columns.joined(separator: ", ")
                )
            }
            records.append(Record(columns: columns, fields: fields, place: place))
        }
        guard !records.isEmpty else {
            throw ModelFileError(.tooShort, "\(file.name): no line holds a record")
        }
        return records
    }

    /// Checks that a file is text of a bearable size.
    private static func open(_ path: String) throws(ModelFileError) -> TextFile {
        let file = try TextFile(path: path)
        guard file.byteCount <= byteLimit else {
            throw ModelFileError(
                .malformed,
                "\(file.name): \(file.byteCount) bytes, more than the limit of \(byteLimit)"
            )
        }
        return file
    }
}

/// Reads comma-separated values.
private struct TableReader {
    private let bytes: UnsafeRawBufferPointer
    private let name: String
    private var place = 0
    private var line = 1

    private static let quote = UInt8(ascii: "\"")
    private static let comma = UInt8(ascii: ",")
    private static let lineFeed = UInt8(ascii: "\n")
    private static let carriageReturn = UInt8(ascii: "\r")

    init(_ bytes: UnsafeRawBufferPointer, name: String) {
        self.bytes = bytes
        self.name = name
    }

    /// The next row and the line that it begins in; nil at the end.
    ///
    /// Empty lines are skipped.
    mutating func next() throws(ModelFileError) -> (fields: [String], line: Int)? {
        while place < bytes.count, isLineEnd(bytes[place]) { skipByte() }
        guard place < bytes.count else { return nil }
        let first = line
        var fields: [String] = []
        while true {
            fields.append(try field())
            guard place < bytes.count, bytes[place] == Self.comma else { break }
            place += 1
        }
        return (fields, first)
    }

    private func isLineEnd(_ byte: UInt8) -> Bool {
        byte == Self.lineFeed || byte == Self.carriageReturn
    }

    private mutating func skipByte() {
        if bytes[place] == Self.lineFeed { line += 1 }
        place += 1
    }

    private mutating func field() throws(ModelFileError) -> String {
        guard place < bytes.count, bytes[place] == Self.quote else {
            let start = place
            while place < bytes.count, bytes[place] != Self.comma, !isLineEnd(bytes[place]) {
                place += 1
            }
            return String(decoding: bytes[start..<place], as: UTF8.self)
        }
        let first = line
        place += 1
        var text: [UInt8] = []
        while place < bytes.count {
            let byte = bytes[place]
            if byte == Self.quote {
                place += 1
                guard place < bytes.count, bytes[place] == Self.quote else {
                    try requireFieldEnd()
                    return String(decoding: text, as: UTF8.self)
                }
            }
            text.append(byte)
            skipByte()
        }
        throw ModelFileError(.malformed, "\(name): line \(first): a quoted field does not end")
    }

    private func requireFieldEnd() throws(ModelFileError) {
        guard place == bytes.count || bytes[place] == Self.comma || isLineEnd(bytes[place]) else {
            throw ModelFileError(.malformed, "\(name): line \(line): text behind a quoted field")
        }
    }
}
