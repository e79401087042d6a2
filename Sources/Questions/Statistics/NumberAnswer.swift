/// The number that a generated text comes to, by the two filters of GSM8K.
public enum NumberAnswer {
    /// What a filter answers that finds none.
    public static let invalid = "[invalid]"

    /// `strict-match`: the number behind the first `#### `.
    ///
    /// The expression `#### (\-?[0-9\.\,]+)`.
    public static func strict(_ text: String) -> String {
        let scalars = Array(text.unicodeScalars)
        let mark = Array("#### ".unicodeScalars)
        for start in scalars.indices where scalars[start...].starts(with: mark) {
            var end = start + mark.count
            if end < scalars.count, scalars[end] == "-" { end += 1 }
            let digits = end
            while end < scalars.count, isDigitOrMark(scalars[end]) { end += 1 }
            if end > digits { return String(scalars[(start + mark.count)..<end]) }
        }
        return invalid
    }

    /// `flexible-extract`: the last number of all.
    ///
    /// The expression `(-?[$0-9.,]{2,})|(-?[0-9]+)`.
    public static func flexible(_ text: String) -> String {
        let scalars = Array(text.unicodeScalars)
        var found = invalid
        var place = 0
        while place < scalars.count {
            guard let end = numberEnd(scalars, from: place) else {
                place += 1
                continue
            }
            found = String(scalars[place..<end])
            place = end
        }
        return found
    }

    private static func numberEnd(_ scalars: [Unicode.Scalar], from start: Int) -> Int? {
        let first = scalars[start] == "-" ? start + 1 : start
        var end = first
        while end < scalars.count, isDigitOrMark(scalars[end]) || scalars[end] == "$" { end += 1 }
        if end - first >= 2 { return end }
        // What is left of the class without marks.
        return end - first == 1 && ("0"..."9").contains(scalars[first]) ? end : nil
    }

    private static func isDigitOrMark(_ scalar: Unicode.Scalar) -> Bool {
        ("0"..."9").contains(scalar) || scalar == "." || scalar == ","
    }

    /// Whether a number is the one that an answer ends with: commas, dollars, what is before `#### ` and a
    /// point at the end do not count, nor does case.
    public static func isExactMatch(_ prediction: String, answer: String) -> Bool {
        normalized(prediction).unicodeScalars.elementsEqual(normalized(answer).unicodeScalars)
    }

    private static func normalized(_ text: String) -> String {
        var scalars = text.unicodeScalars.filter { $0 != "," && $0 != "$" }.map { $0 }
        let mark = Array("#### ".unicodeScalars)
        if let last = scalars.indices.last(where: { scalars[$0...].starts(with: mark) }) {
            scalars.removeSubrange(..<(last + mark.count))
        }
        // Python's `\.$` finds a point before a final line end, too.
        if scalars.last == "." {
            scalars.removeLast()
        } else if scalars.last == "\n", scalars.dropLast().last == "." {
            scalars.remove(at: scalars.count - 2)
        }
        return String(scalars).lowercased()
    }
}
