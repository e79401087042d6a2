internal import Foundation
internal import Testing

/// The launcher of Open MPI on this machine, or another one that the environment names, as one that goes over
/// network namespaces (scripts/check mpi).
enum OpenMPI {
    private static let named = ProcessInfo.processInfo.environment["QAT_TEST_LAUNCHER"]
    static let path = ["/usr/bin", "/usr/local/bin", "/opt/openmpi/bin"].map { $0 + "/mpirun" }
        .first { FileManager.default.isExecutableFile(atPath: $0) }

    static var isInstalled: Bool { path != nil || named != nil }

    static let wanted: Comment =
        "mpirun is not installed: scripts/install-dependencies openmpi-bin libopenmpi3"

    /// What starts so many ranks here, whatever the number of processors.
    static func command(_ ranks: Int) throws -> [String] {
        if let named {
            return named.split(separator: " ").map {
                $0.replacingOccurrences(of: "{ranks}", with: "\(ranks)")
            }
        }
        let program = try #require(path, wanted)
        return [program, "-n", "\(ranks)", "--oversubscribe", "--bind-to", "none"]
    }

    /// What mpirun is told: containers have no other user than root.
    ///
    /// `run`: What the processes of a run are found by.
    static func environment(_ run: String) -> [String: String?] {
        [
            "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
            "QAT_TEST_RUN": run,
        ]
    }

    /// The process of a rank of a run.
    static func process(ofRank rank: Int, of run: String) throws -> Int32 {
        let wanted = ["OMPI_COMM_WORLD_RANK=\(rank)\0", "QAT_TEST_RUN=\(run)\0"].map {
            Data($0.utf8)
        }
        let found = try FileManager.default.contentsOfDirectory(atPath: "/proc")
            .compactMap { Int32($0) }
            .first { process in
                guard
                    let variables = try? Data(
                        contentsOf: URL(filePath: "/proc/\(process)/environ")
                    )
                else { return false }
                return wanted.allSatisfy { variables.range(of: $0) != nil }
            }
        return try #require(found, "no process of rank \(rank)")
    }
}
