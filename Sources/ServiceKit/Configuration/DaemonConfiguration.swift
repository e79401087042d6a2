internal import Foundation
internal import JobSpecs
public import Jobs
public import Logging
public import Protocol

/// A daemon's settings, merged from file, environment and flags, and checked.
public struct DaemonConfiguration: Sendable {
    /// How log lines look.
    public enum LogFormat: String, Sendable {
        /// For people.
        case text
        /// For machines.
        case json
    }

    /// What a daemon is when nothing says otherwise.
    public struct Defaults: Sendable {
        /// What the daemon is.
        public var role: Role
        /// Where it listens.
        public var listen: String
        /// Settings that this daemon alone has, as their flags are called.
        public var ownKeys: [String]

        /// Defaults of a role.
        public init(role: Role, listen: String, ownKeys: [String] = []) {
            self.role = role
            self.listen = listen
            self.ownKeys = ownKeys
        }
    }

    /// The role, as in the certificate.
    public let role: Role
    /// Where to listen.
    public let listen: ServerAddress
    /// Where the gateway is; nil for the gateway itself.
    public let gateway: ServerAddress?
    /// The state folder.
    public let stateFolder: String
    /// Certificate, key and authorities.
    public let tls: TLSIdentityFiles
    /// The instance's name.
    public let instance: String
    /// Threads to compute with.
    public let threads: Int
    /// How long a compute child may print nothing, signs of life included.
    public let stallLimit: Duration
    /// The least level that is logged.
    public let logLevel: Logger.Level
    /// How log lines look.
    public let logFormat: LogFormat
    /// What environment and file say of the daemon's own settings, by their keys.
    public let own: [String: String]

    private static let keys = [
        "listen", "gateway", "state", "cert", "key", "ca", "instance", "threads",
        "stall-limit", "log-level", "log-format",
    ]

    /// Merges and checks the settings.
    ///
    /// `environment`: The process's environment; only `QAT_…` is looked at, and an empty variable is as good
    /// as none, for compose files hand those on that are not set. `isTerminal`: Whether
    /// standard error is a terminal.
    ///
    /// - Throws: ``ServiceError`` (`invalidConfiguration`), naming the setting.
    public init(
        options: DaemonOptions,
        environment: [String: String],
        defaults: Defaults,
        isTerminal: Bool
    ) throws {
        let environment = environment.filter { !$0.value.isEmpty }
        let file = try Self.file(
            options.config ?? environment["QAT_CONFIG"],
            keys: Self.keys + defaults.ownKeys
        )
        let flags: [String: String?] = [
            "listen": options.listen, "gateway": options.gateway, "state": options.state,
            "cert": options.cert, "key": options.key, "ca": options.ca,
            "instance": options.instance, "threads": options.threads,
            "stall-limit": options.stallLimit,
            "log-level": options.logLevel, "log-format": options.logFormat,
        ]
        func value(_ key: String) -> String? {
            (flags[key] ?? nil) ?? environment[Self.variable(key)] ?? file[key]
        }
        func required(_ key: String) throws -> String {
            guard let value = value(key), !value.isEmpty else {
                throw Self.invalid(
                    "--\(key) is missing; give the flag, \(Self.variable(key)) or the file's key \(key)"
                )
            }
            return value
        }
        role = defaults.role
        listen = try Self.address(value("listen") ?? defaults.listen, key: "listen")
        gateway =
            defaults.role == .gateway
            ? nil : try Self.address(try required("gateway"), key: "gateway")
        stateFolder = try required("state")
        tls = TLSIdentityFiles(
            certificatePath: try required("cert"),
            privateKeyPath: try required("key"),
            trustRootsPath: try required("ca")
        )
        instance = value("instance") ?? "\(defaults.role.rawValue)-1"
        threads = try Self.threads(value("threads"))
        stallLimit = try Self.stallLimit(value("stall-limit"))
        logLevel = try Self.choice(value("log-level") ?? "info", key: "log-level")
        logFormat = try Self.choice(
            value("log-format") ?? (isTerminal ? "text" : "json"),
            key: "log-format"
        )
        own = Dictionary(
            uniqueKeysWithValues: defaults.ownKeys.compactMap { key in value(key).map { (key, $0) }
            }
        )
    }

    /// The environment's name of a setting.
    private static func variable(_ key: String) -> String {
        "QAT_" + key.uppercased().replacingOccurrences(of: "-", with: "_")
    }

    private static func threads(_ text: String?) throws -> Int {
        let processors = ProcessInfo.processInfo.activeProcessorCount
        guard let text else {
            return processors
        }
        guard let count = Int(text), (1...256).contains(count) else {
            throw invalid("--threads is \(text); a number from 1 to 256 is needed")
        }
        return count
    }

    private static func stallLimit(_ text: String?) throws -> Duration {
        guard let text else {
            return .seconds(1800)
        }
        guard let seconds = Int64(text), (60...604_800).contains(seconds) else {
            throw invalid(
                "--stall-limit is \(text); a number of seconds from 60 to 604800 is needed"
            )
        }
        return .seconds(seconds)
    }

    private static func choice<Value: RawRepresentable>(
        _ text: String,
        key: String
    ) throws -> Value where Value.RawValue == String {
        guard let value = Value(rawValue: text) else {
            throw invalid("--\(key) is \(text), which is not one of its values")
        }
        return value
    }

    private static func address(_ text: String, key: String) throws -> ServerAddress {
        do {
            return try ServerAddress(parsing: text)
        } catch {
            throw invalid("--\(key) is \(text); HOST:PORT is needed")
        }
    }

    private static func file(_ path: String?, keys: [String]) throws -> [String: String] {
        guard let path else {
            return [:]
        }
        guard let data = FileManager.default.contents(atPath: path) else {
            throw invalid("\(path): cannot be read")
        }
        let document: JSONParser.Document
        do {
            document = try JSONParser.parse([UInt8](data))
        } catch {
            throw invalid("\(path): \(error)")
        }
        guard let root = document.value.objectValue else {
            throw invalid("\(path): a JSON object of settings is needed")
        }
        for key in root.keys.sorted() where !keys.contains(key) {
            let hint =
                NearestKey.suggestion(for: key, among: keys).map { "did you mean \($0)?" }
                ?? "known are \(keys.joined(separator: ", "))"
            throw invalid("\(path): unknown key \(PlainText.quoted(key)); \(hint)")
        }
        var settings: [String: String] = [:]
        for (key, value) in root {
            switch value {
            case .string(let text): settings[key] = text
            case .number(let number) where Int64(exactly: number) != nil:
                settings[key] = String(Int64(number))
            case .number, .boolean, .null, .array, .object:
                let line = document.lines[JSONPath.appending(key, to: "$")] ?? 1
                throw invalid(
                    "\(path): \(key) is \(value.kindDescription) (line \(line)); a text or a whole number "
                        + "is needed"
                )
            }
        }
        return settings
    }

    private static func invalid(_ message: String) -> ServiceError {
        ServiceError(.invalidConfiguration, message)
    }
}
