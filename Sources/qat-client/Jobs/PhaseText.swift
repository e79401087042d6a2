internal import Protocol

/// What a job does at the moment, and how far it is in it: `validating 3/16`.
struct PhaseText {
    /// What it does: `validating`.
    let name: String
    /// How far it is: `3/16`; nil where nothing is counted.
    let count: String?

    init(_ text: String) { (name, count) = JobProgress.parts(ofPhase: text) }

    /// The whole text.
    var text: String { count.map { "\(name) \($0)" } ?? name }

    /// The columns below which it says too little: a letter of the name, and the count whole.
    var least: Int {
        min(DisplayWidth.columns(text), count.map { DisplayWidth.columns($0) + 3 } ?? 8)
    }

    /// The text in at most so many columns; the name is cut, never the count.
    func cut(to limit: Int) -> String {
        guard let count, DisplayWidth.columns(text) > limit else {
            return DisplayWidth.cut(text, to: limit)
        }
        let room = limit - DisplayWidth.columns(count) - 1
        return room >= 2 ? "\(DisplayWidth.cut(name, to: room)) \(count)" : count
    }
}
