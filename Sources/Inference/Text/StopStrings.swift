/// Ends a text where one of some strings begins, wherever tokens are cut.
///
/// What may be the beginning of one is held back until it is known.
struct StopStrings {
    /// As UTF-8; none is empty.
    private let stops: [[UInt8]]
    private var held: [UInt8] = []

    /// Empty strings stop nothing.
    init(_ stops: [String]) { self.stops = stops.map { Array($0.utf8) }.filter { !$0.isEmpty } }

    /// Takes the text's next piece; returns what of the text can be told, and the string that ended it.
    mutating func take(_ piece: String) -> (text: String, stop: String?) {
        guard !stops.isEmpty else { return (piece, nil) }
        held += piece.utf8
        if let (range, stop) = firstStop() {
            let text = String(decoding: held[..<range], as: UTF8.self)
            held.removeAll()
            return (text, String(decoding: stop, as: UTF8.self))
        }
        let kept = longestBeginning()
        let text = String(decoding: held.dropLast(kept), as: UTF8.self)
        held.removeFirst(held.count - kept)
        return (text, nil)
    }

    /// What is held back, when no more comes.
    mutating func finish() -> String {
        defer { held.removeAll() }
        return String(decoding: held, as: UTF8.self)
    }

    /// Where the first one begins; of several there the longest.
    private func firstStop() -> (Int, [UInt8])? {
        for start in held.indices {
            let found = stops.filter { held[start...].starts(with: $0) }
            if let longest = found.max(by: { $0.count < $1.count }) { return (start, longest) }
        }
        return nil
    }

    /// Bytes at the end that one of the strings may begin with.
    private func longestBeginning() -> Int {
        let longest = stops.map(\.count).max() ?? 0
        for count in (1..<max(longest, 1)).reversed() where count <= held.count {
            let end = held.suffix(count)
            if stops.contains(where: { $0.count > count && $0.starts(with: end) }) { return count }
        }
        return 0
    }
}
