internal import Protocol

/// The line that shows how far a job is.
enum ProgressLine {
    private static let barWidths = 6...24

    /// A part of the line; of those that do not fit, the ones with the highest rank are left out.
    private struct Part {
        var text: String
        let rank: Int
        /// What it may be cut to rather than left out.
        var least: Int?
        /// Whether it stands before the bar.
        var isName = false
    }

    /// A bar and numbers for a terminal: as much of it as fits, the bar taking what room is left.
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
        let limit = max(0, columns - 1)
        var parts = parts(label: label, state: state, progress, losses: losses)
        var chosen: Set<Int> = []
        var lastRank = Int.max
        var used = 0
        for index in parts.indices.sorted(by: { parts[$0].rank < parts[$1].rank }) {
            let gap = chosen.isEmpty ? 0 : 2
            if let least = parts[index].least, limit - used - gap >= least {
                parts[index].text = DisplayWidth.cut(parts[index].text, to: limit - used - gap)
            }
            let width = DisplayWidth.columns(parts[index].text) + gap
            // What is left out must not make room for less important parts, but for its own rank.
            guard parts[index].rank <= lastRank, used + width <= limit || chosen.isEmpty else {
                lastRank = min(lastRank, parts[index].rank)
                continue
            }
            used += width
            chosen.insert(index)
        }
        var texts = parts.indices.filter(chosen.contains).map { parts[$0].text }
        let room = limit - used - 2
        if room >= barWidths.lowerBound {
            let bar = bar(share: fraction(progress), width: min(room, barWidths.upperBound))
            let named = parts.indices.filter { chosen.contains($0) && parts[$0].isName }
            texts.insert(bar, at: named.count)
        }
        return DisplayWidth.cut(texts.joined(separator: "  "), to: limit)
    }

    /// The numbers alone, for files and pipes.
    static func plain(_ progress: JobProgress) -> String {
        parts(label: "", state: "", progress, losses: []).map(\.text).joined(separator: "  ")
    }

    private static func bar(share: Double, width: Int) -> String {
        let filled = Int((share * Double(width)).rounded(.down))
        return String(repeating: "█", count: filled)
            + String(repeating: "░", count: width - filled)
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
    ) -> [Part] {
        var parts: [Part] = []
        func add(_ text: String, _ rank: Int, least: Int? = nil, isName: Bool = false) {
            if !text.isEmpty {
                parts.append(Part(text: text, rank: rank, least: least, isName: isName))
            }
        }
        add(label, 1, least: 6, isName: true)
        add(state, 6, isName: true)
        if progress.totalSteps > 0 {
            // In whole numbers: 29 of 100 is 0.29, and a hundred times that is less than 29.
            let done = min(progress.step, progress.totalSteps)
            let percent = progress.totalSteps.dividingFullWidth(done.multipliedFullWidth(by: 100))
                .quotient
            add("step \(progress.step)/\(progress.totalSteps) \(percent)%", 0)
        }
        if let loss = progress.loss {
            add("loss \(Quantities.decimals(loss, 4))", 2)
            add(Sparkline.text(losses), 7)
        }
        if let rate = progress.tokensPerSecond, rate > 0 {
            add("\(Quantities.decimals(rate, rate < 10 ? 1 : 0)) tokens/s", 5)
        }
        if let eta = progress.etaSeconds {
            add("ETA \(Quantities.duration(seconds: eta))", 3)
        }
        add(DisplayWidth.printable(progress.precision), 8)
        // What stands still while something else goes on has to be said.
        let phase = DisplayWidth.printable(progress.phase)
        progress.isTraining ? add(phase, 4) : add(phase, 1, least: 8)
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
