internal import Foundation
internal import JobSpecs
internal import Jobs
internal import Protocol

/// Who may do what: the policy file's contents.
///
/// Everything that no line allows is denied. The built-in policy names no operators, lets users act
/// on their own jobs, and workers take leases.
struct AccessPolicy: Sendable, Equatable {
    /// Whose jobs a user sees.
    enum Visibility: String, Sendable {
        /// The user's own.
        case own
        /// Everybody's; acting on them stays with their owners and operators.
        case all
    }

    /// What a user may have at once; nil is no limit.
    struct Quota: Sendable, Equatable {
        /// Jobs that wait.
        var queued: Int?
        /// Jobs that run.
        var running: Int?
        /// Bytes of artifacts: uploads and outputs.
        var bytes: Int64?
        /// The highest priority they may give; operators may give any.
        var priority: Int64?
    }

    /// Whose jobs a user sees.
    var visibility = Visibility.own
    /// Users who see and act on everything.
    var operators: Set<String> = []
    /// The methods of each kind of caller, as on the wire, or a service with `/*`.
    ///
    /// Callers are `user`, `operator` and the daemons' roles.
    var methods: [String: [String]] = Self.builtInMethods
    /// What every user may have.
    var quota = Quota(queued: 10_000, running: nil, bytes: nil)
    /// What single users may have instead.
    var userQuotas: [String: Quota] = [:]

    /// The built-in policy.
    init() {}

    private static let builtInMethods: [String: [String]] = {
        let user = [
            "qat.v1.Jobs/*", "qat.v1.Cas/*", "qat.v1.Serve/Generate", "qat.v1.Serve/Models",
            "qat.v1.Admin/Status", "qat.v1.Health/*",
        ]
        let worker = ["qat.v1.Lease/*", "qat.v1.Cas/*", "qat.v1.Health/*"]
        let replica = ["qat.v1.Serve/Take", "qat.v1.Serve/Answer"]
        return [
            "user": user, "operator": user + ["qat.v1.Admin/VerifyArtifacts"],
            "gateway": ["qat.v1.Health/*"],
            Role.quant.rawValue: worker, Role.train.rawValue: worker,
            Role.eval.rawValue: worker + replica,
        ]
    }()

    /// Whether a kind of caller may ask something.
    func allows(_ operation: Operation, to caller: String) -> Bool {
        (methods[caller] ?? []).contains { Self.names($0, operation) }
    }

    /// Whether a line of the policy, a method or a service with `/*`, names an operation.
    private static func names(_ line: String, _ operation: Operation) -> Bool {
        line == operation.rawValue
            || line.hasSuffix("/*") && operation.rawValue.hasPrefix(line.dropLast())
    }

    /// What a user may have.
    func quota(of user: String) -> Quota { userQuotas[user] ?? quota }
}

extension AccessPolicy {
    private static let keys = ["visibility", "operators", "methods", "quota", "user_quotas"]
    private static let callers = ["user", "operator"] + Role.allCases.map(\.rawValue)

    /// Reads a policy file: a JSON object of at most 256 KiB, as job files; what it does not say stays built in.
    ///
    /// - Throws: ``StoreError`` (`invalidArgument`) that names the key; an unknown key is an error, and
    ///   so is one that comes twice: a misspelt rule must not be taken for none.
    init(json: Data) throws {
        let object = try Self.object(json)
        if let odd = object.keys.sorted().first(where: { !Self.keys.contains($0) }) {
            throw Self.fault(
                "unknown key \(PlainText.quoted(odd)); known are \(Self.keys.joined(separator: ", "))"
            )
        }
        if let value = object["visibility"] {
            guard let text = value.stringValue, let known = Visibility(rawValue: text) else {
                throw Self.fault("visibility is \"own\" or \"all\"")
            }
            visibility = known
        }
        if let value = object["operators"] {
            let names = try Self.names(value, "operators")
            for name in names { try Self.checkUser(name, "operators") }
            operators = Set(names)
        }
        if let value = object["methods"] {
            try readMethods(value)
        }
        if let value = object["quota"] {
            quota = try Self.quota(value, "quota", over: quota)
        }
        if let value = object["user_quotas"] {
            guard let quotas = value.objectValue else {
                throw Self.fault("user_quotas is an object of users and their quotas")
            }
            userQuotas = try quotas.reduce(into: [:]) { result, entry in
                try Self.checkUser(entry.key, "user_quotas")
                result[entry.key] = try Self.quota(
                    entry.value,
                    "user_quotas.\(PlainText.quoted(entry.key))",
                    over: quota
                )
            }
        }
    }

