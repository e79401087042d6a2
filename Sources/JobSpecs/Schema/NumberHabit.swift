/// Numbers as people write them where JSON has another form: `1_000`, `10k`, `+5`, `.5`.
public enum NumberHabit {
    private static let powers: [Character: String] = ["k": "e3", "K": "e3", "M": "e6"]

    /// The number as JSON has it; nil for what is no such number.
    static func plain(_ text: String) -> String? {
        guard text.utf8.count <= 32 else { return nil }
        // A comma may be a point elsewhere; before each three digits it is none.
        let groups = text.split(separator: ",", omittingEmptySubsequences: false)
        guard groups.dropFirst().allSatisfy({ $0.count == 3 }) else { return nil }
        var digits = text.filter { $0 != "_" && $0 != "," }
        if digits.hasPrefix("+") { digits.removeFirst() }
        var factor = ""
        if let last = digits.last, let zeros = powers[last] {
            digits.removeLast()
            factor = zeros
        }
        if digits.hasPrefix(".") { digits = "0" + digits }
        guard digits.utf8.first.map({ $0 == 0x2D || (0x30...0x39).contains($0) }) ?? false,
            let value = try? JSONParser.parse(Array((digits + factor).utf8)).value,
            case .number = value
        else { return nil }
        return value.canonicalText
    }

    /// Why a text without quotes that begins like a number is none that fits, or nil.
    ///
    /// JSON refuses such a number where it stands; YAML and `--set` would take it for text.
    public static func fault(_ text: String) -> String? {
        do {
            _ = try JSONParser.parse(Array(text.utf8))
            return nil
        } catch {
            let message = error.violations.first?.message ?? ""
            return message.hasSuffix(JSONParser.tooLarge)
                ? message + "; in quotes it is text" : nil
        }
    }
}
