/// A pattern over module names: a glob with `*` and `?`, or a regular expression after `re:`.
///
/// It must match the whole name, and takes time linear in both. See ``LinearExpression`` for what
/// expressions may hold.
public struct ModulePattern: Sendable {
    /// The pattern as it was written, `re:` included.
    public let text: String

    private let expression: LinearExpression

    /// A glob; `re:` has no meaning in it.
    public init(_ glob: String) {
        text = glob
        expression = LinearExpression(glob: glob)
    }

    /// A glob, or a regular expression after `re:`.
    ///
    /// - Throws: ``FormatError`` (`invalidPattern`) if the expression does not parse.
    public init(parsing text: String) throws(FormatError) {
        guard text.hasPrefix("re:") else {
            self = ModulePattern(text)
            return
        }
        guard let expression = LinearExpression(String(text.dropFirst(3))) else {
            throw FormatError(
                .invalidPattern,
                "pattern \"\(text.prefix(256))\" is no regular expression, or uses more than "
                    + "is read: \(LinearExpression.syntax)"
            )
        }
        self.text = text
        self.expression = expression
    }

    /// Whether the pattern names the module.
    public func matches(_ name: String) -> Bool {
        expression.matchesWhole(name)
    }
}

extension ModulePattern: CustomStringConvertible {
    /// The pattern as it was written.
    public var description: String { text }
}

extension ModulePattern: Equatable {
    /// Whether both are written alike and mean the same.
    public static func == (left: ModulePattern, right: ModulePattern) -> Bool {
        left.text == right.text && left.expression == right.expression
    }
}

extension ModulePattern: ExpressibleByStringLiteral {
    /// A glob, or a regular expression after `re:`; a literal that does not parse is a mistake in the
    /// program.
    public init(stringLiteral text: String) {
        do {
            self = try ModulePattern(parsing: text)
        } catch {
            preconditionFailure(error.message)
        }
    }
}

extension ModulePattern: Codable {
    /// Reads a string.
    public init(from decoder: any Decoder) throws {
        try self.init(parsing: try decoder.singleValueContainer().decode(String.self))
    }

    /// Writes the pattern as a string.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}
