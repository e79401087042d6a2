internal import Transformer

/// Where two configurations differ, for formats that cannot hold all of one.
enum ConfigurationDifference {
    /// Says the first field that differs; nil if none does.
    ///
    /// `read`: What the format's reader makes of what would be written. `tolerance`: By how much
    /// numbers may differ, relative to the model's; formats that hold FP32 round.
    static func first(
        _ read: ModelConfiguration,
        _ model: ModelConfiguration,
        tolerance: Double
    ) -> String? {
        guard read != model, let found = difference(read, model, [], tolerance) else { return nil }
        let name = found.path.joined(separator: ".")
        return "\(name) would be read as \(found.read), but is \(found.model)"
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
            return "\(modules.sorted { $0.rawValue < $1.rawValue })"
        }
        let mirror = Mirror(reflecting: value)
        if mirror.displayStyle == .optional {
            return mirror.children.first.map { text($0.value) } ?? "nil"
        }
        // Names of types without their module's.
        return String("\(value)".replacing("Transformer.", with: "").prefix(120))
    }
}
