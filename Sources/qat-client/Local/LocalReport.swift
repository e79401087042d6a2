internal import JobSpecs

/// The local suite's processes for people and scripts.
enum LocalReport {
    static func json(_ suite: LocalSuite, started: Bool?) -> JSONValue {
        let running = suite.daemons
        let daemons = LocalDaemon.allCases.map { daemon -> JSONValue in
            let process = running.first { $0.daemon == daemon }?.process
            return .object([
                "role": .string(daemon.rawValue),
                "instance": .string(daemon.instance),
                "state": .string(process == nil ? "down" : "running"),
                "pid": process.map { .number(Double($0.processID)) } ?? .null,
                "log": .string(suite.layout.logPath(daemon)),
            ])
        }
        let supervisor = suite.supervisor
        var members: [String: JSONValue] = [
            "running": .boolean(supervisor != nil),
            "supervisor_pid": supervisor.map { .number(Double($0.processID)) } ?? .null,
            "gateway": suite.port.map { .string("127.0.0.1:\($0)") } ?? .null,
            "home": .string(suite.home.path),
            "daemons": .array(daemons),
        ]
        members["started"] = started.map(JSONValue.boolean)
        return .object(members)
    }

    static func table(_ suite: LocalSuite) -> String {
        let running = suite.daemons
        var table = TextTable(["PROCESS", "STATE", "PID", "LOG"])
        let add = { (name: String, process: ProcessIdentity?, log: String) in
            table.append([
                name, process == nil ? "down" : "running",
                process.map { String($0.processID) } ?? "-", log,
            ])
        }
        add("supervisor", suite.supervisor, suite.layout.supervisorLogPath)
        for daemon in LocalDaemon.allCases {
            let process = running.first { $0.daemon == daemon }?.process
            add(daemon.executable, process, suite.layout.logPath(daemon))
        }
        return table.rendered()
    }
}
