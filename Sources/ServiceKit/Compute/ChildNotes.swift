internal import Synchronization

/// What is known of a child after its end.
struct ChildTestimony: Sendable {
    /// Its results or its failure, if it told them.
    var last: ComputeEvent?
    /// The last lines that it printed on standard error.
    var lastWords: [String] = []
    /// The line that says what was fatal, of a trap; what follows it may be long.
    var fatalWords: String?
    /// Whether its daemon killed it because that was asked for.
    var wasKilled = false
    /// How long it had been silent when it was killed for that.
    var stalledAfter: Duration?
    /// The most memory that it used, in bytes, as far as the system told.
    var peakByteCount: Int?
    /// The kills for lack of memory that the system counted while it ran, in words; empty if none,
    /// nil if it does not count.
    var outOfMemoryKills: String?

    /// The bytes of an allocation that failed, which ended it, from its last words.
    var refusedByteCount: Int? {
        guard let fatalWords,
            let found = fatalWords.firstMatch(of: /failed to allocate ([0-9]{1,20}) bytes/)
        else { return nil }
        return Int(found.1) ?? .max
    }

    /// A part of a sentence: the line that says what was fatal, or else the last lines.
    var words: String {
        if let fatalWords { return "; it last said: " + fatalWords }
        return lastWords.isEmpty ? "" : "; it last said: " + lastWords.joined(separator: " | ")
    }
}

/// What is remembered of a child while it runs.
final class ChildNotes: Sendable {
    private let state: Mutex<(testimony: ChildTestimony, heard: ContinuousClock.Instant)>

    init() { state = Mutex((ChildTestimony(), .now)) }

    private static let wordLimit = 5

    /// How long the child has printed nothing.
    var silence: Duration { .now - state.withLock { $0.heard } }

    /// All that was noted, and what the system counted meanwhile.
    func testimony(kills: String?) -> ChildTestimony {
        var testimony = state.withLock { $0.testimony }
        testimony.outOfMemoryKills = kills
        return testimony
    }

    /// The child printed something.
    func touch() { state.withLock { $0.heard = .now } }

    func conclude(_ event: ComputeEvent) { state.withLock { $0.testimony.last = event } }

    func hear(_ line: String) {
        state.withLock { state in
            state.heard = .now
            if line.contains("Fatal error") { state.testimony.fatalWords = line }
            let words = state.testimony.lastWords + [line]
            state.testimony.lastWords = Array(words.suffix(Self.wordLimit))
        }
    }

    func see(peak: Int) {
        state.withLock { $0.testimony.peakByteCount = peak }
    }

    func markKilled() { state.withLock { $0.testimony.wasKilled = true } }

    func markStalled(after limit: Duration) {
        state.withLock { $0.testimony.stalledAfter = limit }
    }
}
