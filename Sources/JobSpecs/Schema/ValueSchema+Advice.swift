extension ValueSchema {
    /// What to write instead of a value that is refused, where its form shows what was meant.
    ///
    /// `isFraction`: Whether a number is written with a point or an exponent.
    func advice(_ value: JSONValue, isFraction: Bool) -> String? {
        switch (self, value) {
        case (.integer, .string(let text)), (.number, .string(let text)),
            (.extent, .string(let text)):
            guard let number = Double(text), number.isFinite else { return nil }
            return "write \(text) without quotes"
        case (.boolean, .string(let text)):
            let word = text.lowercased()
            return ["true", "false"].contains(word) ? "write \(word) without quotes" : nil
        case (.boolean, .number(let number)):
            return number == 0 ? "write false" : number == 1 ? "write true" : nil
        case (.extent, .number(let number)) where isFraction && number > 1:
            guard let count = value.integerValue else { return nil }
            return "a point makes it a fraction of all; for \(count) of them write \(count)"
        case (.array, .string):
            return "write [\(value.canonicalText)]"
        case (.number(let range), .number(let number)) where number > 1:
            // 4e7 for 4e-7: the sign of the exponent was lost. Powers of ten are exact up to 10^22.
            var power = 1.0
            while number / power >= 10, power < 1e11 { power *= 10 }
            let meant = number / (power * power)
            return power > 10 && range.contains(meant)
                ? "did you mean \(JSONValue.number(meant).canonicalText)?" : nil
        case (.input(let role, _), .string(let text)) where InputReference.isURL(text):
            return InputReference.advice(for: text, role: role)
        default: return nil
        }
    }
}
