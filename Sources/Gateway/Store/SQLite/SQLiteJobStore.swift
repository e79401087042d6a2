internal import Foundation
internal import GRDB
internal import Jobs
internal import Protocol

/// Jobs in one SQLite file.
final class SQLiteJobStore: JobStore {
    let pool: DatabasePool
    let waiting = CommitQueue()

    /// A store on an open database.
    init(pool: DatabasePool) {
        self.pool = pool
    }

    func job(_ id: String) async throws -> StoredJob {
        try await pool.read { db in
            let request = JobRecord.filter(JobRecord.CodingKeys.id == id)
            guard let row = try Row.fetchOne(db, request) else {
                throw StoreError(.notFound, "no job \(PlainText.quoted(id))")
            }
            return try Self.stored(row)
        }
    }

    func row(_ id: String) async throws -> JobRow {
        try await pool.read { db in
            let row = try Row.fetchOne(
                db,
                sql: "SELECT tenant, version, pipeline FROM job WHERE id = ?",
                arguments: [id]
            )
            guard let row else {
                throw StoreError(.notFound, "no job \(PlainText.quoted(id))")
            }
            return JobRow(
                id: id,
                owner: row["tenant"],
                version: row["version"],
                pipeline: row["pipeline"]
            )
        }
    }

    func existing(among ids: Set<String>) async throws -> Set<String> {
        try await pool.read { db in
            try String.fetchSet(
                db,
                JobRecord
                    .filter(ids.contains(JobRecord.CodingKeys.id))
                    .select(JobRecord.CodingKeys.id)
            )
        }
    }

    func submission(owner: String, key: String) async throws -> (id: String, digest: [UInt8])? {
        try await pool.read { db in
            let record =
                try JobRecord
                .filter(JobRecord.CodingKeys.tenant == owner && JobRecord.CodingKeys.key == key)
                .fetchOne(db)
            return record.map { ($0.id, [UInt8]($0.digest)) }
        }
    }

    func document(_ id: String) async throws -> JobDocument {
        try await pool.read { db in
            let row = try Row.fetchOne(
                db,
                sql: "SELECT spec, results FROM job WHERE id = ?",
                arguments: [id]
            )
            guard let row else {
                throw StoreError(.notFound, "no job \(PlainText.quoted(id))")
            }
            let results = row["results"] as Data?
            return JobDocument(
                spec: [UInt8](row["spec"] as Data),
                results: results.map { [UInt8]($0) } ?? []
            )
        }
    }

    func inputs(of id: String) async throws -> [Input] {
        try await pool.read { db in
            let files =
                try InputFileRecord
                .filter(InputFileRecord.CodingKeys.job == id)
                .order(InputFileRecord.CodingKeys.path)
                .fetchAll(db)
            let filesByPosition = Dictionary(grouping: files, by: \.position)
            return
                try InputRecord
                .filter(InputRecord.CodingKeys.job == id)
                .order(InputRecord.CodingKeys.position)
                .fetchAll(db)
                .map { input in
                    Input(
                        pointer: input.pointer,
                        source: input.source,
                        files: try (filesByPosition[input.position] ?? []).map { try $0.file() }
                    )
                }
        }
    }

    func outputs(of id: String) async throws -> [OutputFile] {
        try await pool.read { db in
            try OutputRecord.files(of: id, db)
        }
    }

    func checkpoint(of id: String) async throws -> [OutputFile] {
        try await pool.read { db in
            try CheckpointRecord.files(of: id, db)
        }
    }

    func events(of id: String, after seq: Int64, limit: Int) async throws -> StoredEvents {
        try await pool.read { db in
            try EventRecord
                .filter(EventRecord.CodingKeys.job == id && EventRecord.CodingKeys.seq > seq)
                .order(EventRecord.CodingKeys.seq)
                .limit(limit)
                .fetchAll(db)
                .reduce(into: StoredEvents()) { found, record in
                    found.add([UInt8](record.body), job: id, seq: record.seq)
                }
        }
    }

    func page(before number: Int64?, limit: Int, of choice: JobChoice) async throws -> [ListedJob] {
        let request = Self.request(choice)
            .filter(JobRecord.CodingKeys.number < number ?? .max)
            .order(JobRecord.CodingKeys.number.desc)
            .limit(limit)
        return try await pool.read { db in
            guard !choice.states.isEmpty else {
                return try Row.fetchAll(db, request).map(Self.listed)
            }
            // State by state, each in the order of its index: of several at once all jobs would be sorted.
            var numbers: [Int64] = []
            for state in choice.states {
                numbers += try Int64.fetchAll(
                    db,
                    request
                        .filter(JobRecord.CodingKeys.state == state.rawValue)
                        .select(JobRecord.CodingKeys.number)
                )
            }
            let newest = numbers.sorted(by: >).prefix(limit)
            let chosen =
                JobRecord
                .filter(newest.contains(JobRecord.CodingKeys.number))
                .order(JobRecord.CodingKeys.number.desc)
            return try Row.fetchAll(db, chosen).map(Self.listed)
        }
    }

    /// The jobs of a choice, whatever their states.
    private static func request(_ choice: JobChoice) -> QueryInterfaceRequest<JobRecord> {
        var request = JobRecord.all()
        if let owner = choice.owner {
            request = request.filter(JobRecord.CodingKeys.tenant == owner)
        }
        if !choice.kinds.isEmpty {
            let kinds = choice.kinds.map(\.rawValue)
            request = request.filter(kinds.contains(JobRecord.CodingKeys.kind))
        }
        if !choice.name.isEmpty {
            let name = Column("name").lowercased
            request = request.filter(literal: "instr(\(name), \(choice.name.lowercased())) > 0")
        }
        return choice.word.isEmpty ? request : request.filter(literal: meant(by: choice.word))
    }

