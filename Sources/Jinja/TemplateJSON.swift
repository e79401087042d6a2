internal import OrderedCollections

/// JSON as Python's `json.dumps` writes it, which `tojson` of chat templates is.
struct TemplateJSON {
    /// Spaces of a level; nil for one line.
    var indentation: String?
    var itemSeparator = ", "
    var keySeparator = ": "
    var sortsKeys = false
    /// Whether what is above ASCII becomes escapes.
    var escapesAll = false

    /// - Throws: ``TemplateError`` of what JSON has no form for.
    func string(_ value: TemplateValue, level: Int = 0) throws(TemplateError) -> String {
        switch value {
        case .none: return "null"
        case .flag(let value): return value ? "true" : "false"
        case .integer(let value): return String(value)
        case .real(let value):
            guard value.isFinite else {
                return value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity"
            }
            return TemplateText.number(value)
        case .text(let text): return quoted(text)
        case .list(let items), .tuple(let items):
            var parts: [String] = []
            for item in items { parts.append(try string(item, level: level + 1)) }
            return joined(parts, "[", "]", level)
        case .object(let members):
            var parts: [String] = []
            let keys =
                sortsKeys
                ? members.keys.sorted {
                    $0.unicodeScalars.lexicographicallyPrecedes($1.unicodeScalars)
                } : Array(members.keys)
            for key in keys {
                parts.append(
                    quoted(key) + keySeparator
                        + (try string(members[key] ?? .none, level: level + 1))
                )
            }
            return joined(parts, "{", "}", level)
        case .undefined(let name):
            throw TemplateError(.undefined, "tojson: \(name) is undefined")
        default: throw TemplateError(.type, "tojson: \(value.kind) has no form in JSON")
        }
    }

    private func joined(_ parts: [String], _ open: String, _ close: String, _ level: Int) -> String
    {
        guard !parts.isEmpty else { return open + close }
        guard let indentation else { return open + parts.joined(separator: itemSeparator) + close }
        func line(_ level: Int) -> String { "\n" + String(repeating: indentation, count: level) }
        return open + line(level + 1) + parts.joined(separator: itemSeparator + line(level + 1))
            + line(level) + close
    }

    private func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case "\u{8}": result += "\\b"
            case "\u{C}": result += "\\f"
            default:
                if scalar.value < 0x20 || escapesAll && scalar.value > 0x7E {
                    for unit in String(Character(scalar)).utf16 {
                        result += "\\u" + TemplateText.hexadecimal(UInt32(unit), 4)
                    }
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result + "\""
    }
}
