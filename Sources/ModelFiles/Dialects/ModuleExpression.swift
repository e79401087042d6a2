internal import Formats

/// A regular expression over module names, as `re:` targets of a checkpoint have it.
///
/// Like Python's `re.match` it matches from the beginning on and need not reach the end.
struct ModuleExpression: Sendable {
    private let expression: LinearExpression

    /// Compiles an expression; nil if it is none, too long, or uses more than is read.
    init?(_ text: String) {
        guard let expression = LinearExpression(text) else { return nil }
        self.expression = expression
    }

    /// Whether it matches from the name's beginning on.
    func matches(_ name: String) -> Bool { expression.matchesStart(name) }
}
