internal import Foundation
internal import Jobs
public import Logging

/// Writes each log message as one line on standard error: text for people, JSON for machines.
public struct LineLogHandler: LogHandler {
    /// Metadata of every message.
    public var metadata: Logger.Metadata = [:]
    /// The least level that is written.
    public var logLevel: Logger.Level
    private let label: String
    private let format: DaemonConfiguration.LogFormat

    /// A handler for a label.
    public init(label: String, format: DaemonConfiguration.LogFormat, level: Logger.Level) {
        self.label = label
        self.format = format
        logLevel = level
    }

    /// Metadata by key.
    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Writes one line.
    public func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { $1 }
        let time = Date.now.formatted(Self.instant)
        let line: String
        switch format {
        case .text:
            let details = all.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }
            let text = PlainText.escaped("\(event.message)\(details.joined())")
            line = "\(time) \(event.level) \(label): \(text)"
        case .json:
            var members: [String: String] = [
                "time": time, "level": event.level.rawValue, "service": label,
                "message": Self.shown("\(event.message)"),
            ]
            for (key, value) in all {
                members[key] = Self.shown("\(value)")
            }
            let data = try? JSONSerialization.data(
                withJSONObject: members,
                options: [.sortedKeys, .withoutEscapingSlashes]
            )
            guard let data else { return }
            line = String(decoding: data, as: UTF8.self)
        }
        StandardStreams.note(line)
    }

    /// `2026-11-27T03:32:47.829Z`: of what changed when, the day must be there, too.
    private static let instant = Date.ISO8601FormatStyle(includingFractionalSeconds: true)

    /// A value of a JSON line, which escapes C0 by itself; people look at such logs, too.
    private static func shown(_ text: String) -> String {
        PlainText.escaped(text, keeping: ["\n", "\t"])
    }
}