    private static func object(_ json: Data) throws -> [String: JSONValue] {
        let expected = "expected a JSON object of at most \(JSONParser.maximumByteCount / 1024) KiB"
        let value: JSONValue
        do {
            value = try JSONParser.parse([UInt8](json)).value
        } catch {
            throw fault("\(expected): \(error)")
        }
        guard let object = value.objectValue else { throw fault(expected) }
        return object
    }

    private mutating func readMethods(_ value: JSONValue) throws {
        guard let lists = value.objectValue else {
            throw Self.fault("methods is an object of callers and their methods")
        }
        for (caller, list) in lists {
            guard Self.callers.contains(caller) else {
                throw Self.fault(
                    "methods.\(PlainText.quoted(caller)): callers are "
                        + Self.callers.joined(separator: ", ")
                )
            }
            let names = try Self.names(list, "methods.\(caller)")
            let odd = names.first { name in !Operation.allCases.contains { Self.names(name, $0) } }
            if let odd {
                throw Self.fault(
                    "methods.\(caller): \(PlainText.quoted(odd)) names no method; methods are "
                        + Operation.allCases.map(\.rawValue).joined(separator: ", ")
                        + ", and all of a service qat.v1.SERVICE/*"
                )
            }
            try Self.checkEffect(of: names, caller)
            methods[caller] = names
        }
    }

    /// A line that allows nothing would pass for one that does.
    private static func checkEffect(of lines: [String], _ caller: String) throws {
        let rule: AccessRule =
            switch Role(rawValue: caller) {
            case nil: .users
            case let role?: role.isWorker ? .workers : .gateway
            }
        let able = Operation.allCases.filter { !$0.callers.isDisjoint(with: rule) }
        guard let odd = lines.first(where: { line in !able.contains { names(line, $0) } }) else {
            return
        }
        throw fault(
            "methods.\(caller): \(PlainText.quoted(odd)) allows nothing, since a caller of this kind can never "
                + "ask that; it can ask " + able.map(\.rawValue).joined(separator: ", ")
        )
    }

    /// A name that no certificate has would name nobody, in silence.
    private static func checkUser(_ name: String, _ key: String) throws {
        guard !PeerIdentity.isName(name) else { return }
        throw fault(
            "\(key): \(PlainText.quoted(name)) is no user's name: 1 to 128 letters, digits, -, _ and ., without "
                + "spiffe:// and what follows it in a certificate"
        )
    }

    private static func names(_ value: JSONValue, _ key: String) throws -> [String] {
        let elements = value.arrayValue ?? [.null]
        let names = elements.compactMap(\.stringValue)
        guard names.count == elements.count else { throw fault("\(key) is a list of strings") }
        return names
    }

    private static func quota(_ value: JSONValue, _ key: String, over base: Quota) throws -> Quota {
        guard let object = value.objectValue else {
            throw fault("\(key) is an object with queued, running, bytes, priority")
        }
        var quota = base
        for (name, value) in object {
            guard value == .null || value.integerValue ?? -1 >= 0 else {
                throw fault(
                    "\(key).\(PlainText.quoted(name)) is a whole number from 0, or null for no limit"
                )
            }
            let number = value.integerValue
            switch name {
            case "queued": quota.queued = number
            case "running": quota.running = number
            case "bytes": quota.bytes = number.map { Int64($0) }
            case "priority": quota.priority = number.map { Int64($0) }
            default:
                throw fault(
                    "\(key).\(PlainText.quoted(name)) is none of queued, running, bytes, priority"
                )
            }
        }
        return quota
    }

    private static func fault(_ message: String) -> StoreError {
        StoreError(.invalidArgument, message)
    }
}
