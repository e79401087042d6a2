/// One row of a file of records: values by key, and where they stand.
///
/// What a reader asks for must be there and of its type; errors name the file, the line and the key.
public struct Record: Sendable {
    private let object: JSONObject

    init(_ object: JSONObject) { self.object = object }

    /// Columns of a table's row.
    init(columns: [String], fields: [String], place: String) {
        let pairs = zip(columns, fields).map { ($0, JSONValue.text($1)) }
        let members = Dictionary(pairs, uniquingKeysWith: { first, _ in first })
        object = JSONObject(members: members, place: place)
    }

    /// The file and the line, and the keys that lead here.
    public var place: String { object.place }

    /// Whether there is a value that is not null.
    public func has(_ key: String) -> Bool { object[key] != nil }

    /// A text.
    ///
    /// - Throws: ``ModelFileError`` (`malformed`) if it is missing or of another type; so do all.
    public func text(_ key: String) throws(ModelFileError) -> String {
        try found(object.text(key), key)
    }

    /// A whole number; digits in quotes are one, as some exports write labels.
    public func integer(_ key: String) throws(ModelFileError) -> Int {
        if case .text(let digits)? = object[key], let number = Int(digits) { return number }
        return try found(object.integer(key), key)
    }

    /// Whether a value is true; 0 and 1 are false and true.
    public func flag(_ key: String) throws(ModelFileError) -> Bool {
        if case .flag(let flag)? = object[key] { return flag }
        let number = try integer(key)
        guard (0...1).contains(number) else {
            throw failure("\(key) is \(number), not false, true, 0 or 1")
        }
        return number == 1
    }

    /// A list of texts.
    public func texts(_ key: String) throws(ModelFileError) -> [String] {
        try found(object.texts(key), key)
    }

    /// A list of whole numbers.
    public func integers(_ key: String) throws(ModelFileError) -> [Int] {
        var numbers: [Int] = []
        for value in try found(object.list(key), key) {
            guard case .integer(let number) = value else {
                throw failure("\(key) holds \(value.kind), not an integer")
            }
            numbers.append(number)
        }
        return numbers
    }

    /// An object within.
    public func record(_ key: String) throws(ModelFileError) -> Record {
        Record(try found(object.object(key), key))
    }

    /// A list of objects.
    public func records(_ key: String) throws(ModelFileError) -> [Record] {
        try found(object.objects(in: key), key).map(Record.init)
    }

    /// What is wrong with this record.
    public func failure(_ what: String) -> ModelFileError {
        ModelFileError(.malformed, "\(place): \(what)")
    }

    private func found<Value>(_ value: Value?, _ key: String) throws(ModelFileError) -> Value {
        guard let value else {
            let keys = object.members.keys.sorted().prefix(12).joined(separator: ", ")
            throw failure(
                "no key \(key.debugDescription); its keys: \(keys.isEmpty ? "none" : keys)"
            )
        }
        return value
    }
}

extension Record: Equatable {
    /// Equal values, wherever they stand.
    public static func == (left: Record, right: Record) -> Bool {
        left.object.members == right.object.members
    }
}
