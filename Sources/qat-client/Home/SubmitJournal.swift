internal import Foundation
internal import JobSpecs

/// What this client is about to submit and has submitted, on the disk before the gateway hears it.
///
/// A line per event. A submission whose reply was lost, or was not shown, has no second line; submitting
/// the same again takes its key and what its words meant then, so that the gateway answers with the job it
/// may have made already. The same is what was typed: `--after latest` and `--deadline 17:30` mean
/// something else by now.
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
    }

    private let path: String

    /// Bytes at the file's end that are searched for unfinished submissions.
    private static let searchedByteCount = 256 << 10

    init(_ home: QatHome) {
        path = home.journalPath
    }

    /// An unfinished submission of the same by a process that is gone.
    ///
    /// `digest`: Of what was typed, and of the content of the files that it names.
    func unfinished(
        digest: String,
        isRunning: (ProcessIdentity) -> Bool = \.isRunning
    ) -> Intent? {
        var intents: [Intent] = []
        for line in lines(tail(Self.searchedByteCount)) {
            guard let key = line["key"]?.stringValue else {
                continue
            }
            if line["job_id"] != nil || line["refused"] != nil {
                intents.removeAll { $0.key == key }
            } else if line["digest"]?.stringValue == digest,
                let process = ProcessIdentity(line["process"]), !isRunning(process)
            {
                intents.append(Intent(key, line))
            }
        }
        return intents.last
    }

    /// The first submission of the same under a key that its submitter chose, finished or not, since the
    /// gateway last refused one.
    func intent(key: String, digest: String) -> Intent? {
        var first: Intent?
        // Others are not parsed: a key may be as old as the journal.
        let mark = JSONValue.string(key).canonicalBytes
        for line in lines(tail(nil), having: mark) where line["key"]?.stringValue == key {
            if line["refused"] != nil {
                first = nil
            } else if first == nil, line["digest"]?.stringValue == digest {
                first = Intent(key, line)
            }
        }
        return first
    }

    /// Records that something is about to be submitted; returns when that is on the disk.
    ///
    /// `schedule`: What the words of the command mean now; it is sent again under this key, as is what
    /// `references` say that those of the file mean.
    func recordIntent(
        key: String,
        digest: String,
        file: String,
        schedule: Schedule = Schedule(),
        references: [String: String] = [:],
        unixMs: Int64
    ) throws {
        try append([
            "key": .string(key),
            "digest": .string(digest),
            "file": .string(file),
            "schedule": schedule.members,
            "references": .object(references.mapValues(JSONValue.string)),
            "time": .string(Quantities.timestamp(unixMs: unixMs)),
            "process": ProcessIdentity.current.json,
        ])
    }

    /// Records the job that a key became, once its submitter was shown it.
    func recordJob(key: String, jobID: String) throws {
        try append(["key": .string(key), "job_id": .string(jobID)])
    }

    /// Records that the gateway refused a key for good.
    func recordRefusal(key: String, reason: String) throws {
        try append(["key": .string(key), "refused": .string(reason)])
    }

    private func append(_ members: [String: JSONValue]) throws {
        // A crash may have left half a line; the line break keeps it from spoiling this one.
        let isTorn = endsWithoutLineBreak()
        let line = JSONValue.object(members).canonicalBytes + [0x0A]
        try PrivateFiles.append((isTorn ? [0x0A] : []) + line, to: path)
    }

    private func endsWithoutLineBreak() -> Bool {
        tail(1).last.map { $0 != 0x0A } ?? false
    }

    private func lines(_ bytes: [UInt8], having mark: [UInt8] = []) -> [JSONValue] {
        bytes.split(separator: 0x0A).compactMap { line in
            guard mark.isEmpty || line.firstRange(of: mark) != nil else { return nil }
            return try? JSONParser.parse(Array(line)).value
        }
    }

    /// The last bytes of the file; all without a count.
    private func tail(_ count: Int?) -> [UInt8] {
        guard let handle = FileHandle(forReadingAtPath: path) else {
            return []
        }
        defer { try? handle.close() }
        let end = (try? handle.seekToEnd()) ?? 0
        let wanted = count.map { UInt64($0) } ?? end
        try? handle.seek(toOffset: end > wanted ? end - wanted : 0)
        return (try? handle.readToEnd()).map { [UInt8]($0) } ?? []
    }
}

extension SubmitJournal.Intent {
    fileprivate init(_ key: String, _ line: JSONValue) {
        self.init(
            key: key,
            schedule: line["schedule"].flatMap(Schedule.init(members:)),
            references: (line["references"]?.objectValue ?? [:]).compactMapValues(\.stringValue),
            time: line["time"]?.stringValue ?? ""
        )
    }
}
