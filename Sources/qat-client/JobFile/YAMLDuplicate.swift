internal import JobSpecs

/// A key that stands twice in one mapping of a YAML text: the parser of YAML names one of the two places, and
/// not the second.
///
/// Found by indentation, so in block style only; flow style fits on a line, mostly.
struct YAMLDuplicate: Equatable {
    /// The JSON path of the key.
    let path: String
    /// The line of the second one, from 1.
    let line: Int

    private struct Level {
        let indent: Int
        /// The path of what is indented more.
        let path: String
        var isElement = false
        var seen: [String: Int] = [:]
        var count = 0
    }

    /// Nil if it is not found.
    ///
    /// - Parameters:
    ///   - text: The whole file.
    ///   - keys: Those that the parser found twice.
    ///   - known: The line of one of the two.
    init?(in text: String, keys: Set<String>, known: Int) {
        var levels = [Level(indent: -1, path: "$")]
        let lines = text.split(omittingEmptySubsequences: false) { $0.isNewline }
        for (index, content) in lines.enumerated() {
            var rest = content.drop { $0 == " " }
            var indent = content.count - rest.count
            guard !rest.isEmpty, rest.first != "#" else { continue }
            while rest.hasPrefix("- ") {
                let path = Self.enterElement(indent, &levels)
                levels.append(Level(indent: indent + 1, path: path, isElement: true))
                let next = rest.dropFirst().drop { $0 == " " }
                indent += rest.count - next.count
                rest = next
            }
            guard let key = Self.key(rest) else { continue }
            let path = JSONPath.appending(key, to: Self.enter(indent, &levels))
            let line = index + 1
            let before = levels[levels.count - 1].seen.updateValue(line, forKey: key)
            if let before, keys.contains(key), [before, line].contains(known) {
                self.path = path
                self.line = line
                return
            }
            levels.append(Level(indent: indent + 1, path: path))
        }
        return nil
    }

    /// Makes the level of an indentation the last one.
    ///
    /// - Returns: The path of what stands there.
    private static func enter(_ indent: Int, _ levels: inout [Level]) -> String {
        while levels.count > 1, levels[levels.count - 1].indent > indent { levels.removeLast() }
        let last = levels[levels.count - 1]
        if last.indent < indent { levels.append(Level(indent: indent, path: last.path)) }
        return last.path
    }

    /// Makes the level of the sequence the last one that has a dash at an indentation: that of the key
    /// before, or more.
    ///
    /// - Returns: The path of the element that begins there.
    private static func enterElement(_ indent: Int, _ levels: inout [Level]) -> String {
        while levels.count > 1, levels[levels.count - 1].indent > indent,
            levels[levels.count - 1].indent > indent + 1 || levels[levels.count - 1].isElement
        {
            levels.removeLast()
        }
        let last = levels[levels.count - 1]
        if last.indent < indent { levels.append(Level(indent: indent, path: last.path)) }
        defer { levels[levels.count - 1].count += 1 }
        return "\(last.path)[\(levels[levels.count - 1].count)]"
    }

    /// The key that a line begins with, if it does.
    private static func key(_ text: Substring) -> String? {
        guard let first = text.first else { return nil }
        if first == "\"" || first == "'" {
            let rest = text.dropFirst()
            guard let end = rest.firstIndex(of: first),
                rest[rest.index(after: end)...].drop(while: { $0 == " " }).first == ":"
            else { return nil }
            return String(rest[..<end])
        }
        guard let colon = text.firstIndex(of: ":") else { return nil }
        let next = text[text.index(after: colon)...].first
        guard next == nil || next == " " else { return nil }
        return String(text[..<colon])
    }
}
