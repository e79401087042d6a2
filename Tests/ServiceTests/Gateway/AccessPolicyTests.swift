internal import Foundation
internal import Logging
internal import Testing

@testable internal import Gateway
@testable internal import Protocol

struct AccessPolicyTests {
    private static func policy(_ text: String) throws -> AccessPolicy {
        try AccessPolicy(json: Data(text.utf8))
    }

    /// docs/JOBS.md has the built-in policy as a file: it is that one.
    @Test func theDocumentedPolicyIsTheBuiltInOne() throws {
        let page = try String(
            contentsOf: URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                .appending(path: "../../../docs/JOBS.md"),
            encoding: .utf8
        )
        let start = try #require(page.range(of: "```json\n{\n  \"visibility\""))
        let rest = page[start.lowerBound...].dropFirst("```json\n".count)
        let end = try #require(rest.range(of: "```"))
        let written = try Self.policy(String(rest[..<end.lowerBound]))
        let builtIn = AccessPolicy()
        for caller in ["user", "operator", "gateway", "quant", "train", "eval"] {
            for operation in Operation.allCases {
                #expect(
                    written.allows(operation, to: caller) == builtIn.allows(operation, to: caller),
                    "\(operation.rawValue) \(caller)"
                )
            }
        }
        #expect(written.visibility == builtIn.visibility && written.operators == builtIn.operators)
        #expect(written.quota(of: "eve") == builtIn.quota(of: "eve"))
    }

    @Test func whatTheFileSaysHolds() throws {
        let policy = try Self.policy(
            """
            {"visibility": "all", "operators": ["root"],
             "methods": {"operator": ["qat.v1.Jobs/*"]},
             "quota": {"queued": 5, "bytes": 1000000000000},
             "user_quotas": {"ada": {"running": 2}, "bob": {"queued": null}}}
            """
        )
        #expect(policy.visibility == .all && policy.operators == ["root"])
        #expect(policy.allows(.cancelJob, to: "operator"))
        #expect(!policy.allows(.status, to: "operator"))
        // What it does not say stays as it was.
        #expect(policy.allows(.status, to: "user"))
        #expect(!policy.allows(.acquireLease, to: "user"))
        #expect(policy.quota(of: "eve") == .init(queued: 5, running: nil, bytes: 1_000_000_000_000))
        #expect(policy.quota(of: "ada") == .init(queued: 5, running: 2, bytes: 1_000_000_000_000))
        #expect(policy.quota(of: "bob").queued == nil)
    }

    @Test(arguments: [
        ("[]", "JSON object"), ("{", "JSON object"), (#"{"operator": []}"#, "operator"),
        (#"{"visibility": "some"}"#, "visibility"), (#"{"operators": "root"}"#, "operators"),
        (#"{"methods": {"nobody": []}}"#, "nobody"), (#"{"methods": {"user": ["*"]}}"#, "*"),
        // A misspelt line would allow nothing, in silence.
        (#"{"methods": {"user": ["qat.v1.Job/*"]}}"#, "qat.v1.Job/*"),
        (#"{"methods": {"user": ["qat.v1.Jobs/cancel"]}}"#, "qat.v1.Jobs/cancel"),
        (#"{"quota": {"queue": 1}}"#, "queue"), (#"{"quota": {"queued": -1}}"#, "queued"),
        (#"{"quota": {"queued": "many"}}"#, "queued"), (#"{"user_quotas": []}"#, "user_quotas"),
        // Seen: lines that name nobody, or nothing that the caller can ever ask, were in force.
        (#"{"operators": ["spiffe://qat/user/olga"]}"#, "spiffe://qat/user/olga"),
        (#"{"operators": ["olga", ""]}"#, "operators"), (#"{"operators": ["*"]}"#, "operators"),
        (#"{"operators": ["olga "]}"#, "olga "), (#"{"operators": ["ólga"]}"#, "operators"),
        (#"{"user_quotas": {"default": {}, "../x": {"queued": 0}}}"#, "../x"),
        (#"{"user_quotas": {"": {"queued": 0}}}"#, "user_quotas"),
        (#"{"methods": {"user": ["qat.v1.Jobs/*", "qat.v1.Lease/*"]}}"#, "qat.v1.Lease/*"),
        (#"{"methods": {"operator": ["qat.v1.Lease/Acquire"]}}"#, "qat.v1.Lease/Acquire"),
        (#"{"methods": {"train": ["qat.v1.Jobs/Submit"]}}"#, "qat.v1.Jobs/Submit"),
        (#"{"methods": {"eval": ["qat.v1.Admin/*"]}}"#, "qat.v1.Admin/*"),
        (#"{"methods": {"gateway": ["qat.v1.Cas/*"]}}"#, "qat.v1.Cas/*"),
        // Seen: a fraction was cut, true was 1, and of a key that came twice the last one counted.
        (#"{"quota": {"running": 1.9}}"#, "running"), (#"{"quota": {"running": true}}"#, "running"),
        (#"{"quota": {"bytes": 1e300}}"#, "bytes"),
        (#"{"operators": ["root"], "operators": []}"#, "duplicate key"),
        (#"{"quota": {"queued": 1, "queued": 100000}}"#, "duplicate key"),
    ])
    func aFaultNamesItsKey(text: String, word: String) {
        let error = #expect(throws: StoreError.self) { try Self.policy(text) }
        #expect(error?.message.contains(word) == true, "\(error?.message ?? "")")
    }

    /// Of every caller and method: a line is taken exactly if the caller can ever be let in by the gateway's ways in.
    @Test func aLineIsTakenIfItCanTakeEffect() throws {
        let routes = RPCAdapter(api: try GatewayAPITests.api()).router.routes
        for operation in Operation.allCases {
            #expect(routes[operation.rawValue]?.allow == operation.callers, "\(operation)")
        }
        let rules: [(caller: String, rule: AccessRule)] = [
            ("user", .users), ("operator", .users), ("gateway", .gateway), ("quant", .workers),
            ("train", .workers), ("eval", .workers),
        ]
        for (caller, rule) in rules {
            for operation in Operation.allCases {
                let text = #"{"methods": {"\#(caller)": ["\#(operation.rawValue)"]}}"#
                let isTaken = (try? Self.policy(text)) != nil
                #expect(isTaken == !operation.callers.isDisjoint(with: rule), "\(text)")
            }
        }
        #expect(try Self.policy(#"{"operators": ["a.b-c_D9"]}"#).operators == ["a.b-c_D9"])
    }

    /// Seen: mounted configurations are links that are moved, and a removed operator stayed operator.
    @Test func aLinkThatIsMovedIsReadAgain() throws {
        let folder = NSTemporaryDirectory() + "/qat-policy-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        for (version, name) in [("v1", "olga"), ("v2", "otto")] {
            try FileManager.default.createDirectory(
                atPath: "\(folder)/\(version)",
                withIntermediateDirectories: true
            )
            try Data(#"{"operators": ["\#(name)"]}"#.utf8).write(
                to: URL(fileURLWithPath: "\(folder)/\(version)/policy.json")
            )
        }
        func lead(to version: String) throws {
            try? FileManager.default.removeItem(atPath: "\(folder)/data")
            try FileManager.default.createSymbolicLink(
                atPath: "\(folder)/data",
                withDestinationPath: version
            )
        }
        try lead(to: "v1")
        try FileManager.default.createSymbolicLink(
            atPath: "\(folder)/policy.json",
            withDestinationPath: "data/policy.json"
        )
        let file = try PolicyFile(path: "\(folder)/policy.json")
        #expect(file.policy.operators == ["olga"])
        try lead(to: "v2")
        file.reload(logger)
        #expect(file.policy.operators == ["otto"])
    }

    @Test func aChangedFileIsReadAgainAndAWrongOneChangesNothing() throws {
        let path = NSTemporaryDirectory() + "/qat-policy-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: path) }
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        let file = try PolicyFile(path: path)
        #expect(file.policy == AccessPolicy())
        func write(_ text: String) throws {
            try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
            file.reload(logger)
        }
        try write(#"{"operators": ["root"]}"#)
        #expect(file.policy.operators == ["root"])
        try write(#"{"operators": ["eve"], "typo": 1}"#)
        #expect(file.policy.operators == ["root"])
        // Rules that are gone are not lifted; nor is a file taken for granted that somebody named.
        try FileManager.default.removeItem(atPath: path)
        file.reload(logger)
        #expect(file.policy.operators == ["root"])
        #expect(throws: StoreError.self) { try PolicyFile(path: path, isRequired: true) }
        try write(#"{"operators": ["ada"]}"#)
        #expect(file.policy.operators == ["ada"])
        // A gateway does not start with a file that is wrong.
        try write(#"{"typo": 1}"#)
        #expect(throws: StoreError.self) { try PolicyFile(path: path) }
    }
}
