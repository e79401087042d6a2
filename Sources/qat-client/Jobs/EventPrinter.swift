internal import JobSpecs
internal import Jobs
internal import Protocol

/// Prints a job's events: a live bar on a terminal, plain lines elsewhere, or JSON.
final class EventPrinter {
    /// How events look.
    enum Style {
        /// For a terminal, whose width may change.
        case live(columns: () -> Int)
        case plain
        case json

        /// The style that fits the output.
        static func fitting(json: Bool) -> Style {
            json ? .json : Console.isTerminal ? .live(columns: { Console.columns }) : .plain
        }
    }

    private static let clearLine = "\r\u{1B}[K"

    private let style: Style
    private let write: (String) -> Void
    /// What each job is called in its lines, by id; nothing where one alone is followed.
    var labels: [String: String] = [:]
    private var courses: [String: Course] = [:]
    /// The job whose bar stands at the bottom.
    private var shown: String?

    /// How far a job has come.
    private struct Course {
        var state = ""
        var losses = LossCourse()
        var progress: JobProgress?
        var pace = LinePace()
    }

    init(_ style: Style, write: @escaping (String) -> Void = { Console.write(Array($0.utf8)) }) {
        self.style = style
        self.write = write
    }

    /// Prints an event.
    func print(_ event: JobEvent) {
        if !event.state.isEmpty {
            courses[event.jobID, default: Course()].state = event.state
        }
        switch style {
        case .json: write(TerminalText.json(JobReport.json(event)) + "\n")
        case .plain:
            guard courses[event.jobID, default: Course()].pace.admits(event) else { return }
            labelled(event).forEach { write($0 + "\n") }
        case .live(let columns): show(event, columns: columns())
        }
    }

    /// Leaves the bar's line, so that what follows starts on its own.
    func finish() {
        if shown != nil {
            write("\n")
            shown = nil
        }
    }

    /// Keeps the bar at the bottom: other lines scroll by above it.
    private func show(_ event: JobEvent, columns: Int) {
        let clear = shown == nil ? "" : Self.clearLine
        if event.type == .progress, let latest = event.progress {
            if let loss = latest.loss, latest.isTraining {
                courses[event.jobID, default: Course()].losses.append(loss)
            }
            courses[event.jobID, default: Course()].progress = latest
            shown = event.jobID
            write(Self.clearLine + bar(columns))
            return
        }
        let text = labelled(event).map { $0 + "\n" }.joined()
        // The bar of a job that is not running any more would say nothing.
        if event.type == .state, event.jobID == shown, event.state != JobState.running.rawValue {
            shown = nil
        }
        write(clear + text + bar(columns))
    }

    private func bar(_ columns: Int) -> String {
        guard let shown, let course = courses[shown], let progress = course.progress else {
            return ""
        }
        return ProgressLine.live(
            label: labels[shown].map(DisplayWidth.printable) ?? "",
            state: course.state,
            progress,
            losses: course.losses.values,
            columns: columns
        )
    }

    private func labelled(_ event: JobEvent) -> [String] {
        guard let label = labels[event.jobID] else { return lines(event) }
        return lines(event).map { DisplayWidth.printable("\(label): ") + $0 }
    }

    private func lines(_ event: JobEvent) -> [String] {
        switch event.type {
        case .state:
            let details = [event.reason, event.message].filter { !$0.isEmpty }
            return [DisplayWidth.printable(([event.state] + details).joined(separator: "  "))]
        case .progress:
            return event.progress.map { [ProgressLine.plain($0)] } ?? []
        case .metric:
            let values = JobReport.document(event.metricsJSON)
            if let row = Self.row(values) {
                return [DisplayWidth.printable(row)]
            }
            let step = event.progress.map { "step \($0.step)  " } ?? ""
            return [DisplayWidth.printable(step + Self.metrics(values).joined(separator: "  "))]
        case .log:
            return event.message.split(whereSeparator: \.isNewline).map {
                "log: " + DisplayWidth.printable(String($0))
            }
        }
    }

    /// A row of an evaluation, as it is found: what it measured of which model.
    private static func row(_ values: JSONValue) -> String? {
        guard let label = values["label"]?.stringValue else {
            return nil
        }
        let known = EvaluateSpec.Metric.allCases.map(\.rawValue)
        var figures = known.compactMap { key in
            values[key]?.doubleValue.map { "\(key) \(Quantities.significant($0))" }
        }
        // What a later version measures, by the names that it has.
        for measurement in values["measurements"]?.arrayValue ?? [] {
            guard let name = measurement["name"]?.stringValue, !known.contains(name),
                let value = measurement["value"]?.doubleValue
            else { continue }
            figures.append("\(name) \(Quantities.significant(value))")
        }
        return "\(label): " + (figures.isEmpty ? "nothing measured" : "")
            + figures.joined(separator: "  ")
    }

    static func metrics(_ values: JSONValue) -> [String] {
        guard let members = values.objectValue else {
            return [values.canonicalText]
        }
        return members.keys.sorted().map { key in
            let value = members[key] ?? .null
            if let nested = value.objectValue { return "\(key) \(nested.count)" }
            if let list = value.arrayValue, list.contains(where: { $0.objectValue != nil }) {
                return "\(key) \(list.count)"
            }
            guard let number = value.doubleValue, number != number.rounded() else {
                return "\(key) " + ResultsTable.cell(value)
            }
            return "\(key) " + Quantities.significant(number)
        }
    }
}
