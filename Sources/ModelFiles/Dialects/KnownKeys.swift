/// What is known of the keys of one kind of object in a quantization configuration.
///
/// As in config.json, each key is used, known to change nothing, expected to have the one value that
/// is computed, or else the model is refused with its name.
struct KnownKeys: Sendable {
    /// Keys that are read.
    let used: Set<String>
    /// Keys whatever whose value.
    var neutral: Set<String> = []
    /// Keys with the values that are computed, the first of which messages name; null is always fine.
    var expected: [String: [JSONValue]] = [:]

    /// Keys that are read, and nothing else.
    init(
        used: Set<String>,
        neutral: Set<String> = [],
        expected: [String: [JSONValue]] = [:]
    ) {
        (self.used, self.neutral, self.expected) = (used, neutral, expected)
    }
}

extension ConfigurationIssues {
    /// Refuses the keys of an object that are not known, and values that are not computed.
    mutating func account(for object: JSONObject?, by known: KnownKeys) {
        guard let object else { return }
        for (key, value) in object.members.sorted(by: { $0.key < $1.key }) where value != .null {
            if let values = known.expected[key] {
                guard !values.contains(value) else { continue }
                let only = values.first.map { "; only \($0.excerpt) is computed" } ?? ""
                refuse(.unsupported, object.place, "\(key) is \(value.excerpt)\(only)")
            } else if !known.used.contains(key), !known.neutral.contains(key) {
                refuse(
                    .unsupported,
                    object.place,
                    """
                    \(key) is no key that is known here, its value \(value.excerpt); remove it if it \
                    changes nothing
                    """
                )
            }
        }
    }
}
