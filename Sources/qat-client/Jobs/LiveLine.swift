/// A line at the bottom of a terminal: as much of it as fits, a bar taking what room is left.
struct LiveLine {
    /// A part of the line; of those that do not fit, the ones with the highest rank are left out.
    struct Part {
        /// The part whole.
        let text: String
        let rank: Int
        /// The columns to which it may be cut rather than left out; nil if it is shown whole.
        var least: Int?
        /// The part in at most so many columns, of which there are at least ``least``.
        var cut: (Int) -> String
        /// Whether it stands before the bar.
        var isName: Bool

        init(
            _ text: String,
            rank: Int,
            least: Int? = nil,
            isName: Bool = false,
            cut: ((Int) -> String)? = nil
        ) {
            self.text = text
            self.rank = rank
            self.least = least.map { min($0, DisplayWidth.columns(text)) }
            self.isName = isName
            self.cut = cut ?? { DisplayWidth.cut(text, to: $0) }
        }
    }

    /// The parts that are cut so that each is there; all others take what room these leave.
    private static let essentialRanks = 0...2
    private static let barWidths = 6...24
    private static let gap = 2

    private let parts: [Part]
    private let limit: Int
    private var chosen: [Int: String] = [:]

    /// `columns`: The terminal's; the last one stays free.
    init(_ parts: [Part], columns: Int) {
        self.parts = parts.filter { !$0.text.isEmpty }
        limit = max(0, columns - 1)
        chooseEssential()
        chooseRest()
    }

    /// The line, without its end.
    ///
    /// `share`: How much of the bar is filled; nil for a line without one.
    func text(share: Double?) -> String {
        var texts = parts.indices.compactMap { chosen[$0] }
        let room = limit - used - Self.gap
        if let share, room >= Self.barWidths.lowerBound {
            let names = parts.indices.filter { chosen[$0] != nil && parts[$0].isName }
            let bar = Self.bar(share: share, width: min(room, Self.barWidths.upperBound))
            texts.insert(bar, at: names.count)
        }
        return DisplayWidth.cut(texts.joined(separator: "  "), to: limit)
    }

    private static func bar(share: Double, width: Int) -> String {
        let filled = Int((share * Double(width)).rounded(.down))
        return String(repeating: "█", count: filled)
            + String(repeating: "░", count: width - filled)
    }

    private var used: Int {
        chosen.values.reduce(0) { $0 + DisplayWidth.columns($1) }
            + max(0, chosen.count - 1) * Self.gap
    }

    private var byRank: [Int] { parts.indices.sorted { parts[$0].rank < parts[$1].rank } }

    private static func width(_ part: Part) -> Int { DisplayWidth.columns(part.text) }

    /// Each at its least first; what room is left then goes to the parts that are cut worst for it: what
    /// changes before what the line is called.
    private mutating func chooseEssential() {
        var taken: [Int] = []
        var need = 0
        for index in byRank where Self.essentialRanks.contains(parts[index].rank) {
            let least = parts[index].least ?? Self.width(parts[index])
            let more = least + (taken.isEmpty ? 0 : Self.gap)
            // One is there in any case, whatever has to be cut of it.
            guard taken.isEmpty || need + more <= limit else { break }
            taken.append(index)
            need += more
        }
        var left = max(0, limit - need)
        for index in taken.filter({ !parts[$0].isName }) + taken.filter({ parts[$0].isName }) {
            let whole = Self.width(parts[index])
            let least = parts[index].least ?? whole
            let text = whole <= least + left ? parts[index].text : parts[index].cut(least + left)
            left -= max(0, DisplayWidth.columns(text) - least)
            chosen[index] = text
        }
    }

    private mutating func chooseRest() {
        let essential = parts.indices.filter { Self.essentialRanks.contains(parts[$0].rank) }
        // What is left out must not make room for less important parts.
        guard essential.allSatisfy({ chosen[$0] != nil }) else { return }
        var missing: Int?
        for index in byRank where !Self.essentialRanks.contains(parts[index].rank) {
            let part = parts[index]
            guard part.rank <= missing ?? part.rank else { return }
            let room = limit - used - (chosen.isEmpty ? 0 : Self.gap)
            if Self.width(part) <= room {
                chosen[index] = part.text
            } else if let least = part.least, least <= room {
                chosen[index] = part.cut(room)
            } else {
                missing = part.rank
            }
        }
    }
}
