internal import JobSpecs
internal import Protocol

/// A job's results as text that fits a terminal.
struct ResultsTable {
    /// What the job answered.
    let results: JSONValue
    /// What it was asked, for the tasks' settings; null if that is not known.
    let spec: JSONValue
    /// Columns of the terminal; nil for as wide as it comes.
    let columns: Int?

    init(_ results: JSONValue, spec: JSONValue = .null, columns: Int? = nil) {
        self.results = results
        self.spec = spec
        self.columns = columns
    }

    /// The results of a job that has some.
    init(_ job: JobDetail, columns: Int?) {
        self.init(
            JobAnswer.document(job.resultsJSON),
            spec: JobAnswer.document(job.specJSON),
            columns: columns
        )
    }

    /// An evaluation's rows, a training's perplexities or a quantization's figures; of other results a
    /// line per member.
    var lines: [String] {
        if let rows = results["rows"]?.arrayValue {
            return evaluation(rows)
        }
        if results["qat_perplexity"] != nil {
            return training + warnings
        }
        if results["bits_per_weight"] != nil {
            return quantization + warnings
        }
        return EventPrinter.metrics(results).map(DisplayWidth.printable)
    }

    private var warnings: [String] {
        (results["warnings"]?.arrayValue ?? []).compactMap(\.stringValue).map {
            "warning: " + DisplayWidth.printable($0)
        }
    }

    private func number(_ key: String) -> Double? { results[key]?.doubleValue }
}

// MARK: Evaluations

extension ResultsTable {
    /// A column of an evaluation's table, shown if some row has it.
    private struct Figure {
        let column: TextTable.Column
        let cell: (JSONValue) -> String?
    }

    private func evaluation(_ rows: [JSONValue]) -> [String] {
        let figures = figures(rows).filter { figure in rows.contains { figure.cell($0) != nil } }
        var table = TextTable(
            columns: [.init(heading: "LABEL", least: 8)] + figures.map(\.column)
        )
        for row in rows {
            let label = row["label"]?.stringValue ?? "-"
            table.append([label] + figures.map { $0.cell(row) ?? "-" })
        }
        return lines(of: table) + measurements(rows) + comparisons
    }

    private func figures(_ rows: [JSONValue]) -> [Figure] {
        let first = rows.first?["perplexity"]?.doubleValue
        func figure(
            _ heading: String,
            drop: Int? = nil,
            isNumber: Bool = true,
            _ cell: @escaping (JSONValue) -> String?
        ) -> Figure {
            Figure(
                column: .init(heading: heading, isNumber: isNumber, dropOrder: drop),
                cell: cell
            )
        }
        func word(_ key: String) -> (JSONValue) -> String? {
            { row in row[key]?.stringValue.flatMap { $0 == "none" ? nil : $0 } }
        }
        return [
            figure("PERPLEXITY") { Self.text(of: .perplexity, in: $0) },
            figure("95 % CI", drop: 4) { Self.interval($0["perplexity_ci95"]) },
            figure("CHANGE", drop: 6) { row in
                guard rows.count > 1, let first, let value = row["perplexity"]?.doubleValue else {
                    return nil
                }
                return Self.change(from: first, to: value)
            },
            figure("RECOVERED", drop: 11) { Self.recovered($0["measurements"]?.arrayValue?.first) },
            figure("ACCURACY", drop: 9) { Self.text(of: .accuracy, in: $0) },
            figure("LATENCY", drop: 7) { Self.text(of: .latency, in: $0) },
            figure("TOKENS/S", drop: 8) { Self.text(of: .throughput, in: $0) },
            figure("MEMORY", drop: 10) { Self.bytes($0["memory_bytes"]) },
            figure("OF BF16", drop: 5) { $0["memory_ratio"]?.doubleValue.map(Quantities.percent) },
            figure("PEAK", drop: 1) { Self.bytes($0["peak_memory_bytes"]) },
            figure("ACTIVATIONS", drop: 3, isNumber: false, word("activations")),
            figure("KV CACHE", drop: 2, isNumber: false, word("kv_cache")),
        ]
    }

    private static func text(of metric: EvaluateSpec.Metric, in row: JSONValue) -> String? {
        row[metric.rawValue]?.doubleValue.map { text(of: metric, $0) }
    }

    /// A figure without its unit, where a heading has it.
    private static func text(of metric: EvaluateSpec.Metric, _ value: Double) -> String {
        switch metric {
        case .perplexity: Quantities.perplexity(value)
        case .accuracy, .choiceAccuracy, .normalizedChoiceAccuracy, .topAgreement, .flips,
            .strictMatch, .flexibleMatch, .passAt1, .passAt10, .passAt100:
            Quantities.decimals(value, 4)
        case .divergence: Quantities.decimals(value, 5)
        case .latency, .latencyTail, .firstToken, .firstTokenTail, .betweenTokens,
            .betweenTokensTail:
            Quantities.milliseconds(value)
        case .throughput: Quantities.decimals(value, 1)
        }
    }

