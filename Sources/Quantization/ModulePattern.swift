/// A pattern over module names: a glob with `*` and `?`, or a regular expression after `re:`.
///
/// Both must match the whole name.
public struct ModulePattern: Sendable {
    private let text: String

    /// A pattern; ``validate()`` says whether a `re:` pattern parses.
    public init(_ text: String) {
        self.text = text
    }

    /// Checks the syntax.
    ///
    /// - Throws: ``QuantizationError`` (`invalidRecipe`).
    public func validate() throws {
        guard text.hasPrefix("re:") else {
            return
        }
        do {
            _ = try Regex(String(text.dropFirst(3)))
        } catch {
            throw QuantizationError(.invalidRecipe, "pattern \"\(text)\" is no regular expression")
        }
    }

    /// Whether the pattern names the module.
    public func matches(_ name: String) -> Bool {
        if text.hasPrefix("re:") {
            guard let expression = try? Regex(String(text.dropFirst(3))) else {
                return false
            }
            return (try? expression.wholeMatch(in: name)) != nil
        }
        return Self.glob(Array(text.utf8), Array(name.utf8))
    }

    // Backtracks to the last star only, which is enough for globs and keeps it O(n · m).
    private static func glob(_ pattern: [UInt8], _ name: [UInt8]) -> Bool {
        var p = 0
        var n = 0
        var star: Int?
        var resume = 0
        while n < name.count {
            if p < pattern.count, pattern[p] == UInt8(ascii: "*") {
                star = p
                resume = n
                p += 1
            } else if p < pattern.count,
                pattern[p] == UInt8(ascii: "?") || pattern[p] == name[n]
            {
                p += 1
                n += 1
            } else if let last = star {
                p = last + 1
                resume += 1
                n = resume
            } else {
                return false
            }
        }
        return pattern[p...].allSatisfy { $0 == UInt8(ascii: "*") }
    }
}
