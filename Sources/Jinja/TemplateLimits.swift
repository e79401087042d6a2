internal import OrderedCollections

/// What a template may take: it is a stranger's program, and nothing that it is given may make it endless.
enum TemplateLimits {
    static let steps = 2_000_000
    /// Levels of values, statements and calls within each other.
    static let depth = 200
    /// Bytes of a text.
    static let bytes = 64 << 20
    /// Items of a list.
    static let items = 1_000_000
    /// What a value holds in all; see `TemplateValue.weight`.
    static let weight = 4_000_000
    /// Bytes that a line is indented by.
    static let indentation = 256

    /// What a line is indented by: a number of spaces, or a text.
    static func indentation(_ value: TemplateValue?, of name: String) throws(TemplateError)
        -> String?
    {
        switch value {
        case nil, .some(.none): return nil
        case .text(let text):
            guard text.utf8.count <= indentation else { break }
            return text
        case let value?:
            guard let width = value.wholeNumber else {
                throw TemplateError(.type, "\(name): an indentation is no \(value.kind)")
            }
            guard width <= indentation else { break }
            return String(repeating: " ", count: max(0, width))
        }
        throw TemplateError(.limit, "\(name): an indentation of more than \(indentation) bytes")
    }

    /// Checks the size of a text before it is made: `count` times `size` bytes, and `more`.
    static func require(bytes size: Int, times count: Int = 1, and more: Int = 0)
        throws(TemplateError)
    {
        let (product, overflow) = max(size, 0).multipliedReportingOverflow(by: max(count, 0))
        guard !overflow, product <= bytes, more <= bytes, product + more <= bytes else {
            throw TemplateError(.limit, "it makes a text of more than \(bytes) bytes")
        }
    }

    /// Checks the size of a list before it is made.
    static func require(items size: Int, times count: Int = 1) throws(TemplateError) {
        let (product, overflow) = max(size, 0).multipliedReportingOverflow(by: max(count, 0))
        guard !overflow, product <= items else {
            throw TemplateError(.limit, "it makes a list of more than \(items) items")
        }
    }
}

extension TemplateValue {
    /// How much it holds, counted with all that is in it as often as it is there: 1 for each value, and 1 for
    /// each 16 bytes of text.
    ///
    /// Lists that hold one list twice, over and over, print and compare in time that grows with this.
    ///
    /// - Throws: ``TemplateError`` (`limit`) if it is more than a template may make, or nests too deep.
    func weight() throws(TemplateError) -> Int {
        var weight = 0
        try add(to: &weight, depth: 0)
        return weight
    }

    private func add(to weight: inout Int, depth: Int) throws(TemplateError) {
        weight += 1
        guard weight <= TemplateLimits.weight, depth <= TemplateLimits.depth else {
            throw TemplateError(.limit, "it makes a value that is too large, or that holds itself")
        }
        switch self {
        case .text(let text): weight += text.utf8.count / 16
        case .list(let items), .tuple(let items):
            for item in items { try item.add(to: &weight, depth: depth + 1) }
        case .object(let members):
            for (key, member) in members {
                weight += key.utf8.count / 16
                try member.add(to: &weight, depth: depth + 1)
            }
        case .namespace(let space):
            try TemplateValue.object(space.members).add(to: &weight, depth: depth + 1)
        case .undefined, .none, .flag, .integer, .real, .loop, .function: break
        }
    }
}
