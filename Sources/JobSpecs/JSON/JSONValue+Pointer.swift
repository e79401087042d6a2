extension JSONValue {
    /// The value with another one at an RFC 6901 pointer made of plain words and indices, such as
    /// `/models/0/model`; unchanged if nothing is there.
    public func replacing(at pointer: String, with value: JSONValue) -> JSONValue {
        replacing(pointer.split(separator: "/")[...], with: value)
    }

    private func replacing(_ steps: ArraySlice<Substring>, with value: JSONValue) -> JSONValue {
        guard let step = steps.first else { return value }
        switch self {
        case .object(var members):
            guard let member = members[String(step)] else { return self }
            members[String(step)] = member.replacing(steps.dropFirst(), with: value)
            return .object(members)
        case .array(var elements):
            guard let index = Int(step), elements.indices.contains(index) else { return self }
            elements[index] = elements[index].replacing(steps.dropFirst(), with: value)
            return .array(elements)
        default: return self
        }
    }
}
