internal import Foundation
internal import Jobs
internal import Logging
internal import Protocol
internal import Synchronization

/// What jobs that are not at work here left on a worker's disk, and its end.
///
/// The gateway alone knows whether anybody needs it: nothing goes without its word.
final class Leftovers: Sendable {
    /// How long what nobody needs is kept for a retry, unless its room is wanted.
    static let age: TimeInterval = 7 * 86_400

    private let folders: JobFolders
    private let review: @Sendable ([KeptJob]) async throws -> ReviewKeptResponse
    private let logger: Logger
    private let start = ContinuousClock.now
    private let time = Mutex<SteadyTime?>(nil)

    /// Leftovers in folders; `review` asks the gateway which of them may go.
    init(
        _ folders: JobFolders,
        logger: Logger,
        review: @escaping @Sendable ([KeptJob]) async throws -> ReviewKeptResponse
    ) {
        self.folders = folders
        self.logger = logger
        self.review = review
    }

    /// Removes what nobody needs and nothing was written to for a week.
    ///
    /// `elapsed`: Since the start of this worker, on a clock that never jumps.
    func removeUntouched(now: Date = .now, elapsed: Duration? = nil) async {
        let kept = folders.kept()
        guard isSteady(kept, now, elapsed ?? (.now - start)) else { return }
        let limit = now.addingTimeInterval(-Self.age)
        let (stored, over) = await needless(kept.filter { $0.touched < limit })
        for folder in stored + over {
            folders.remove(folder)
            logger.info("the folder of job \(folder.job), untouched for a week, is removed")
        }
    }

    /// Removes what nobody needs until there is enough room: first what the gateway has, too.
    func makeRoom(until isEnough: () -> Bool) async {
        guard !isEnough() else { return }
        let (stored, over) = await needless(folders.kept())
        for (folder, why) in stored.map({ ($0, "nothing of it is needed") })
            + over.map({ ($0, "it is over, or at work elsewhere") })
        {
            folders.remove(folder)
            logger.info("the folder of job \(folder.job) makes room: \(why)")
            if isEnough() { return }
        }
    }

    /// Removes what no attempt would go on with.
    func strip() { folders.strip() }

    /// Whether ages can be told from the wall clock, as the gateway tells its own.
    ///
    /// What was last written dates the time before this worker's start.
    private func isSteady(_ kept: [JobFolders.Kept], _ now: Date, _ elapsed: Duration) -> Bool {
        time.withLock { time in
            var watch =
                time
                ?? SteadyTime(
                    lastKnown: kept.map { Self.milliseconds($0.touched) }.max(),
                    absence: SteadyTime.tolerance
                )
            defer { time = watch }
            return watch.admits(
                unix: Self.milliseconds(now),
                elapsed: Int64(elapsed / .milliseconds(1))
            )
        }
    }

    private static func milliseconds(_ date: Date) -> Int64 {
        Int64(clamping: Int(max(-1e15, min(1e15, date.timeIntervalSince1970 * 1000))))
    }

    /// Those that nobody needs, by the gateway's word; when it stops answering, those that it spoke of.
    ///
    /// As many questions as it takes: what is needed may stand before all that is not, however much it is.
    private func needless(
        _ kept: [JobFolders.Kept]
    ) async -> (stored: [JobFolders.Kept], over: [JobFolders.Kept]) {
        var (stored, over) = ([JobFolders.Kept](), [JobFolders.Kept]())
        for start in stride(from: 0, to: kept.count, by: KeptWork.questionLimit) {
            let asked = kept[start..<min(start + KeptWork.questionLimit, kept.count)]
            do {
                let answer = try await review(
                    asked.map { KeptJob(jobID: $0.job, step: $0.step, isFinished: $0.isFinished) }
                )
                stored += asked.filter { answer.stored.contains($0.job) }
                over += asked.filter { answer.over.contains($0.job) }
            } catch {
                logger.info("what is kept of earlier jobs cannot be reviewed: \(error)")
                break
            }
        }
        return (stored, over)
    }
}
