/// The numbers behind ``SensitivityPlot``, for all groups.
struct SensitivityTable {
    private let sensitivities: [ReportPage.Sensitivity]
    private let formats: [String]

    /// A table with a row per group and a column per format.
    init(_ sensitivities: [ReportPage.Sensitivity]) {
        self.sensitivities = sensitivities
        formats = ReportPage.Sensitivity.formats(of: sensitivities)
    }

    /// The table, folded away until asked for.
    func html() -> String {
        let heads = formats.map {
            "<th scope=\"col\" class=\"number\">\(HTMLText.escaped($0))</th>"
        }
        let rows = sensitivities.map { sensitivity in
            let cells = formats.map { cell(sensitivity, format: $0) }.joined()
            let group = HTMLText.escaped(sensitivity.group)
            return "<tr><th scope=\"row\" class=\"module\">\(group)</th>\(cells)</tr>"
        }
        return """
            <details>
            <summary>Errors as a table</summary>
            <div class="scroll" role="region" aria-label="Errors of candidate formats" tabindex="0">
            <table>
            <thead><tr><th scope="col">Modules</th>\(heads.joined())</tr></thead>
            <tbody>
            \(rows.joined(separator: "\n"))
            </tbody>
            </table>
            </div>
            </details>
            """
    }

    private func cell(_ sensitivity: ReportPage.Sensitivity, format: String) -> String {
        let texts = sensitivity.candidates.filter { $0.format == format }.map { candidate in
            let error = NumberText.significant(candidate.error)
            let bits = NumberText.significant(candidate.bitsPerWeight)
            let text = "\(error) <span class=\"quiet\">at \(bits) bits</span>"
            return candidate.isChosen ? "<strong>\(text), chosen</strong>" : text
        }
        return "<td class=\"number\">\(texts.isEmpty ? "–" : texts.joined(separator: "; "))</td>"
    }
}