    /// The condition for jobs that a word may mean.
    private static func meant(by word: String) -> SQL {
        func called(_ word: String) -> SQL {
            // Nothing that an id begins with comes behind this character.
            "(name = \(word) OR (id >= \(word) AND id < \(word + "\u{10FFFF}")))"
        }
        func pipelines(_ word: String) -> SQL {
            "pipeline IN (SELECT id FROM pipeline WHERE \(called(word)))"
        }
        let whole: SQL = "\(called(word)) OR \(pipelines(word))"
        // No pipeline is called nothing, though every id begins with it.
        guard let slash = word.lastIndex(of: "/"), slash > word.startIndex else {
            return "(\(whole))"
        }
        let part = String(word[word.index(after: slash)...])
        return "(\(whole) OR (part = \(part) AND \(pipelines(String(word[..<slash])))))"
    }

    private static func listed(_ row: Row) -> ListedJob {
        do {
            return .job(try stored(row))
        } catch {
            return .unreadable(number: row["number"], id: row["id"] ?? "?", error)
        }
    }

    func jobs(in states: [JobState], after number: Int64, limit: Int) async throws -> StoredJobs {
        try await pool.read { db in
            try Self.page(
                db,
                JobRecord
                    .filter(states.map(\.rawValue).contains(JobRecord.CodingKeys.state))
                    .filter(JobRecord.CodingKeys.number > number)
                    .order(JobRecord.CodingKeys.number),
                limit: limit
            )
        }
    }

    func nextQueued(
        for offer: Offer,
        excluding owners: Set<String>,
        delayed: Set<String>
    ) async throws -> StoredJob? {
        let accelerators = [Accelerator.auto, offer.accelerator].map(\.rawValue)
        return try await pool.read { db in
            // One after the other: however many rows cannot be read, they stand before nobody.
            let rows = try Row.fetchCursor(
                db,
                JobRecord
                    .filter(JobRecord.CodingKeys.state == JobState.queued.rawValue)
                    .filter(offer.kinds.map(\.rawValue).contains(JobRecord.CodingKeys.kind))
                    .filter(accelerators.contains(JobRecord.CodingKeys.accelerator))
                    .filter(JobRecord.CodingKeys.devices <= offer.devices)
                    .filter(JobRecord.CodingKeys.nodes <= offer.nodes)
                    .filter(offer.runsCode || !JobRecord.CodingKeys.runsCode)
                    .filter(!owners.contains(JobRecord.CodingKeys.tenant))
                    .filter(!delayed.contains(JobRecord.CodingKeys.id))
                    .order(JobRecord.CodingKeys.rank, JobRecord.CodingKeys.number)
            )
            while let row = try rows.next() {
                if let stored = try? Self.stored(row) { return stored }
            }
            return nil
        }
    }

    /// The job that a row holds.
    ///
    /// - Throws: ``StoreError`` (`corrupt`), whatever is wrong with it.
    static func stored(_ row: Row) throws(StoreError) -> StoredJob {
        do {
            return try JobRecord(row: row).stored()
        } catch let error as StoreError {
            throw error
        } catch {
            let id = row["id"] as String? ?? "?"
            throw StoreError(.corrupt, "job \(id) cannot be read: \(error)")
        }
    }

    /// A page of jobs by number.
    static func page(
        _ db: Database,
        _ request: QueryInterfaceRequest<JobRecord>,
        limit: Int = .max
    ) throws -> StoredJobs {
        let rows = try Row.fetchAll(db, request.limit(limit))
        var page = StoredJobs()
        for row in rows {
            do {
                page.jobs.append(try stored(row))
            } catch {
                page.unreadable.append(
                    UnreadableJob(number: row["number"], id: row["id"] ?? "?", error: error)
                )
            }
        }
        page.next = rows.count == limit ? rows.last?["number"] : nil
        return page
    }

    func workers() async throws -> [Worker] {
        try await pool.read { db in
            try WorkerRecord.order(Column("role"), Column("instance")).fetchAll(db)
                .compactMap(\.worker)
        }
    }

    func put(_ worker: Worker) async throws {
        try await pool.write { db in try WorkerRecord(worker).insert(db) }
    }

    func put(seen: [WorkerIdentity: Int64]) async throws {
        try await pool.write { db in
            for (identity, time) in seen {
                try WorkerRecord
                    .filter(Column("role") == identity.role.rawValue)
                    .filter(Column("instance") == identity.instance)
                    .updateAll(db, Column("seen").set(to: time))
            }
        }
    }

    func forget(_ holder: LeaseHolder) async throws {
        try await pool.write { db in
            _ =
                try WorkerRecord
                .filter(Column("role") == holder.worker.role.rawValue)
                .filter(Column("instance") == holder.worker.instance)
                .filter(Column("boot") == holder.boot)
                .deleteAll(db)
        }
    }

    func probe() async throws {
        try await pool.write { db in
            try db.execute(sql: "UPDATE worker SET version = version WHERE instance = ''")
        }
    }

    func tidy() async throws {
        // Waits for nobody, so that nobody waits: neither for long readers, nor for a backup.
        try await pool.writeWithoutTransaction { db in _ = try db.checkpoint(.passive) }
    }

    func close() throws {
        // All in one file when nobody uses it: what copies that alone has everything.
        _ = try? pool.writeWithoutTransaction { db in try db.checkpoint(.truncate) }
        try pool.close()
    }
}
