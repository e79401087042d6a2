internal import JobSpecs

extension ResultsTable {
    /// How models compare with the baseline on the same questions or windows; nothing of results without.
    var comparisons: [String] {
        guard let found = results["comparisons"]?.arrayValue, !found.isEmpty else { return [] }
        var table = TextTable(columns: [
            .init(heading: "LABEL", least: 8), .init(heading: "AGAINST", least: 8, dropOrder: 3),
            .init(heading: "TASK"), .init(heading: "TEXT", least: 8, dropOrder: 4),
            .init(heading: "DIFFERENCE", isNumber: true),
            .init(heading: "95 % CI", isNumber: true, dropOrder: 2),
            .init(heading: "WON", isNumber: true, dropOrder: 1),
            .init(heading: "LOST", isNumber: true, dropOrder: 1),
            .init(heading: "P", isNumber: true),
        ])
        for comparison in found {
            table.append([
                comparison["label"]?.stringValue ?? "-",
                comparison["reference"]?.stringValue ?? "-",
                Self.task(
                    comparison["task"]?.stringValue ?? "-",
                    comparison["name"]?.stringValue ?? ""
                ),
                text(ofTask: comparison["index"]?.integerValue) ?? "-",
                comparison["difference"]?.doubleValue.map(Self.signed) ?? "-",
                Self.signedInterval(comparison["interval"]) ?? "-",
                comparison["wins"]?.integerValue.map(String.init) ?? "-",
                comparison["losses"]?.integerValue.map(String.init) ?? "-",
                comparison["p_value"]?.doubleValue.map(Self.probability) ?? "-",
            ])
        }
        return [""] + lines(of: table)
    }

    /// The text that a task's measurements name.
    private func text(ofTask index: Int?) -> String? {
        (results["rows"]?.arrayValue ?? []).lazy
            .flatMap { $0["measurements"]?.arrayValue ?? [] }
            .first { $0["index"]?.integerValue == index }?["text"]?.stringValue
    }

    /// `+0.0125`.
    private static func signed(_ value: Double) -> String {
        (value < 0 ? "−" : "+") + Quantities.decimals(abs(value), 4)
    }

    private static func signedInterval(_ value: JSONValue?) -> String? {
        guard let ends = value?.arrayValue?.compactMap(\.doubleValue), ends.count == 2 else {
            return nil
        }
        return ends.map(signed).joined(separator: " – ")
    }

    /// `0.031`; what is smaller than can be told so is `< 0.001`.
    private static func probability(_ value: Double) -> String {
        value < 0.001 ? "< 0.001" : Quantities.decimals(value, 3)
    }
}
