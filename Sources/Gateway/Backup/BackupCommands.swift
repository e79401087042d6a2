internal import ArgumentParser
internal import Foundation
internal import Protocol
internal import ServiceKit

extension GatewayDaemon {
    /// Copies the state of a gateway that may be at work.
    struct Backup: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Backs up the state of a gateway, which may be at work.",
            discussion: """
                All that was acknowledged before is in the backup: the database of one moment, every \
                artifact that it refers to, compared with its digest, the jobs' logs and the policy. On \
                one file system artifacts are linked, not copied. A folder that holds an earlier backup \
                is brought up to date. Run it on the gateway's machine, as its user or as root.

                Exit status: 0, or 1 with a sentence, also if an artifact is missing or damaged, of \
                which the rest is backed up.
                """
        )
        @Option(help: "The backup's folder: a new one, or one that holds an earlier backup.")
        var to: String
        @Option(help: "The gateway's state folder. [QAT_STATE]")
        var state: String?
        @Flag(help: "Read also those artifacts again that an earlier backup left in the folder.")
        var reread = false

        func run() async throws {
            let backup = GatewayBackup(
                state: try BackupOptions.state(state),
                target: to,
                rereads: reread
            )
            let manifest = try await backup.run()
            print(
                "backup \(to): \(manifest.jobs) jobs, \(manifest.artifacts) artifacts, "
                    + "\(manifest.bytes) bytes"
            )
            guard let fault = Self.fault(in: manifest) else { return }
            throw StoreError(.corrupt, fault)
        }

        /// What a gateway did not have whole, or nil.
        static func fault(in manifest: BackupManifest) -> String? {
            var faults: [String] = []
            if !manifest.incomplete.isEmpty {
                faults.append(
                    "\(manifest.incomplete.count) artifacts are missing or damaged in the gateway: "
                        + manifest.incomplete.map { "sha256:\($0)" }.joined(separator: ", ")
                )
            }
            faults += manifest.unreadable ?? []
            return faults.isEmpty ? nil : faults.joined(separator: "; ") + "; the rest is backed up"
        }
    }

    /// Makes a state folder out of a backup.
    struct Restore: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes a gateway's state folder out of a backup.",
            discussion: """
                The state folder must not exist or be empty. Every artifact is compared with its digest. \
                Jobs that were at work at the time of the backup go on from their checkpoints.
                """
        )
        @Option(help: "The backup's folder.")
        var from: String
        @Option(help: "The new state folder. [QAT_STATE]")
        var state: String?
        @Flag(help: "Restore also if artifacts are missing or damaged in the backup.")
        var acceptGaps = false

        func run() async throws {
            let path = try BackupOptions.state(state)
            let restore = GatewayRestore(source: from, state: path, acceptsGaps: acceptGaps)
            let report = try restore.run()
            print(
                "restored \(path): \(report.jobs) jobs, \(report.artifacts) artifacts, "
                    + "\(report.bytes) bytes"
            )
            for gap in report.gaps { print("missing: sha256:\(gap.hex)") }
            for sentence in report.unreadable { print("unreadable: \(sentence)") }
        }
    }
}

private enum BackupOptions {
    static func state(_ flag: String?) throws -> String {
        guard let path = flag ?? ProcessInfo.processInfo.environment["QAT_STATE"], !path.isEmpty
        else {
            throw ServiceError(
                .invalidConfiguration,
                "--state is missing; give the flag or QAT_STATE"
            )
        }
        return path
    }
}
