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
            json ? .json : Console.showsLiveLine ? .live(columns: { Console.columns }) : .plain
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
    /// Why jobs wait, in the order in which they were heard of.
    private var waits: [WaitNote] = []
    /// Whether a line stands at the bottom that the next one replaces.
    private var isLineOpen = false

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
        if event.type == .state {
            waits.removeAll { $0.jobID == event.jobID && $0.state != event.state }
        }
        switch style {
        case .json: write(TerminalText.json(JobAnswer.json(event)) + "\n")
        case .plain:
            guard courses[event.jobID, default: Course()].pace.admits(event) else { return }
            labelled(event).forEach { write($0 + "\n") }
        case .live(let columns): show(event, columns: columns())
        }
    }

    /// Prints why a job waits: on a terminal in place of a bar, where no other job has one.
    func print(_ note: WaitNote) {
        let state = courses[note.jobID]?.state ?? ""
        // It began to run while it was asked about.
        guard state.isEmpty || state == note.state else { return }
        switch style {
        case .json: write(TerminalText.json(note.json) + "\n")
        case .plain:
            let label = labels[note.jobID].map { "\($0): " } ?? ""
            write(DisplayWidth.printable("\(label)\(note.state)  \(note.reason)") + "\n")
        case .live(let columns):
            if let index = waits.firstIndex(where: { $0.jobID == note.jobID }) {
                waits[index] = note
            } else {
                waits.append(note)
            }
            draw(above: "", columns())
        }
    }

    /// Leaves the bar's line, so that what follows starts on its own.
    func finish() {
        if isLineOpen {
            write("\n")
            isLineOpen = false
        }
    }

    /// Keeps the bar at the bottom: other lines scroll by above it.
    private func show(_ event: JobEvent, columns: Int) {
        if event.type == .progress, let latest = event.progress {
            if let loss = latest.loss, latest.isTraining {
                courses[event.jobID, default: Course()].losses.append(loss)
            }
            courses[event.jobID, default: Course()].progress = latest
            shown = event.jobID
            draw(above: "", columns)
            return
        }
        // The bar of a job that is not running any more would say nothing.
        if event.type == .state, event.jobID == shown, event.state != JobState.running.rawValue {
            shown = nil
        }
        draw(above: labelled(event).map { $0 + "\n" }.joined(), columns)
    }

    private func draw(above text: String, _ columns: Int) {
        let line = line(columns)
        let clear = isLineOpen || text.isEmpty ? Self.clearLine : ""
        isLineOpen = !line.isEmpty
        write(clear + text + line)
    }

    /// The bar of a job that runs, or else why one waits.
    private func line(_ columns: Int) -> String {
        func label(_ id: String) -> String { labels[id].map(DisplayWidth.printable) ?? "" }
        if let shown, let course = courses[shown], let progress = course.progress {
            return ProgressLine.live(
                label: label(shown),
                state: course.state,
                progress,
                losses: course.losses.values,
                columns: columns
            )
        }
        guard let note = waits.first else { return "" }
        return ProgressLine.waiting(
            label: label(note.jobID),
            note,
            others: waits.count - 1,
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
            let values = JobAnswer.document(event.metricsJSON)
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
            .filter { values[$0]?.doubleValue != nil }
        var figures = known.compactMap { key in
            values[key]?.doubleValue.map { "\(key) \(Quantities.significant($0))" }
        }
        // What has no figure of its own in the row, and what a later version measures, by the names that it has.
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