    /// Whether the table above has a column for a metric, which shows the row's own figure of that name.
    private static func hasColumn(_ metric: EvaluateSpec.Metric) -> Bool {
        switch metric {
        case .perplexity, .accuracy, .latency, .throughput: true
        case .choiceAccuracy, .normalizedChoiceAccuracy, .divergence, .topAgreement, .flips,
            .strictMatch, .flexibleMatch, .passAt1, .passAt10, .passAt100, .latencyTail,
            .firstToken,
            .firstTokenTail, .betweenTokens, .betweenTokensTail:
            false
        }
    }

    /// All measurements, where the table above does not hold them all: a task twice, or one that has no
    /// column of its own.
    private func measurements(_ rows: [JSONValue]) -> [String] {
        let lists = rows.map { $0["measurements"]?.arrayValue ?? [] }
        let isComplete = zip(rows, lists).allSatisfy { row, list in
            let names = list.map { $0["name"]?.stringValue ?? "" }
            return Set(names).count == names.count
                && names.allSatisfy { name in
                    EvaluateSpec.Metric(rawValue: name).map(Self.hasColumn) == true
                        && row[name]?.doubleValue != nil
                }
        }
        guard !isComplete else {
            return []
        }
        let hasShares = results["recovered_from"] != nil
        var table = TextTable(
            columns: [
                .init(heading: "LABEL", least: 8), .init(heading: "TASK"),
                .init(heading: "TEXT", least: 8, dropOrder: 4),
                .init(heading: "LENGTH", isNumber: true, dropOrder: 3),
                .init(heading: "VALUE", isNumber: true),
                .init(heading: "95 % CI", isNumber: true, dropOrder: 2),
                .init(heading: "COUNT", isNumber: true, dropOrder: 1),
            ] + (hasShares ? [.init(heading: "RECOVERED", isNumber: true, dropOrder: 5)] : [])
        )
        for (row, list) in zip(rows, lists) {
            for measurement in list {
                let share = hasShares ? [Self.recovered(measurement) ?? "-"] : []
                table.append([row["label"]?.stringValue ?? "-"] + cells(measurement) + share)
            }
        }
        return [""] + lines(of: table)
    }

    /// A measurement's task, text, length, value, interval and count.
    private func cells(_ measurement: JSONValue) -> [String] {
        let tasks = spec["tasks"]?.arrayValue ?? []
        let index = measurement["index"]?.integerValue ?? -1
        let task = tasks.indices.contains(index) ? tasks[index] : .null
        let type = measurement["task"]?.stringValue ?? "-"
        let name = measurement["name"]?.stringValue ?? ""
        let metric = EvaluateSpec.Metric(rawValue: name)
        let shown = measurement["value"]?.doubleValue.map { value in
            guard let metric else { return Quantities.decimals(value, 4) }
            return Self.text(of: metric, value) + (metric == .throughput ? " tok/s" : "")
        }
        return [
            Self.task(type, name),
            measurement["text"]?.stringValue ?? "-",
            EvaluateSpec.length(ofTask: task).map(String.init) ?? "-",
            shown ?? "-",
            Self.interval(measurement["interval"]) ?? "-",
            measurement["count"]?.integerValue.map(String.init) ?? "-",
        ]
    }

    /// A task, with what is measured where that says more.
    static func task(_ type: String, _ name: String) -> String {
        let isNamed = type == name || EvaluateSpec.TaskType(rawValue: type) == .benchmark
        return isNamed ? type : "\(type) \(name)"
    }

    /// `91.0 %` of what another model loses; nil where nothing is said of it.
    private static func recovered(_ measurement: JSONValue?) -> String? {
        measurement?["recovered"]?.doubleValue.map(Quantities.percent)
    }

    /// A table as wide as the terminal.
    func lines(of table: TextTable) -> [String] {
        table.rendered(within: columns).split(
            separator: "\n",
            omittingEmptySubsequences: false
        )
        .map(String.init)
    }

    private static func bytes(_ value: JSONValue?) -> String? {
        value?.doubleValue.flatMap(UInt64.init(exactly:)).map(Quantities.bytes)
    }

    /// `33.70 – 52.22`.
    private static func interval(_ value: JSONValue?) -> String? {
        guard let ends = value?.arrayValue?.compactMap(\.doubleValue), ends.count == 2 else {
            return nil
        }
        return ends.map(Quantities.perplexity).joined(separator: " – ")
    }

