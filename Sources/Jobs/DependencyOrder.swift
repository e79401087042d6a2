/// Puts named things into an order in which each comes after what it needs.
public enum DependencyOrder {
    /// What comes of it.
    public enum Outcome: Sendable, Equatable {
        /// The names, each after those it needs; what needs nothing of one another keeps its order.
        case order([String])
        /// Names that need one another in a ring, each the next one and the last the first.
        case ring([String])
    }

    /// Orders names.
    ///
    /// - Parameters:
    ///   - names: The names, each once.
    ///   - needs: What each needs; names that are not among `names` are passed over.
    /// - Returns: The order, or a ring that stands in the way of one.
    public static func order(_ names: [String], needs: [String: [String]]) -> Outcome {
        let known = Set(names)
        var left: [String: Set<String>] = [:]
        for name in names {
            left[name] = Set(needs[name] ?? []).intersection(known)
        }
        var order: [String] = []
        while order.count < names.count {
            let free = names.filter { left[$0]?.isEmpty == true }
            guard let next = free.first else { return .ring(ring(names, left)) }
            order.append(next)
            left[next] = nil
            for name in left.keys { left[name]?.remove(next) }
        }
        return .order(order)
    }

    /// Follows needs until a name comes again; every name that is left has one.
    private static func ring(_ names: [String], _ left: [String: Set<String>]) -> [String] {
        var path: [String] = []
        var next = names.first { left[$0] != nil }
        while let name = next {
            if let start = path.firstIndex(of: name) { return Array(path[start...]) }
            path.append(name)
            next = left[name]?.min()
        }
        return path
    }
}
