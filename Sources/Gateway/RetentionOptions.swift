internal import ArgumentParser
internal import Foundation
internal import Jobs
internal import ServiceKit

/// The gateway's settings of how long what is over is kept; flags override the environment, which
/// overrides the file.
struct RetentionOptions: ParsableArguments, Sendable {
    @Option(
        help: "Time that a job is kept after its end: 90d, 12h; 90d by default. [QAT_KEEP_JOBS]"
    )
    var keepJobs: String?
    @Option(
        help: """
            Time that progress, metrics and log lines stay among a job's events after its end; 14d \
            by default. [QAT_KEEP_EVENTS]
            """
    )
    var keepEvents: String?
    @Option(help: "Time that a job's log is kept after its end; 30d by default. [QAT_KEEP_LOGS]")
    var keepLogs: String?
    @Option(
        help: """
            Time that the checkpoint of a failed or cancelled job is kept after its end; 14d by \
            default. [QAT_KEEP_CHECKPOINTS]
            """
    )
    var keepCheckpoints: String?
    @Option(
        help: "Time that an upload is kept that no job refers to; 7d by default. [QAT_KEEP_UPLOADS]"
    )
    var keepUploads: String?
    @Option(help: "Jobs that ended, at most; 100000 by default. [QAT_MAX_JOBS]")
    var maxJobs: String?
    @Option(
        help: """
            Events of a job that is not over, at most: 100000 by default; the oldest but for changes of \
            state go first. [QAT_MAX_JOB_EVENTS]
            """
    )
    var maxJobEvents: String?
    @Option(help: "Size of one job's log, at most: 64M by default. [QAT_MAX_JOB_LOG]")
    var maxJobLog: String?
    @Option(help: "Size of all jobs' logs, at most: 4G by default. [QAT_MAX_LOGS]")
    var maxLogs: String?
    @Option(
        help: """
            Size of all artifacts above which the jobs that ended first go before their time: 500G, \
            or a share of the disk; 90% by default. [QAT_MAX_ARTIFACTS]
            """
    )
    var maxArtifacts: String?

    /// The settings' keys in a file, as the flags are called.
    static let keys = [
        "keep-jobs", "keep-events", "keep-logs", "keep-checkpoints", "keep-uploads", "max-jobs",
        "max-job-events", "max-job-log", "max-logs", "max-artifacts",
    ]

    /// The settings in force.
    ///
    /// `own`: What environment and file say. `folder`: The state folder, for shares of its disk.
    ///
    /// - Throws: ``ServiceError`` (`invalidConfiguration`), naming the setting.
    func policy(_ own: [String: String], folder: String) throws -> RetentionPolicy {
        let flags = [
            "keep-jobs": keepJobs, "keep-events": keepEvents, "keep-logs": keepLogs,
            "keep-checkpoints": keepCheckpoints, "keep-uploads": keepUploads,
            "max-jobs": maxJobs, "max-job-events": maxJobEvents, "max-job-log": maxJobLog,
            "max-logs": maxLogs, "max-artifacts": maxArtifacts,
        ]
        func text(_ key: String) -> String? { (flags[key] ?? nil) ?? own[key] }
        func set(_ value: inout Int64, _ key: String, _ parse: (String) -> Int64?, _ need: String)
            throws
        {
            guard let text = text(key) else { return }
            guard let parsed = parse(text) else {
                throw ServiceError(
                    .invalidConfiguration,
                    "--\(key) is \(PlainText.quoted(text)); \(need) is needed"
                )
            }
            value = parsed
        }
        var policy = RetentionPolicy()
        let age = "a time from 1h to 36500d, such as 90d or 12h,"
        try set(&policy.jobs, "keep-jobs", Self.milliseconds, age)
        try set(&policy.events, "keep-events", Self.milliseconds, age)
        try set(&policy.logs, "keep-logs", Self.milliseconds, age)
        try set(&policy.checkpoints, "keep-checkpoints", Self.milliseconds, age)
        try set(&policy.uploads, "keep-uploads", Self.uploadMilliseconds, age + " 2h at least,")
        var count = Int64(policy.endedJobs)
        try set(&count, "max-jobs", { Int64($0).flatMap { $0 >= 1 ? $0 : nil } }, "a number from 1")
        policy.endedJobs = Int(count)
        try set(
            &policy.jobEvents,
            "max-job-events",
            { Int64($0).flatMap { $0 >= 1_000 ? $0 : nil } },
            "a number from 1000"
        )
        let size = "a size from 1M, such as 500M or 4G,"
        try set(&policy.jobLogBytes, "max-job-log", Self.bytes, size)
        try set(&policy.logBytes, "max-logs", Self.bytes, size)
        let disk = Self.diskBytes(folder)
        var artifacts = disk / 100 * 90
        try set(
            &artifacts,
            "max-artifacts",
            { Self.bytes($0) ?? Self.share($0, of: disk) },
            "a size from 1M, such as 500G, or a share of the disk, such as 90%,"
        )
        policy.artifactBytes = artifacts
        return policy
    }

    private static func milliseconds(_ text: String) -> Int64? {
        let units: [Character: Int64] = ["d": 86_400_000, "h": 3_600_000]
        guard let unit = text.last, let factor = units[unit], let count = Int64(text.dropLast()),
            (1...36_500 * 24).contains(count), count * factor <= 36_500 * 86_400_000
        else { return nil }
        return count * factor
    }

    // What a client was told is there must stay for as long as it takes to submit.
    private static func uploadMilliseconds(_ text: String) -> Int64? {
        milliseconds(text).flatMap { $0 >= 2 * 3_600_000 ? $0 : nil }
    }

    private static func bytes(_ text: String) -> Int64? {
        let units: [Character: Int64] = ["M": 1 << 20, "G": 1 << 30, "T": 1 << 40]
        guard let unit = text.last, let factor = units[unit], let count = Int64(text.dropLast()),
            (1...1 << 20).contains(count)
        else { return nil }
        return count * factor
    }

    private static func share(_ text: String, of whole: Int64) -> Int64? {
        guard text.hasSuffix("%"), let percent = Int64(text.dropLast()), (1...100).contains(percent)
        else { return nil }
        return whole / 100 * percent
    }

    /// Bytes of the disk of a folder that may not exist yet.
    private static func diskBytes(_ folder: String) -> Int64 {
        var path = URL(fileURLWithPath: folder).standardizedFileURL
        while !FileManager.default.fileExists(atPath: path.path), path.path != "/" {
            path.deleteLastPathComponent()
        }
        let found = try? FileManager.default.attributesOfFileSystem(forPath: path.path)
        return Int64(clamping: found?[.systemSize] as? UInt64 ?? .max)
    }
}
