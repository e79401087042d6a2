internal import Foundation
internal import JobSpecs

/// What this client is about to submit and has submitted, on the disk before the gateway hears it.
///
/// A line per event. A submission whose reply was lost has no second line; submitting the same
/// content again takes its key, so that the gateway answers with the job it may have made already.
struct SubmitJournal {
    private let path: String

    /// Bytes at the file's end that are searched for unfinished submissions.
    private static let searchedByteCount = 256 << 10

    init(_ home: QatHome) {
        path = home.journalPath
    }

    /// The key of an unfinished submission of the same content by a process that is gone.
    func unfinishedKey(
        digest: String,
        isRunning: (ProcessIdentity) -> Bool = \.isRunning
    ) -> String? {
        var keys: [String] = []
        for line in lines() {
            guard let key = line["key"]?.stringValue else {
                continue
            }
            if line["job_id"] != nil || line["refused"] != nil {
                keys.removeAll { $0 == key }
            } else if line["digest"]?.stringValue == digest,
                let process = ProcessIdentity(line["process"]), !isRunning(process)
            {
                keys.append(key)
            }
        }
        return keys.last
    }

    /// Records that content is about to be submitted; returns when that is on the disk.
    func recordIntent(key: String, digest: String, file: String, unixMs: Int64) throws {
        try append([
            "key": .string(key),
            "digest": .string(digest),
            "file": .string(file),
            "time": .string(Quantities.timestamp(unixMs: unixMs)),
            "process": ProcessIdentity.current.json,
        ])
    }

    /// Records the job that a key became.
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

    private func lines() -> [JSONValue] {
        tail(Self.searchedByteCount).split(separator: 0x0A).compactMap {
            try? JSONParser.parse(Array($0)).value
        }
    }

    private func tail(_ count: Int) -> [UInt8] {
        guard let handle = FileHandle(forReadingAtPath: path) else {
            return []
        }
        defer { try? handle.close() }
        let end = (try? handle.seekToEnd()) ?? 0
        try? handle.seek(toOffset: end > UInt64(count) ? end - UInt64(count) : 0)
        return (try? handle.readToEnd()).map { [UInt8]($0) } ?? []
    }
}
