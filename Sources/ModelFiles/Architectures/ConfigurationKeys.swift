/// The members of a configuration that remember who asked for them, so that none is left over unread.
struct ConfigurationKeys {
    private let object: JSONObject
    private var taken: Set<String> = []

    init(_ object: JSONObject) { self.object = object }

    /// The file, and the keys that lead to the object.
    var place: String { object.place }
    /// The keys that are there and not null.
    var names: [String] { object.members.keys.filter { object[$0] != nil }.sorted() }

    /// Whether a key is there, be it null: families have other defaults for keys that are missing.
    func isPresent(_ key: String) -> Bool { object.members[key] != nil }

    /// Whether a key says something: null is as good as missing.
    func hasValue(_ key: String) -> Bool { object[key] != nil }

    mutating func integer(_ key: String) throws(ModelFileError) -> Int? {
        taken.insert(key)
        return try object.integer(key)
    }

    mutating func number(_ key: String) throws(ModelFileError) -> Double? {
        taken.insert(key)
        return try object.number(key)
    }

    /// A number above zero.
    mutating func positive(
        _ key: String,
        absent: Double? = nil
    ) throws(ModelFileError) -> Double? {
        guard let value = try number(key, absent: absent) else { return nil }
        guard value.isFinite, value > 0 else {
            throw refusal(key, "only numbers above zero are computed")
        }
        return value
    }

    /// A window, of at least one position.
    mutating func windowLength(absent: Int? = nil) throws(ModelFileError) -> Int? {
        let key = "sliding_window"
        guard let value = try integer(key, absent: absent) else { return nil }
        guard value > 0 else {
            throw refusal(key, "only windows of a position or more are computed; null is for none")
        }
        return value
    }

    mutating func flag(_ key: String) throws(ModelFileError) -> Bool? {
        taken.insert(key)
        return try object.flag(key)
    }

    mutating func text(_ key: String) throws(ModelFileError) -> String? {
        taken.insert(key)
        return try object.text(key)
    }

    mutating func texts(_ key: String) throws(ModelFileError) -> [String]? {
        taken.insert(key)
        return try object.texts(key)
    }

    /// Integers; flags count as 0 and 1.
    mutating func integers(_ key: String) throws(ModelFileError) -> [Int]? {
        taken.insert(key)
        guard let list = try object.list(key) else { return nil }
        var values: [Int] = []
        for value in list {
            switch value {
            case .integer(let number): values.append(number)
            case .flag(let flag): values.append(flag ? 1 : 0)
            default: throw malformed(key, "holds \(value.kind), not integers only")
            }
        }
        return values
    }

    mutating func numbers(_ key: String) throws(ModelFileError) -> [Double]? {
        taken.insert(key)
        guard let list = try object.list(key) else { return nil }
        var values: [Double] = []
        for value in list {
            switch value {
            case .integer(let number): values.append(Double(number))
            case .real(let number): values.append(number)
            default: throw malformed(key, "holds \(value.kind), not numbers only")
            }
        }
        return values
    }

    /// An object's own keys; nil if it is missing or empty.
    mutating func keys(in key: String) throws(ModelFileError) -> ConfigurationKeys? {
        taken.insert(key)
        guard let found = try object.object(key), !found.members.isEmpty else { return nil }
        return ConfigurationKeys(found)
    }

    mutating func required(_ key: String) throws(ModelFileError) -> Int {
        guard let value = try integer(key) else { throw malformed(key, "is missing") }
        return value
    }

    /// A number, `absent` where the key is missing, and nil where it is null.
    mutating func number(_ key: String, absent: Double?) throws(ModelFileError) -> Double? {
        isPresent(key) ? try number(key) : absent
    }

    /// An integer, `absent` where the key is missing, and nil where it is null.
    mutating func integer(_ key: String, absent: Int?) throws(ModelFileError) -> Int? {
        isPresent(key) ? try integer(key) : absent
    }

    /// A token or several; negative ones stand for none.
    mutating func tokens(_ key: String) throws(ModelFileError) -> [Int]? {
        taken.insert(key)
        guard let value = object[key] else { return nil }
        if case .list = value { return try integers(key)?.filter { $0 >= 0 } }
        return try integer(key).map { $0 < 0 ? [] : [$0] }
    }

    /// Takes keys that change nothing of what is computed.
    mutating func ignore(_ keys: Set<String>) { taken.formUnion(keys) }

    /// Takes keys with the only values that are computed; null and missing keys are fine.
    mutating func expect(_ values: [String: JSONValue]) throws(ModelFileError) {
        for (key, value) in values.sorted(by: { $0.key < $1.key }) where !taken.contains(key) {
            taken.insert(key)
            guard let found = object[key], found != value else { continue }
            throw refusal(key, "only \(value.excerpt) is computed")
        }
    }

    /// Refuses the keys that nobody took.
    func refuseRest(of family: String) throws(ModelFileError) {
        guard let key = names.first(where: { !taken.contains($0) }) else { return }
        throw refusal(
            key,
            """
            qat does not know this key of \(family) models; remove it if it changes nothing of what \
            the model computes
            """
        )
    }

    /// An error that names a key, its value and why it is not read.
    func refusal(_ key: String, _ reason: String) -> ModelFileError {
        let value = object.members[key]?.excerpt ?? "missing"
        return ModelFileError(.unsupported, "\(place): key \(key) is \(value): \(reason)")
    }

    func malformed(_ key: String, _ what: String) -> ModelFileError {
        ModelFileError(.malformed, "\(place): \(key) \(what)")
    }
}

extension JSONValue {
    /// The value as JSON text, shortened, for messages.
    var excerpt: String {
        switch self {
        case .null: "null"
        case .flag(let flag): "\(flag)"
        case .integer(let number): "\(number)"
        case .real(let number): "\(number)"
        case .text(let text): "\"\(text.prefix(60))\""
        case .list(let list):
            "[" + list.prefix(4).map(\.excerpt).joined(separator: ", ")
                + (list.count > 4 ? ", …]" : "]")
        case .object(let members):
            "{" + members.keys.sorted().prefix(6).joined(separator: ", ") + "}"
        }
    }
}
