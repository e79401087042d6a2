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
    /// What makes a submission the same: of what was typed, and of the content of the files that it names.
    struct Digest {
        let text: String
        /// Whether it is as version 0.1.0 formed it until November 2026, which is looked for among its lines.
        let isEarlier: Bool

        init(_ text: String, isEarlier: Bool = false) {
            self.text = text
            self.isEarlier = isEarlier
        }

        fileprivate func matches(_ line: JSONValue) -> Bool {
            line["digest"]?.stringValue == text && (!isEarlier || line["own_key"] == nil)
        }
    }

    /// A submission as it was made.
    struct Intent: Equatable {
        let key: String
        let digest: String
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

    /// Who submits to which gateway; keys and jobs are theirs.
    struct Place: Equatable {
        let gateway: String
        /// The certificate's file.
        let caller: String

        init(gateway: String, caller: String) {
            // The machine itself has several names.
            self.gateway = ["localhost:", "[::1]:"].reduce(gateway) { text, name in
                text.hasPrefix(name) ? "127.0.0.1:" + text.dropFirst(name.count) : text
            }
            self.caller = caller
        }

        init(_ profile: Profile) {
            self.init(gateway: profile.gateway, caller: profile.certificatePath)
        }
    }

    private let path: String
    private let keyFolder: String
    /// Nil if that is not known.
    private let place: Place?

    /// From this size on what came to its end is left out.
    private static let byteLimit = 1 << 20
    /// Unfinished submissions that are kept then, the newest.
    private static let unfinishedLimit = 4096
    /// Keys of one's own of an earlier version that get a file of their own at once.
    private static let migrationLimit = 256

    /// The journal of a home, of what went to one place: by default that of the home's profile.
    init(_ home: QatHome, place: Place? = nil) {
        path = home.journalPath
        keyFolder = home.keysPath
        self.place = place ?? (try? Profile.load(home)).map(Place.init)
    }

    /// An unfinished submission of the same by a process that is gone, under no key of its submitter's.
    func unfinished(
        _ digest: Digest,
        isRunning: (ProcessIdentity) -> Bool = \.isRunning
    ) -> Intent? {
        let lines = JournalFile(path).lines.filter(isOfThisPlace)
        return Self.unfinished(lines).last { line in
            guard digest.matches(line), !Self.isOfOwnKey(line),
                let process = ProcessIdentity(line["process"])
            else { return false }
            return !isRunning(process)
        }.flatMap(Intent.init)
    }

    /// Whether a line is of a key that its submitter chose; earlier versions do not say, but what they made is
    /// told by its form.
    private static func isOfOwnKey(_ line: JSONValue) -> Bool {
        line["own_key"]?.booleanValue ?? !UUIDv7.isOne(line["key"]?.stringValue ?? "")
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
    func intent(key: String, _ digest: Digest) -> Intent? {
        var first: JSONValue?
        // What an earlier version wrote stands in the journal alone, and came first.
        for line in JournalFile(path).lines + JournalFile(keyPath(key)).lines
        where line["key"]?.stringValue == key && isOfThisPlace(line) {
            if line["refused"] != nil {
                if Self.isRefusal(line, of: .string(digest.text)) { first = nil }
            } else if first == nil, digest.matches(line) {
                first = line
            }
        }
        return first.flatMap(Intent.init)
    }

    /// Whether a refusal is of a digest: it is, unless it names another one.
    private static func isRefusal(_ line: JSONValue, of digest: JSONValue?) -> Bool {
        line["digest"] == nil || line["digest"] == digest
    }

    /// Whether a line is of what went to this place; one of an earlier version does not say.
    private func isOfThisPlace(_ line: JSONValue) -> Bool {
        guard let place, let gateway = line["gateway"]?.stringValue else { return true }
        return Place(gateway: gateway, caller: line["caller"]?.stringValue ?? place.caller) == place
    }

    /// Records that something is about to be submitted; returns when that is on the disk.
    func record(_ entry: Entry) throws {
        let line: [String: JSONValue] = [
            "key": .string(entry.key),
            "own_key": .boolean(entry.isOwnKey),
            "digest": .string(entry.digest),
            "file": .string(entry.file),
            "schedule": entry.schedule.members,
            "references": .object(entry.references.mapValues(JSONValue.string)),
            "time": .string(Quantities.timestamp(unixMs: entry.unixMs)),
            "process": ProcessIdentity.current.json,
        ]
        // Repeated, it means what it meant: the file of the key does not grow by it.
        if entry.isOwnKey, intent(key: entry.key, Digest(entry.digest)) == nil {
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
        try JournalFile(path).append(ofThisPlace(members), above: Self.byteLimit, keeping: live)
    }

    private func append(_ members: [String: JSONValue], toKey key: String) throws {
        try PrivateFiles.createFolder(keyFolder)
        try JournalFile(keyPath(key)).append(ofThisPlace(members))
    }

    private func ofThisPlace(_ members: [String: JSONValue]) -> JSONValue {
        var members = members
        members["gateway"] = (place?.gateway).map(JSONValue.string)
        members["caller"] = (place?.caller).map(JSONValue.string)
        return .object(members)
    }

    /// The lines that are needed still.
    private func live(_ lines: [JSONValue]) throws -> [JSONValue] {
        // An earlier version kept what keys of one's own meant here alone: they get files, some at a time.
        var (old, others): ([JSONValue], [JSONValue]) = ([], [])
        for line in lines {
            let isOld = line["own_key"] == nil && line["gateway"] == nil && Self.isOfOwnKey(line)
            isOld ? old.append(line) : others.append(line)
        }
        let keys = Dictionary(grouping: old) { $0["key"]?.stringValue ?? "" }
        let moved = Set(keys.keys.sorted().prefix(Self.migrationLimit))
        try PrivateFiles.createFolder(keyFolder)
        for key in moved {
            let file = JournalFile(keyPath(key))
            try file.replace(with: (keys[key] ?? []) + file.lines)
        }
        let kept = old.filter { !moved.contains($0["key"]?.stringValue ?? "") }
        return kept + Self.unfinished(others).suffix(Self.unfinishedLimit)
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
            digest: line["digest"]?.stringValue ?? "",
            schedule: line["schedule"].flatMap(Schedule.init(members:)),
            references: (line["references"]?.objectValue ?? [:]).compactMapValues(\.stringValue),
            time: line["time"]?.stringValue ?? ""
        )
    }
}
