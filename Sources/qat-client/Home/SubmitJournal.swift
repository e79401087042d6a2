internal import Foundation
internal import JobSpecs
internal import Protocol

/// What this client is about to submit and has submitted, on the disk before the gateway hears it.
///
/// A line per event. A submission whose reply was lost, or was not shown, has no second line; submitting
/// the same again takes its key and what its words meant then, so that the gateway answers with the job it
/// may have made already. The same is what was typed: `--after latest` and `--deadline 17:30` mean
/// something else by now.
///
/// What came to its end is left out once the file has a megabyte. What a key of one's own meant stands in a
/// file of that key, so that it is known however much was submitted since.
struct SubmitJournal {
    /// A submission as it was made.
    struct Intent: Equatable {
        let key: String
        /// When and whether it is to run, by whole ids and instants; nil if its line does not say.
        let schedule: Schedule?
        /// The ids that words in its file stood for.
        var references: [String: String] = [:]
        /// When it was made, for people.
        let time: String

        /// That it is gone on with, if words would mean something else by now; nil if none would.
        func sentence(_ schedule: Schedule) -> String? {
            guard !schedule.text.isEmpty || !references.isEmpty else { return nil }
            let text = schedule.text.isEmpty ? "" : ", \(schedule.text)"
            return "the submission of \(time)\(text)"
        }
    }

    /// A submission that is about to be made.
    struct Entry {
        let key: String
        /// Whether the key is one that its submitter chose.
        var isOwnKey = false
        /// Of what was typed, and of the content of the files that it names.
        let digest: String
        let file: String
        /// What the words of the command mean now.
        var schedule = Schedule()
        /// What those of the file mean.
        var references: [String: String] = [:]
        let unixMs: Int64
    }

    private let path: String
    private let keyFolder: String
    /// Which gateway is talked to; nil if that is not known.
    private let gateway: String?

    /// From this size on what came to its end is left out.
    private static let byteLimit = 1 << 20
    /// Unfinished submissions that are kept then, the newest.
    private static let unfinishedLimit = 4096

    /// The journal of a home, of what went to one gateway: by its address, or that of the home's profile.
    init(_ home: QatHome, gateway: String? = nil) {
        path = home.journalPath
        keyFolder = home.keysPath
        self.gateway = gateway ?? (try? Profile.load(home))?.gateway
    }

    /// An unfinished submission of the same by a process that is gone.
    ///
    /// `digest`: Of what was typed, and of the content of the files that it names.
    func unfinished(
        digest: String,
        isRunning: (ProcessIdentity) -> Bool = \.isRunning
    ) -> Intent? {
        let lines = JournalFile(path).lines.filter(isOfThisGateway)
        return Self.unfinished(lines).last { line in
            guard line["digest"]?.stringValue == digest,
                let process = ProcessIdentity(line["process"])
            else { return false }
            return !isRunning(process)
        }.flatMap(Intent.init)
    }

    /// The lines of submissions that came to no end.
    private static func unfinished(_ lines: [JSONValue]) -> [JSONValue] {
        var open: [JSONValue] = []
        for line in lines {
            guard let key = line["key"] else { continue }
            if line["job_id"] != nil {
                open.removeAll { $0["key"] == key }
            } else if line["refused"] != nil {
                // Under a key of one's own something else may be refused than what is unfinished.
                open.removeAll { $0["key"] == key && isRefusal(line, of: $0["digest"]) }
            } else {
                open.append(line)
            }
        }
        return open
    }

    /// The first submission of the same under a key that its submitter chose, finished or not, since the
    /// gateway last refused it.
    func intent(key: String, digest: String) -> Intent? {
        let file = JournalFile(keyPath(key))
        var first: JSONValue?
        for line in (file.isThere ? file : JournalFile(path)).lines
        where line["key"]?.stringValue == key && isOfThisGateway(line) {
            if line["refused"] != nil {
                if Self.isRefusal(line, of: .string(digest)) { first = nil }
            } else if first == nil, line["digest"]?.stringValue == digest {
                first = line
            }
        }
        return first.flatMap(Intent.init)
    }

    /// Whether a refusal is of a digest: it is, unless it names another one.
    private static func isRefusal(_ line: JSONValue, of digest: JSONValue?) -> Bool {
        line["digest"] == nil || line["digest"] == digest
    }

    /// Whether a line is of what went to this gateway; one of an earlier version does not say.
    private func isOfThisGateway(_ line: JSONValue) -> Bool {
        guard let gateway, let known = line["gateway"]?.stringValue else { return true }
        return known == gateway
    }

    /// Records that something is about to be submitted; returns when that is on the disk.
    func record(_ entry: Entry) throws {
        let line: [String: JSONValue] = [
            "key": .string(entry.key),
            "digest": .string(entry.digest),
            "file": .string(entry.file),
            "schedule": entry.schedule.members,
            "references": .object(entry.references.mapValues(JSONValue.string)),
            "time": .string(Quantities.timestamp(unixMs: entry.unixMs)),
            "process": ProcessIdentity.current.json,
        ]
        // Repeated, it means what it meant: the file of the key does not grow by it.
        if entry.isOwnKey, intent(key: entry.key, digest: entry.digest) == nil {
            try append(line, toKey: entry.key)
        }
        try append(line)
    }

    /// Records the job that a key became, once its submitter was shown it.
    func recordJob(key: String, jobID: String) throws {
        try append(["key": .string(key), "job_id": .string(jobID)])
    }

    /// Records that the gateway refused something under a key: no job was made of it.
    func recordRefusal(key: String, isOwnKey: Bool = false, digest: String, reason: String) throws {
        let line: [String: JSONValue] = [
            "key": .string(key), "digest": .string(digest), "refused": .string(reason),
        ]
        if isOwnKey { try append(line, toKey: key) }
        try append(line)
    }

    private func append(_ members: [String: JSONValue]) throws {
        try JournalFile(path).append(ofThisGateway(members), above: Self.byteLimit, keeping: live)
    }

    private func append(_ members: [String: JSONValue], toKey key: String) throws {
        try PrivateFiles.createFolder(keyFolder)
        try JournalFile(keyPath(key)).append(ofThisGateway(members))
    }

    private func ofThisGateway(_ members: [String: JSONValue]) -> JSONValue {
        var members = members
        members["gateway"] = gateway.map(JSONValue.string)
        return .object(members)
    }

    /// The lines that are needed still.
    private func live(_ lines: [JSONValue]) throws -> [JSONValue] {
        let isOwn = { (line: JSONValue) in
            // An earlier version kept what keys of one's own meant here alone.
            (line["key"]?.stringValue).map { key in
                !UUIDv7.isOne(key) && !JournalFile(keyPath(key)).isThere
            } ?? false
        }
        return lines.filter(isOwn)
            + Self.unfinished(lines).filter { !isOwn($0) }.suffix(Self.unfinishedLimit)
    }

    /// Where what a key means is kept.
    private func keyPath(_ key: String) -> String {
        keyFolder + "/" + SHA256Digest.digest(of: Array(key.utf8)).hex.prefix(32) + ".ndjson"
    }
}

extension SubmitJournal.Intent {
    fileprivate init?(_ line: JSONValue) {
        guard let key = line["key"]?.stringValue else { return nil }
        self.init(
            key: key,
            schedule: line["schedule"].flatMap(Schedule.init(members:)),
            references: (line["references"]?.objectValue ?? [:]).compactMapValues(\.stringValue),
            time: line["time"]?.stringValue ?? ""
        )
    }
}