    /// `+73.4 %`; nil of what everything is compared with.
    private static func change(from first: Double, to value: Double) -> String? {
        guard first > 0, value != first else {
            return nil
        }
        let share = (value / first - 1) * 100
        return (share < 0 ? "−" : "+") + Quantities.decimals(abs(share), 1) + " %"
    }
}

// MARK: Trainings and quantizations

extension ResultsTable {
    private var training: [String] {
        var table = TextTable(columns: [
            .init(heading: ""), .init(heading: "PERPLEXITY", isNumber: true),
            .init(heading: "CHANGE", isNumber: true),
            .init(heading: "95 % CI", isNumber: true, dropOrder: 1),
        ])
        let baseline = number("baseline_perplexity")
        func append(_ label: String, _ row: JSONValue, _ key: String) {
            guard let value = row[key + "_perplexity"]?.doubleValue else { return }
            table.append([
                label, Quantities.perplexity(value),
                baseline.flatMap { Self.change(from: $0, to: value) } ?? "-",
                Self.interval(row[key + "_perplexity_ci95"]) ?? "-",
            ])
        }
        append("baseline", results, "baseline")
        // A training for several formats has rows of each; what stands beside them is one of these.
        let formats = results["formats"]?.arrayValue ?? []
        for row in formats.isEmpty ? [results] : formats {
            let name = row["format"]?.stringValue.map { " " + $0 } ?? ""
            for (label, key) in [("PTQ", "ptq"), ("start", "start"), ("QAT", "qat")] {
                append(label + name, row, key)
            }
        }
        var lines = lines(of: table) + [""]
        for row in formats.isEmpty ? [results] : formats {
            let name = row["format"]?.stringValue.map { $0 + ": " } ?? ""
            if let recovered = row["recovered"]?.doubleValue {
                lines.append(name + Self.recovery(recovered))
            } else if let baseline, let rounded = row["ptq_perplexity"]?.doubleValue {
                let lost = rounded > baseline ? "next to nothing" : "nothing"
                lines.append("\(name)PTQ lost \(lost): there was nothing to win back.")
            }
        }
        if lines.last?.isEmpty == true { lines.removeLast() }
        if let steps = results["steps"]?.integerValue, let tokens = number("tokens") {
            lines.append("\(steps) steps, \(Quantities.decimals(tokens, 0)) tokens")
            if let sentence = results["ended_early"]?.stringValue {
                lines.append(DisplayWidth.printable(sentence))
            }
            if let step = results["exported_step"]?.integerValue, step != steps {
                lines.append("exported: the weights of step \(step), of the best validation")
            }
        }
        return lines + exported
    }

    static func recovery(_ share: Double) -> String {
        share < 0
            ? "QAT lost another \(Quantities.percent(-share)) of the perplexity that PTQ lost."
            : "QAT won back \(Quantities.percent(share)) of the perplexity that PTQ lost."
    }

    private var quantization: [String] {
        var lines: [String] = []
        let method = results["method"]?.stringValue.map { "method \($0), " } ?? ""
        if let layers = results["layers"]?.integerValue, let bits = number("bits_per_weight") {
            lines.append(
                "\(method)\(layers) layers at \(Quantities.decimals(bits, 2)) bits per weight"
            )
        }
        if let sqnr = number("sqnr_db_min") {
            lines.append("worst layer: \(Quantities.decimals(sqnr, 1)) dB signal to noise")
        }
        if let divergence = number("kl_divergence") {
            let tokens = results["kl_tokens"]?.integerValue.map { ", over \($0) tokens" } ?? ""
            lines.append(
                "KL divergence: \(Quantities.significant(divergence)) nats per token" + tokens
            )
        }
        return lines + exported
    }

    /// The size of `model/`.
    private var exported: [String] {
        guard let size = Self.bytes(results["tensor_bytes"]) else {
            return []
        }
        let share = number("memory_ratio").map { ", \(Quantities.percent($0)) of BF16" } ?? ""
        let format = results["export_format"]?.stringValue.map { " as \($0)" } ?? ""
        // The first is `model/` itself.
        let others = results["exports"]?.arrayValue?.dropFirst().compactMap(\.stringValue) ?? []
        return ["model/: \(size)\(share)\(format)"]
            + (others.isEmpty ? [] : ["also " + others.joined(separator: ", ")])
    }

    /// A value as people read it: numbers with four decimals at most, an interval as `a..b`.
    static func cell(_ value: JSONValue?) -> String {
        switch value {
        case nil, .null?: "-"
        case .string(let text)?: text
        case .number(let number)? where number != number.rounded():
            Quantities.decimals(number, 4)
        case .array(let elements)?: elements.map { cell($0) }.joined(separator: "..")
        case let value?: value.canonicalText
        }
    }
}
