internal import Foundation
internal import Jobs
internal import Testing

struct JobStateTests {
    /// The table of docs/JOBS.md, line by line; PROTOCOL.md's chain of states is its spine.
    ///
    /// What stands in parentheses says when a state follows.
    private static func table() throws -> [String: Set<String>] {
        let page = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../docs/JOBS.md")
        var table: [String: Set<String>] = [:]
        for line in try String(contentsOf: page, encoding: .utf8).split(separator: "\n") {
            guard let row = line.wholeMatch(of: #/\| ([A-Z]+) \| [^|]+ \| ([^|]+) \|/#) else {
                continue
            }
            let followers = row.output.2.replacing(#/ \([a-z]+\)/#, with: "")
            table[String(row.output.1)] =
                followers == "–"
                ? [] : Set(followers.split(separator: ", ").map(String.init))
        }
        return table
    }

    @Test func whatMayFollowWhatIsWhatTheDocumentSays() throws {
        let table = try Self.table()
        #expect(Set(JobState.allCases.map(\.rawValue)) == Set(table.keys))
        for state in JobState.allCases {
            #expect(Set(state.successors.map(\.rawValue)) == table[state.rawValue], "\(state)")
        }
    }

    /// Where a job rests nobody runs it, and it is one of its owner's waiting jobs.
    @Test func everyStateIsOfOneKind() {
        for state in JobState.allCases {
            let kinds = [state.isLeased, state.isWaiting, state.isTerminal, state == .recovering]
            #expect(kinds.count { $0 } == 1, "\(state)")
        }
        #expect(JobState.paused.isWaiting && JobState.pausing.isLeased)
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
