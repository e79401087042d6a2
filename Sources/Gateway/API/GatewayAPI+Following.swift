internal import Foundation
internal import Jobs
internal import Protocol

extension GatewayAPI {
    /// A job's events from a number on, those to come included; they end with the job.
    ///
    /// The first number wanted is the first that comes; 0 and 1 both mean all.
    func events(_ request: WatchJobRequest, by principal: Principal) async throws -> JobEvents {
        _ = try await user(Caller(principal, .watchJob), to: .see, request.jobID)
        return JobEvents(engine: engine, job: request.jobID, after: max(1, request.fromSeq) - 1)
    }

    /// A job's log from an offset on; where it is to be followed, until the job ends.
    func log(_ request: JobLogsRequest, by principal: Principal) async throws -> JobLog {
        _ = try await user(Caller(principal, .jobLogs), to: .see, request.jobID)
        return JobLog(
            engine: engine,
            logs: logs,
            job: request.jobID,
            offset: request.offset,
            isFollowed: request.follow
        )
    }
}

/// A job's events, read as they are asked for.
struct JobEvents: AsyncSequence, Sendable {
    typealias Element = JobEvent
    typealias Failure = any Error

    let engine: JobEngine
    let job: String
    let after: UInt64

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
        private static let pageSize = 16
        /// Bytes of events that wait to be read: a metric may have 64 KiB, and somebody may not read.
        private static let pageBytes = 64 << 10

        init(_ events: JobEvents, _ changes: AsyncStream<Void>.AsyncIterator) {
            self.events = events
            self.changes = changes
            last = events.after
        }

        mutating func next() async throws -> JobEvent? {
            while page.isEmpty {
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
            let event = page.removeFirst()
            last = event.seq
            return event
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

    func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(self, engine.hub.subscribe(job).makeAsyncIterator())
    }

    struct AsyncIterator: AsyncIteratorProtocol {
        private static let pieceSize = 32 << 10

        private let log: JobLog
        private var changes: AsyncStream<Void>.AsyncIterator
        private var offset: UInt64
        /// Nothing comes any more behind what is stored.
        private var isOver = false

        init(_ log: JobLog, _ changes: AsyncStream<Void>.AsyncIterator) {
            self.log = log
            self.changes = changes
            offset = log.offset
        }

        mutating func next() async throws -> LogChunk? {
            while true {
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
