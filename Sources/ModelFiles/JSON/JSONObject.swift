/// The members of a JSON object by key; a member that is there has the type that is asked for.
struct JSONObject {
    let members: [String: JSONValue]
    /// The file, and the keys that lead to the object.
    let place: String

    /// A member; nil if it is absent or null.
    subscript(key: String) -> JSONValue? {
        guard let value = members[key], value != .null else { return nil }
        return value
    }

    func text(_ key: String) throws(ModelFileError) -> String? {
        guard let value = self[key] else { return nil }
        guard case .text(let text) = value else { throw mismatch(key, value, "a text") }
        return text
    }

    /// An integer; a number without a fraction is one.
    func integer(_ key: String) throws(ModelFileError) -> Int? {
        guard let value = self[key] else { return nil }
        switch value {
        case .integer(let number): return number
        case .real(let number):
            guard let integer = Int(exactly: number) else { fallthrough }
            return integer
        default: throw mismatch(key, value, "an integer")
        }
    }

    func number(_ key: String) throws(ModelFileError) -> Double? {
        guard let value = self[key] else { return nil }
        switch value {
        case .integer(let number): return Double(number)
        case .real(let number): return number
        default: throw mismatch(key, value, "a number")
        }
    }

    func flag(_ key: String) throws(ModelFileError) -> Bool? {
        guard let value = self[key] else { return nil }
        guard case .flag(let flag) = value else { throw mismatch(key, value, "true or false") }
        return flag
    }

    func object(_ key: String) throws(ModelFileError) -> JSONObject? {
        guard let value = self[key] else { return nil }
        return try object(value, key)
    }

    /// The objects of an object, by key; null ones are left out.
    func objects() throws(ModelFileError) -> [(key: String, value: JSONObject)] {
        var objects: [(key: String, value: JSONObject)] = []
        for (key, value) in members.sorted(by: { $0.key < $1.key }) where value != .null {
            objects.append((key, try object(value, key)))
        }
        return objects
    }

    func list(_ key: String) throws(ModelFileError) -> [JSONValue]? {
        guard let value = self[key] else { return nil }
        guard case .list(let list) = value else { throw mismatch(key, value, "a list") }
        return list
    }

    func texts(_ key: String) throws(ModelFileError) -> [String]? {
        guard let list = try list(key) else { return nil }
        var texts: [String] = []
        for value in list {
            guard case .text(let text) = value else { throw mismatch(key, value, "a text") }
            texts.append(text)
        }
        return texts
    }

    /// The objects of a list.
    func objects(in key: String) throws(ModelFileError) -> [JSONObject]? {
        guard let list = try list(key) else { return nil }
        var objects: [JSONObject] = []
        for value in list { objects.append(try object(value, key)) }
        return objects
    }

    private func object(_ value: JSONValue, _ key: String) throws(ModelFileError) -> JSONObject {
        guard case .object(let members) = value else { throw mismatch(key, value, "an object") }
        return JSONObject(members: members, place: "\(place): \(key)")
    }

    private func mismatch(_ key: String, _ value: JSONValue, _ expected: String) -> ModelFileError {
        ModelFileError(.malformed, "\(place): \(key) is \(value.kind), not \(expected)")
    }
}
