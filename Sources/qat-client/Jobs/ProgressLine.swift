internal import Protocol

/// The line that shows how far a job is.
enum ProgressLine {
    /// A bar and numbers for a terminal: as much of it as fits.
    ///
    /// - Parameters:
    ///   - label: Which of several jobs it is; empty of one alone.
    ///   - state: The job's state.
    ///   - progress: How far it is.
    ///   - losses: The losses so far, for a sparkline; may be empty.
    ///   - columns: The terminal's; the last one stays free.
    /// - Returns: The line, without its end.
    static func live(
        label: String = "",
        state: String,
        _ progress: JobProgress,
        losses: [Double] = [],
        columns: Int
    ) -> String {
        let label = cut(label, columns)
        let parts = parts(label: label, state: state, progress, losses: losses)
        return LiveLine(parts, columns: columns).text(share: fraction(progress))
    }

    /// Why a job waits, for a terminal.
    ///
    /// `others`: Jobs beside it that wait, too.
    static func waiting(
        label: String = "",
        _ note: WaitNote,
        others: Int = 0,
        columns: Int
    ) -> String {
        let label = cut(label, columns)
        let parts: [LiveLine.Part] = [
            .init(label, rank: 1, least: 6, isName: true),
            .init(DisplayWidth.printable(note.state), rank: 4, isName: true),
            .init(DisplayWidth.printable(note.reason), rank: 0, least: 16),
            .init(others > 0 ? "and \(others) more wait\(others == 1 ? "s" : "")" : "", rank: 3),
        ]
        return LiveLine(parts, columns: columns).text(share: nil)
    }

    /// A name of many words leaves room for what it is the name of.
    private static func cut(_ label: String, _ columns: Int) -> String {
        DisplayWidth.cut(label, to: max(6, columns / 3))
    }

    /// The numbers alone, for files and pipes.
    static func plain(_ progress: JobProgress) -> String {
        parts(label: "", state: "", progress, losses: []).map(\.text).filter { !$0.isEmpty }
            .joined(separator: "  ")
    }

    private static func fraction(_ progress: JobProgress) -> Double {
        guard progress.totalSteps > 0 else {
            return 0
        }
        return min(1, Double(progress.step) / Double(progress.totalSteps))
    }

    private static func parts(
        label: String,
        state: String,
        _ progress: JobProgress,
        losses: [Double]
    ) -> [LiveLine.Part] {
        var parts: [LiveLine.Part] = [
            .init(label, rank: 1, least: 6, isName: true),
            .init(state, rank: 7, isName: true),
        ]
        if progress.totalSteps > 0 {
            let percent = Quantities.percent(progress.step, of: progress.totalSteps)
            let step = "step \(progress.step)/\(progress.totalSteps)"
            parts.append(
                .init("\(step) \(percent)%", rank: 0, least: step.count) { _ in step }
            )
        }
        if let loss = progress.loss {
            parts.append(.init("loss \(Quantities.decimals(loss, 4))", rank: 3))
            parts.append(.init(Sparkline.text(losses), rank: 8))
        }
        if let rate = progress.tokensPerSecond, rate > 0 {
            let text = Quantities.decimals(rate, rate < 10 ? 1 : 0)
            parts.append(.init("\(text) tokens/s", rank: 6))
        }
        if let eta = progress.etaSeconds {
            parts.append(.init("ETA \(Quantities.duration(seconds: eta))", rank: 4))
        }
        parts.append(.init(DisplayWidth.printable(progress.precision), rank: 9))
        let phase = PhaseText(DisplayWidth.printable(progress.phase))
        // What stands still while something else goes on has to be said.
        parts.append(
            progress.isTraining
                ? .init(phase.text, rank: 5)
                : .init(phase.text, rank: 2, least: phase.least, cut: phase.cut(to:))
        )
        return parts
    }
}

/// The course of a number as a row of small bars.
enum Sparkline {
    private static let bars = Array("▁▂▃▄▅▆▇█")

    /// A bar for each value, from the least to the greatest; nothing for fewer than two.
    static func text(_ values: [Double]) -> String {
        let finite = values.filter(\.isFinite)
        guard finite.count > 1, let least = finite.min(), let most = finite.max() else {
            return ""
        }
        return String(
            finite.map { value in
                // By halves: the difference of two finite numbers may be none.
                let range = most / 2 - least / 2
                let share = range > 0 ? (value / 2 - least / 2) / range : 0
                return bars[min(bars.count - 1, Int(share * Double(bars.count)))]
            }
        )
    }
}

/// A course of any length in few values: means over stretches that grow with it.
struct LossCourse {
    private static let count = 16

    private var means: [Double] = []
    private var stretch = 1
    private var sum = 0.0
    private var pending = 0

    /// Adds a value; what is no number is left out.
    mutating func append(_ value: Double) {
        guard value.isFinite else {
            return
        }
        sum += value
        pending += 1
        guard pending == stretch else {
            return
        }
        means.append(sum / Double(pending))
        (sum, pending) = (0, 0)
        if means.count > Self.count {
            let last = means.count % 2 == 0 ? nil : means.last
            means = stride(from: 0, to: means.count - 1, by: 2).map {
                (means[$0] + means[$0 + 1]) / 2
            }
            // The odd one out is half of the next stretch.
            if let last {
                (sum, pending) = (last * Double(stretch), stretch)
            }
            stretch *= 2
        }
    }

    /// The means so far, the unfinished stretch's among them.
    var values: [Double] { means + (pending > 0 ? [sum / Double(pending)] : []) }
}
