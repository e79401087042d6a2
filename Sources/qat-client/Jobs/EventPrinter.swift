internal import JobSpecs
internal import Protocol

/// Prints a job's events: a live bar on a terminal, plain lines elsewhere, or JSON.
final class EventPrinter {
    /// How events look.
    enum Style {
        case live(columns: Int)
        case plain
        case json

        /// The style that fits the output.
        static func fitting(json: Bool) -> Style {
            json ? .json : Console.isTerminal ? .live(columns: Console.columns) : .plain
        }
    }

    private let style: Style
    private let write: (String) -> Void
    private var state = ""
    private var barIsShown = false

    init(_ style: Style, write: @escaping (String) -> Void = { Console.write(Array($0.utf8)) }) {
        self.style = style
        self.write = write
    }

    /// Prints an event.
    func print(_ event: JobEvent) {
        if !event.state.isEmpty {
            state = event.state
        }
        switch style {
        case .json: write(JobReport.json(event).canonicalText + "\n")
        case .plain: lines(event).forEach { write($0 + "\n") }
        case .live(let columns):
            if event.type == .progress, let progress = event.progress {
                write("\r\u{1B}[K" + ProgressLine.live(state: state, progress, columns: columns))
                barIsShown = true
            } else {
                lines(event).forEach { finishBar(with: $0) }
            }
        }
    }

    /// Leaves the bar's line, so that what follows starts on its own.
    func finish() {
        if barIsShown {
            write("\n")
            barIsShown = false
        }
    }

    private func finishBar(with line: String) {
        if barIsShown {
            write("\r\u{1B}[K")
            barIsShown = false
        }
        write(line + "\n")
    }

    private func lines(_ event: JobEvent) -> [String] {
        switch event.type {
        case .state:
            let details = [event.reason, event.message].filter { !$0.isEmpty }
            return [([event.state] + details).joined(separator: "  ")]
        case .progress:
            return event.progress.map { [ProgressLine.plain($0)] } ?? []
        case .metric:
            let values = JobReport.document(event.metricsJSON)
            let step = event.progress.map { "step \($0.step)  " } ?? ""
            return [step + Self.metrics(values).joined(separator: "  ")]
        case .log:
            return event.message.split(separator: "\n").map { "log: \($0)" }
        }
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
