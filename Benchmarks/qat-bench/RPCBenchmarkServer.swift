internal import ArgumentParser
internal import Foundation
internal import Logging
internal import Protocol

/// The other process of ``RPCBenchmark``: serves until its standard input closes.
struct RPCBenchmarkServer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "serve", shouldDisplay: false)

    @Option(help: "Folder with the authority.")
    var folder: String

    func run() async throws {
        let tls = try CertificateAuthority.issue(
            subject: .service(role: "gateway", instance: "bench"),
            authorityFolder: folder,
            folder: folder,
            name: "gateway"
        )
        let server = RPCServer(
            configuration: RPCServerConfiguration(host: "127.0.0.1", port: 0, tls: tls),
            router: Self.router(),
            logger: Logger(label: "bench", factory: { _ in SwiftLogNoOpLogHandler() })
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            let address = try await server.boundAddress()
            print(address)
            fflush(nil)
            Thread.detachNewThread {
                while readLine() != nil {}
                server.beginGracefulShutdown()
            }
            try await group.waitForAll()
        }
    }

    private static func router() -> RPCRouter {
        var router = RPCRouter()
        router.unary(QatMethods.healthCheck, allow: .users) { _, _ in
            HealthCheckResponse(status: .serving)
        }
        router.serverStream(QatMethods.jobLogs, allow: .users) { request, _, writer in
            let clock = ContinuousClock()
            let end = clock.now + .seconds(Double(request.jobID) ?? 1)
            let chunk = LogChunk(data: Array(repeating: 7, count: Int(request.offset)))
            while clock.now < end {
                for _ in 0..<16 { try await writer.write(chunk) }
            }
        }
        return router
    }
}

/// A running server process.
final class RPCBenchmarkProcess {
    let address: ServerAddress
    private let process = Process()
    private let input = Pipe()

    /// Starts it and waits for the address it prints.
    init(folder: String) throws {
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = ["rpc", "serve", "--folder", folder]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        var line = ""
        while !line.hasSuffix("\n") {
            let bytes = output.fileHandleForReading.availableData
            guard !bytes.isEmpty else { throw RPCError(.unavailable, "the server did not start") }
            line += String(decoding: bytes, as: UTF8.self)
        }
        address = try ServerAddress(parsing: String(line.dropLast()))
    }

    /// Ends it and waits.
    func stop() {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }
}
