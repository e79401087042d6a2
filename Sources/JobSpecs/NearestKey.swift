/// Finds the word somebody probably meant.
public enum NearestKey {
    /// The candidate with the fewest edits, or nil when none is close.
    ///
    /// Close is one edit per three letters, at least one and at most three. An edit inserts, deletes
    /// or replaces a letter, or swaps two neighbours; case and `-` against `_` count as nothing.
    public static func suggestion(for word: String, among candidates: [String]) -> String? {
        let folded = fold(word)
        let limit = max(1, min(3, folded.count / 3))
        let ranked = candidates.map { ($0, editDistance(folded, fold($0))) }
        guard let best = ranked.min(by: { $0.1 < $1.1 }), best.1 <= limit else {
            return nil
        }
        return best.0
    }

    private static func fold(_ word: String) -> [Character] {
        word.prefix(64).lowercased().map { $0 == "-" ? "_" : $0 }
    }

    /// The optimal string alignment distance.
    static func editDistance(_ left: [Character], _ right: [Character]) -> Int {
        var beforePrevious: [Int] = []
        var previous = Array(0...right.count)
        for i in left.indices {
            var row = [i + 1]
            for j in right.indices {
                let replaced = previous[j] + (left[i] == right[j] ? 0 : 1)
                var best = min(replaced, previous[j + 1] + 1, row[j] + 1)
                if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] {
                    best = min(best, beforePrevious[j - 1] + 1)
                }
                row.append(best)
            }
            beforePrevious = previous
            previous = row
        }
        return previous[right.count]
    }
}
