internal import Transformer

/// Where two configurations differ, for formats that cannot hold all of one.
enum ConfigurationDifference {
    /// Says the first thing that differs, by its key in config.json; nil if nothing does.
    ///
    /// - Parameters:
    ///   - read: What the format's reader makes of what would be written.
    ///   - model: The model.
    ///   - tolerance: By how much numbers may differ, relative to the model's; formats that hold FP32
    ///     round.
    ///   - family: Whose keys are named.
    /// - Returns: A sentence without its end.
    static func first(
        _ read: ModelConfiguration,
        _ model: ModelConfiguration,
        tolerance: Double,
        family: (any ModelFamily)?
    ) -> String? {
        guard read != model, let found = difference(read, model, [], tolerance) else { return nil }
        if let family, let key = keyDifference(read, model, tolerance, family) {
            return
                "\(key.path.joined(separator: ".")) would be read as \(key.read), but is \(key.model)"
        }
        let name = found.path.map(words).joined(separator: " ")
        return "\(name) would be read as \(found.read), but is \(found.model)"
    }

    /// The first key of config.json in which two models differ.
    private static func keyDifference(
        _ read: ModelConfiguration,
        _ model: ModelConfiguration,
        _ tolerance: Double,
        _ family: any ModelFamily
    ) -> Found? {
        guard let a = value(family.spelled(read)), let b = value(family.spelled(model)) else {
            return nil
        }
        return difference(a, b, tolerance)
    }

    private static func value(_ keys: [String: Any]) -> JSONValue? {
        guard let text = try? HuggingFaceConfiguration.json(keys, name: "config.json") else {
            return nil
        }
        return try? JSONValue.parse(text, path: "config.json", limit: 1 << 18)
    }

    private static func difference(
        _ read: JSONValue?,
        _ model: JSONValue?,
        _ tolerance: Double
    ) -> Found? {
        if let a = number(read), let b = number(model) {
            let isSame = a == b || abs(a - b) <= tolerance * abs(b)
            return isSame ? nil : ([], excerpt(read), excerpt(model))
        }
        switch (read, model) {
        case (.object(let a), .object(let b)):
            for key in Set(a.keys).union(b.keys).sorted() {
                guard let found = difference(a[key], b[key], tolerance) else { continue }
                return ([key] + found.path, found.read, found.model)
            }
            return nil
        case (.list(let a), .list(let b)) where a.count == b.count:
            for (index, (x, y)) in zip(a, b).enumerated() {
                guard let found = difference(x, y, tolerance) else { continue }
                return (["\(index)"] + found.path, found.read, found.model)
            }
            return nil
        default:
            let isSame = (read ?? .null) == (model ?? .null)
            return isSame ? nil : ([], excerpt(read), excerpt(model))
        }
    }

    private static func number(_ value: JSONValue?) -> Double? {
        switch value {
        case .integer(let number): Double(number)
        case .real(let number): number
        default: nil
        }
    }

    private static func excerpt(_ value: JSONValue?) -> String { value?.excerpt ?? "missing" }

    /// `normEpsilon` as `norm epsilon`.
    private static func words(_ name: String) -> String {
        name.reduce(into: "") { words, character in
            words += character.isUppercase ? " " + character.lowercased() : String(character)
        }
    }

    private typealias Found = (path: [String], read: String, model: String)

    // Recursion ends with the fields of the types, which hold no references.
    private static func difference(
        _ read: Any,
        _ model: Any,
        _ path: [String],
        _ tolerance: Double
    ) -> Found? {
        if let a = number(read), let b = number(model) {
            return a == b || abs(a - b) <= tolerance * abs(b) ? nil : (path, "\(a)", "\(b)")
        }
        let (a, b) = (Mirror(reflecting: read), Mirror(reflecting: model))
        // Sets have no order of their children.
        let isLeaf = a.displayStyle == .set || a.children.isEmpty || b.children.isEmpty
        guard !isLeaf, a.children.count == b.children.count else {
            let texts = (text(read), text(model))
            return texts.0 == texts.1 ? nil : (path, texts.0, texts.1)
        }
        for (index, (x, y)) in zip(a.children, b.children).enumerated() {
            guard x.label == y.label else { return (path, text(read), text(model)) }
            let isWrapped = a.displayStyle == .optional || a.displayStyle == .enum
            let label = isWrapped ? [] : [x.label ?? "\(index)"]
            if let found = difference(x.value, y.value, path + label, tolerance) { return found }
        }
        return nil
    }

    private static func number(_ value: Any) -> Double? {
        switch value {
        case let value as Double: value
        case let value as Float: Double(value)
        default: nil
        }
    }

    private static func text(_ value: Any) -> String {
        if let modules = value as? Set<LinearModule> {
            let names = modules.sorted { $0.rawValue < $1.rawValue }
                .map { $0.suffix.split(separator: ".").last.map(String.init) ?? $0.suffix }
            return names.isEmpty ? "none" : names.joined(separator: ", ")
        }
        let mirror = Mirror(reflecting: value)
        if mirror.displayStyle == .optional {
            return mirror.children.first.map { text($0.value) } ?? "none"
        }
        // Names of types without their module's.
        return String("\(value)".replacing("Transformer.", with: "").prefix(120))
    }
}
