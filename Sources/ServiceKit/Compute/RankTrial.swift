internal import Foundation
internal import Jobs
internal import Subprocess
internal import SystemPackage

extension RankLauncher {
    /// Starts as many ranks as are offered, which tell each other their numbers, once before any job: what is
    /// wrong with a launcher, a library or a node is known then.
    ///
    /// - Returns: What the launcher printed itself on standard output, which logs of jobs are told, too; nil if nothing.
    /// - Throws: ``ServiceError`` (`invalidConfiguration`) with what was printed last.
    @discardableResult
    func tryOut(_ executable: String, limit: Duration = .seconds(60)) async throws -> String? {
        let arguments = ["compute", "--ranks", String(offered.count), "--check"]
        let command = command(offered, Self.path(of: executable), arguments)
        let result = try await withThrowingTaskGroup(of: Trial.self) { group in
            group.addTask { try await Self.trial(command, ranks: offered.count) }
            group.addTask {
                try await Task.sleep(for: limit)
                return .failed("no answer within \(limit.components.seconds) s")
            }
            defer { group.cancelAll() }
            return try await group.next() ?? .failed("no answer")
        }
        switch result {
        case .heard(let lines): return lines.isEmpty ? nil : PlainText.bounded(lines)
        case .failed(let fault):
            throw ServiceError(
                .invalidConfiguration,
                "--launcher: \(offered.count) ranks did not come about: \(PlainText.bounded(fault))"
            )
        }
    }

    private enum Trial {
        /// Ranks heard each other; what else was printed on standard output.
        case heard(String)
        case failed(String)
    }

    private static let outputLimit = 1 << 16

    private static func trial(_ command: [String], ranks: Int) async throws -> Trial {
        do {
            let record = try await Subprocess.run(
                .path(FilePath(command[0])),
                arguments: Arguments(Array(command.dropFirst())),
                output: .string(limit: outputLimit),
                error: .string(limit: outputLimit)
            )
            let printed = lines(record.standardOutput)
            let wanted = trialWord(ranks)
            if case .exited(0) = record.terminationStatus, printed.contains(wanted) {
                return .heard(printed.filter { $0 != wanted }.prefix(4).joined(separator: " | "))
            }
            let errors = lines(record.standardError).filter { $0.contains(where: \.isLetter) }
            let words = errors.isEmpty ? printed : errors
            guard words.isEmpty else { return .failed(words.prefix(4).joined(separator: " | ")) }
            return .failed("nothing was printed (\(record.terminationStatus))")
        } catch let error as SubprocessError where error.code == .outputLimitExceeded {
            return .failed("more than \(outputLimit) bytes were printed")
        }
    }

    private static func lines(_ text: String) -> [String] {
        text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
            .filter { !$0.isEmpty }
    }

    /// What rank 0 prints where ranks of a trial heard each other.
    public static func trialWord(_ count: Int) -> String { "ranks heard: \(count)" }
}
