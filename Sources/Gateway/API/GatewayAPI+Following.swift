internal import Foundation
internal import Jobs
internal import Protocol

extension GatewayAPI {
    /// A job's events from a number on, those to come included; they end with the job.
    ///
    /// The first number wanted is the first that comes; 0 and 1 both mean all.
    func events(_ request: WatchJobRequest, by principal: Principal) async throws -> JobEvents {
        JobEvents(
            engine: engine,
            job: request.jobID,
            after: max(1, request.fromSeq) - 1,
            permit: try await permit(Caller(principal, .watchJob), toSee: request.jobID)
        )
    }

    /// A job's log from an offset on; where it is to be followed, until the job ends.
    func log(_ request: JobLogsRequest, by principal: Principal) async throws -> JobLog {
        JobLog(
            engine: engine,
            logs: logs,
            job: request.jobID,
            offset: request.offset,
            isFollowed: request.follow,
            permit: try await permit(Caller(principal, .jobLogs), toSee: request.jobID)
        )
    }

    private func permit(_ caller: Caller, toSee job: String) async throws -> Permit {
        try await Permit(authority.policies) { _ = try await user(caller, to: .see, job) }
    }
}

/// A job's events, read as they are asked for.
struct JobEvents: AsyncSequence, Sendable {
    typealias Element = JobEvent
    typealias Failure = any Error

    let engine: JobEngine
    let job: String
    let after: UInt64
    let permit: Permit

    func makeAsyncIterator() -> AsyncIterator {
        // The subscription comes before the reading: an event that is written in between is not missed.
        AsyncIterator(self, engine.hub.subscribe(job).makeAsyncIterator())
    }

    struct AsyncIterator: AsyncIteratorProtocol {
        private let events: JobEvents
        private var changes: AsyncStream<Void>.AsyncIterator
        private var last: UInt64
        private var page: ArraySlice<JobEvent> = []
        private var isOver = false
        private var permit: Permit
        private static let pageSize = 16
        /// Bytes of events that wait to be read: a metric may have 64 KiB, and somebody may not read.
        private static let pageBytes = 64 << 10

        init(_ events: JobEvents, _ changes: AsyncStream<Void>.AsyncIterator) {
            self.events = events
            self.changes = changes
            last = events.after
            permit = events.permit
        }

        mutating func next() async throws -> JobEvent? {
            while true {
                // Before what is at hand, too: the reader may have let it lie for days.
                try await permit.renew()
                if let event = page.popFirst() {
                    last = event.seq
                    return event
                }
                if isOver { return nil }
                let (read, isEnd) = try await events.engine.events(
                    events.job,
                    after: last,
                    limit: Self.pageSize
                )
                page = Self.page(of: read)
                isOver = isEnd && page.count == read.count
                if read.isEmpty, !isEnd {
                    try await changes.nextChange()
                }
                try Task.checkCancellation()
            }
        }

        /// The first of some events, of so many bytes at most; one at least, if there is one.
        static func page(of read: [JobEvent]) -> ArraySlice<JobEvent> {
            var bytes = 0
            let count = read.prefix { event in
                bytes += event.metricsJSON.count + event.message.utf8.count
                return bytes <= pageBytes
            }.count
            // A copy: a slice would keep all of them.
            return ArraySlice(Array(read.prefix(Swift.max(1, count))))
        }
    }
}

/// A job's log in pieces, read as they are asked for.
struct JobLog: AsyncSequence, Sendable {
    typealias Element = LogChunk
    typealias Failure = any Error

    let engine: JobEngine
    let logs: JobLogStore
    let job: String
    let offset: UInt64
    let isFollowed: Bool
    let permit: Permit

    func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(self, engine.hub.subscribe(job).makeAsyncIterator())
    }

    struct AsyncIterator: AsyncIteratorProtocol {
        private static let pieceSize = 32 << 10

        private let log: JobLog
        private var changes: AsyncStream<Void>.AsyncIterator
        private var offset: UInt64
        private var permit: Permit
        /// Nothing comes any more behind what is stored.
        private var isOver = false

        init(_ log: JobLog, _ changes: AsyncStream<Void>.AsyncIterator) {
            self.log = log
            self.changes = changes
            offset = log.offset
            permit = log.permit
        }

        mutating func next() async throws -> LogChunk? {
            while true {
                try await permit.renew()
                let bytes = try log.logs.read(log.job, offset: offset, count: Self.pieceSize)
                if !bytes.isEmpty {
                    defer { offset += UInt64(bytes.count) }
                    return LogChunk(offset: offset, data: bytes)
                }
                if isOver { return nil }
                // The state is read before the rest of the log: what is written before the end
                // is then not missed.
                isOver = log.isFollowed ? try await log.engine.isOver(log.job) : true
                if !isOver {
                    try await changes.nextChange()
                    try Task.checkCancellation()
                }
            }
        }
    }
}

extension AsyncStream<Void>.AsyncIterator {
    /// Waits for a change.
    ///
    /// - Throws: ``StoreError`` (`stopping`) when none will come, since the gateway stops.
    mutating func nextChange() async throws {
        guard await next() != nil else {
            try Task.checkCancellation()
            throw StoreError(.stopping, "the gateway is stopping")
        }
    }
}
