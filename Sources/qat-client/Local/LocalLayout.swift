internal import Foundation
internal import Protocol

/// A daemon of the local suite.
enum LocalDaemon: String, CaseIterable, Sendable {
    case gateway
    case quant
    case train
    case eval

    /// The daemons that work for the gateway.
    static let workers: [LocalDaemon] = [.quant, .train, .eval]

    /// The executable's name.
    var executable: String {
        switch self {
        case .gateway: "qat-gateway"
        case .quant: "qat-quantd"
        case .train: "qat-traind"
        case .eval: "qat-evald"
        }
    }

    /// The instance's name, also that of its certificate.
    var instance: String { rawValue + "-1" }
}

/// Where the local suite keeps its files.
struct LocalLayout: Sendable {
    /// The suite's folder.
    let path: String

    init(_ home: QatHome) {
        path = home.localPath
    }

    var authorityFolder: String { path + "/ca" }
    var certificateFolder: String { path + "/certs" }
    var trustRootsPath: String { authorityFolder + "/ca.pem" }
    var authorityKeyPath: String { authorityFolder + "/ca.key" }
    var logFolder: String { path + "/logs" }
    var runFolder: String { path + "/run" }
    var stopRequestPath: String { runFolder + "/stop" }
    var lockPath: String { runFolder + "/lock" }
    var portPath: String { runFolder + "/port" }
    var supervisorPIDPath: String { runFolder + "/supervisor.pid" }
    var supervisorLogPath: String { logFolder + "/supervisor.log" }

    func certificatePath(_ name: String) -> String { "\(certificateFolder)/\(name).pem" }
    func privateKeyPath(_ name: String) -> String { "\(certificateFolder)/\(name).key" }
    func stateFolder(_ daemon: LocalDaemon) -> String { "\(path)/state/\(daemon.rawValue)" }
    func logPath(_ daemon: LocalDaemon) -> String { "\(logFolder)/\(daemon.rawValue).log" }
    func pidPath(_ daemon: LocalDaemon) -> String { "\(runFolder)/\(daemon.rawValue).pid" }

    /// The gateway's own place for its policy.
    var policyPath: String { stateFolder(.gateway) + "/policy.json" }

    /// Creates all folders.
    func create() throws {
        let states = LocalDaemon.allCases.map(stateFolder)
        for folder in [authorityFolder, certificateFolder, logFolder, runFolder] + states {
            try PrivateFiles.createFolder(folder)
        }
    }

    /// Asks the supervisor to stop everything.
    func requestStop() throws {
        try PrivateFiles.replace(stopRequestPath, with: [])
    }

    /// The command line of a daemon.
    ///
    /// `codeInterpreter`: What the eval worker may run programs of models by.
    func arguments(
        _ daemon: LocalDaemon,
        port: Int,
        codeInterpreter: String? = nil
    ) -> [String] {
        let address = "127.0.0.1:\(port)"
        let common = [
            "--state", stateFolder(daemon),
            "--cert", certificatePath(daemon.instance),
            "--key", privateKeyPath(daemon.instance),
            "--ca", trustRootsPath,
            "--instance", daemon.instance,
        ]
        guard daemon != .gateway else {
            return ["--listen", address] + common
        }
        let code = daemon == .eval ? codeInterpreter : nil
        return ["--gateway", address, "--listen", "127.0.0.1:0"] + common
            + (code.map { ["--allow-code-execution", $0] } ?? [])
    }

    /// The folder of this program, where the daemons are, too.
    static func executableFolder() throws -> String {
        do {
            let path = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
            return URL(filePath: path).deletingLastPathComponent().path(percentEncoded: false)
        } catch {
            throw ClientError(
                .failed,
                "cannot tell where this program is: \(FileFault.text(of: error))"
            )
        }
    }
}
