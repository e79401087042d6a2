internal import Protocol

/// The line that shows how far a job is.
enum ProgressLine {
    private static let barWidth = 24

    /// A bar and numbers for a terminal, cut to its width.
    static func live(state: String, _ progress: JobProgress, columns: Int) -> String {
        let share = fraction(progress)
        let filled = Int((share * Double(barWidth)).rounded(.down))
        let bar =
            String(repeating: "█", count: filled)
            + String(repeating: "░", count: barWidth - filled)
        let line = "\(state) \(bar) " + details(progress).joined(separator: "  ")
        return line.count > columns - 1 ? String(line.prefix(max(0, columns - 2))) + "…" : line
    }

    /// The numbers alone, for files and pipes.
    static func plain(_ progress: JobProgress) -> String {
        details(progress).joined(separator: "  ")
    }

    private static func fraction(_ progress: JobProgress) -> Double {
        guard progress.totalSteps > 0 else {
            return 0
        }
        return min(1, Double(progress.step) / Double(progress.totalSteps))
    }

    private static func details(_ progress: JobProgress) -> [String] {
        var parts: [String] = []
        if progress.totalSteps > 0 {
            let percent = Int((fraction(progress) * 100).rounded(.down))
            parts.append("step \(progress.step)/\(progress.totalSteps) \(percent)%")
        }
        if let loss = progress.loss {
            parts.append("loss \(Quantities.decimals(loss, 4))")
        }
        if let rate = progress.tokensPerSecond, rate > 0 {
            parts.append("\(Quantities.decimals(rate, rate < 10 ? 1 : 0)) tokens/s")
        }
        if let eta = progress.etaSeconds {
            parts.append("ETA \(Quantities.duration(seconds: eta))")
        }
        if !progress.precision.isEmpty {
            parts.append(progress.precision)
        }
        if !progress.phase.isEmpty {
            parts.append(progress.phase)
        }
        return parts
    }
}
