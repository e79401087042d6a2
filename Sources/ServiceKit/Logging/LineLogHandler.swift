internal import Foundation
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
        let time = Date.now.formatted(.iso8601.time(includingFractionalSeconds: true))
        let line: String
        switch format {
        case .text:
            let details = all.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }
            let text = Self.onOneLine("\(event.message)\(details.joined())")
            line = "\(time) \(event.level) \(label): \(text)\n"
        case .json:
            var members: [String: String] = [
                "time": time, "level": event.level.rawValue, "service": label,
                "message": "\(event.message)",
            ]
            for (key, value) in all {
                members[key] = "\(value)"
            }
            let data = try? JSONSerialization.data(
                withJSONObject: members,
                options: [.sortedKeys, .withoutEscapingSlashes]
            )
            line = data.map { String(decoding: $0, as: UTF8.self) + "\n" } ?? ""
        }
        // One write per line keeps lines of several threads whole.
        FileHandle.standardError.write(Data(line.utf8))
    }

    private static func onOneLine(_ text: String) -> String {
        text.replacingOccurrences(of: "\n", with: "\\n")
    }
}
