internal import Jobs
internal import Testing

struct JobStateTests {
    /// The table of docs/JOBS.md, line by line; PROTOCOL.md's chain of states is its spine.
    private static let table = [
        "BLOCKED": "QUEUED SUCCEEDED FAILED CANCELLED",
        "QUEUED": "STARTING FAILED CANCELLED",
        "STARTING": "RUNNING CANCELLING RECOVERING SUCCEEDED FAILED CANCELLED",
        "RUNNING": "CANCELLING RECOVERING SUCCEEDED FAILED CANCELLED",
        "CANCELLING": "RECOVERING SUCCEEDED FAILED CANCELLED",
        "RECOVERING": "QUEUED FAILED CANCELLED",
        "SUCCEEDED": "",
        "FAILED": "BLOCKED",
        "CANCELLED": "BLOCKED",
    ]

    @Test func whatMayFollowWhatIsWhatTheDocumentSays() {
        #expect(Set(JobState.allCases.map(\.rawValue)) == Set(Self.table.keys))
        for state in JobState.allCases {
            let expected = Self.table[state.rawValue]?.split(separator: " ").map(String.init) ?? []
            #expect(Set(state.successors.map(\.rawValue)) == Set(expected), "\(state)")
        }
    }

    @Test func everyJobCanEnd() {
        // From every state some end is reachable, and from every state but success the queue is.
        for state in JobState.allCases {
            var reached: Set<JobState> = [state]
            var work = [state]
            while let next = work.popLast() {
                for follower in next.successors where reached.insert(follower).inserted {
                    work.append(follower)
                }
            }
            #expect(!reached.isDisjoint(with: JobState.terminal))
            #expect(state == .succeeded || reached.contains(.queued), "\(state)")
        }
    }
}
