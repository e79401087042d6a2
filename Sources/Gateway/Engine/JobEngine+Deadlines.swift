internal import Jobs

extension JobEngine {
    /// Counts for every job that has a deadline and has not ended.
    func trackDeadlines() async throws {
        let moment = now
        try await forEach(in: JobState.waiting + JobState.leased) { stored in
            deadlines.track(
                stored.job.id,
                until: lifecycle.deadlineEnd(of: stored.job, at: moment)
            )
        }
    }

    /// Ends the jobs whose time is over, or asks those who run them to.
    ///
    /// - Returns: The jobs concerned.
    func endOverdue() async throws -> [String] {
        var ended: [String] = []
        for id in deadlines.passed(at: now.uptime) {
            do {
                if try await apply(.deadlinePassed, to: id).isChange {
                    ended.append(id)
                }
            } catch let error as StoreError where [.notFound, .corrupt].contains(error.code) {
                // It was never stored, or lists say what is wrong with the row.
                deadlines.remove(id)
            }
        }
        return ended
    }
}
