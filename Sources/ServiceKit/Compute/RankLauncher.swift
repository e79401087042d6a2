internal import Foundation
internal import Jobs

/// How a worker starts the processes that compute one job together.
///
/// Its command is what the operator wrote, with `{ranks}`, `{devices}` and `{nodes}` replaced; what is to be
/// started follows it. It has to hand its standard input to rank 0 alone, bring rank 0's standard output and
/// all ranks' standard error back, and end all when one dies, as Open MPI's `mpirun` does.
public struct RankLauncher: Sendable, Equatable {
    /// The processes of a job.
    public struct Ranks: Sendable, Equatable {
        /// Per node.
        public var devices: Int
        /// Nodes.
        public var nodes: Int
        /// All of them.
        public var count: Int { devices * nodes }

        /// So many on each of so many nodes.
        public init(devices: Int, nodes: Int) {
            self.devices = devices
            self.nodes = nodes
        }
    }

    /// The most that is offered: what ``trainer.devices`` and ``trainer.num_nodes`` may be.
    public let offered: Ranks
    /// The program's path, and what it is given.
    let words: [String]

    /// A launcher as it is configured; nil without one, where one process computes.
    ///
    /// Words are parted by spaces; no shell reads them. `path`: Where the program is looked for; nil for where the
    /// environment says.
    ///
    /// - Throws: ``ServiceError`` (`invalidConfiguration`), naming the setting.
    public init?(
        command: String?,
        devices: String?,
        nodes: String?,
        path: String? = nil
    ) throws {
        offered = Ranks(
            devices: try Self.count(devices, "devices"),
            nodes: try Self.count(nodes, "nodes")
        )
        guard let command else {
            guard offered.count == 1 else {
                throw Self.invalid(
                    "--devices or --nodes is above 1 without --launcher, which starts the processes"
                )
            }
            return nil
        }
        guard offered.count > 1 else {
            throw Self.invalid(
                "--launcher is of use only with --devices or --nodes above 1, which are missing"
            )
        }
        let words = command.split(separator: " ").map(String.init)
        guard let program = words.first, words.contains(where: { $0.contains("{ranks}") }) else {
            throw Self.invalid(
                "--launcher is \(PlainText.quoted(command)); a command with {ranks} is needed, as "
                    + "mpirun -n {ranks}"
            )
        }
        let folders = path ?? ProcessInfo.processInfo.environment["PATH"] ?? ""
        guard let found = Self.find(program, in: folders) else {
            throw Self.invalid(
                "--launcher: \(PlainText.quoted(program)) is not found; install it, or write its path"
            )
        }
        self.words = [found] + words.dropFirst()
    }

    private static func count(_ text: String?, _ key: String) throws -> Int {
        guard let text else { return 1 }
        guard let count = Int(text), (1...1024).contains(count) else {
            throw invalid("--\(key) is \(text); a number from 1 to 1024 is needed")
        }
        return count
    }

    private static func find(_ program: String, in path: String) -> String? {
        let folders = program.contains("/") ? [""] : path.split(separator: ":").map { $0 + "/" }
        return folders.map { $0 + program }.first {
            FileManager.default.isExecutableFile(atPath: $0)
        }
    }

    private static func invalid(_ message: String) -> ServiceError {
        ServiceError(.invalidConfiguration, message)
    }

    /// The program to start for so many ranks of `executable`, and its arguments.
    func command(_ ranks: Ranks, _ executable: String, _ arguments: [String]) -> [String] {
        let filled = words.map { word in
            word.replacingOccurrences(of: "{ranks}", with: String(ranks.count))
                .replacingOccurrences(of: "{devices}", with: String(ranks.devices))
                .replacingOccurrences(of: "{nodes}", with: String(ranks.nodes))
        }
        return filled + [executable] + arguments
    }

    /// The path of the program that runs: a launcher's children have another `/proc/self/exe`.
    static func path(of executable: String) -> String {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: executable)) ?? executable
    }
}
