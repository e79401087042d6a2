internal import Foundation
internal import Jobs
internal import Subprocess
internal import SystemPackage

extension RankLauncher {
    /// Starts as many ranks as are offered, which tell each other their numbers, once before any job: what is
    /// wrong with a launcher, a library or a node is known then.
    ///
    /// - Throws: ``ServiceError`` (`invalidConfiguration`) with what was printed last.
    func tryOut(_ executable: String, limit: Duration = .seconds(60)) async throws {
        let arguments = ["compute", "--ranks", String(offered.count), "--check"]
        let command = command(offered, Self.path(of: executable), arguments)
        let result = try await withThrowingTaskGroup(of: String?.self) { group in
            group.addTask {
                let record = try await Subprocess.run(
                    .path(FilePath(command[0])),
                    arguments: Arguments(Array(command.dropFirst())),
                    output: .string(limit: 1 << 16),
                    error: .string(limit: 1 << 16)
                )
                let wanted = Self.trialWord(offered.count)
                if case .exited(0) = record.terminationStatus,
                    record.standardOutput.contains(wanted)
                {
                    return nil
                }
                let words = record.standardError.split(separator: "\n")
                    .map { $0.trimmingCharacters(in: .whitespaces) }
                    .filter { $0.contains(where: \.isLetter) }
                return words.prefix(4).joined(separator: " | ")
            }
            group.addTask {
                try await Task.sleep(for: limit)
                return "no answer within \(limit.components.seconds) s"
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
        guard let fault = result else { return }
        throw ServiceError(
            .invalidConfiguration,
            "--launcher: \(offered.count) ranks did not come about: \(PlainText.bounded(fault))"
        )
    }

    /// What rank 0 prints where ranks of a trial heard each other.
    public static func trialWord(_ count: Int) -> String { "ranks heard: \(count)" }
}
