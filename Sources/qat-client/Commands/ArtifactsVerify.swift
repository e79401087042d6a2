internal import ArgumentParser
internal import Foundation
internal import JobSpecs
internal import Protocol

extension ArtifactsCommand {
    /// Compares content with digests.
    struct Verify: ClientVerb {
        static let configuration = CommandConfiguration(
            commandName: "verify",
            abstract: "Check a stored artifact, or a folder downloaded from a job."
        )

        @Argument(help: "sha256:DIGEST of a stored artifact, or a folder.")
        var subject: String
        @Option(help: "The job that the folder was downloaded from.")
        var job: String?
        @OptionGroup var output: OutputOptions

        /// One file or artifact that was compared.
        struct Finding {
            let name: String
            let verdict: String
        }

        func perform() async throws -> ExitStatus {
            let findings = try await GatewayConnection.with(QatHome()) { client in
                if let job {
                    let request = GetJobRequest(jobID: job)
                    return Self.compare(
                        try await client.call(QatMethods.getJob, request).outputs,
                        with: subject
                    )
                }
                guard !FileManager.default.fileExists(atPath: subject) else {
                    throw ClientError(.usage, "a folder is compared with a job: give --job ID")
                }
                let digest = try ArtifactsCommand.digest(subject)
                let found = try await BlobDownloader(client: client).check(digest)
                let verdict = found.digest == digest ? "intact" : "corrupt"
                return [Finding(name: "sha256:" + digest.hex, verdict: verdict)]
            }
            let isIntact = findings.allSatisfy { $0.verdict == "intact" }
            report(findings, isIntact: isIntact)
            return isIntact ? .succeeded : .failed
        }

        static func compare(_ outputs: [OutputFile], with folder: String) -> [Finding] {
            outputs.map { file in
                let path = folder + "/" + file.name
                guard FileManager.default.fileExists(atPath: path),
                    let (digest, _) = try? SHA256Digest.digest(ofFile: path)
                else {
                    return Finding(name: file.name, verdict: "missing")
                }
                return Finding(
                    name: file.name,
                    verdict: digest == file.digest ? "intact" : "corrupt"
                )
            }
        }

        private func report(_ findings: [Finding], isIntact: Bool) {
            guard !output.json else {
                let files = findings.map { finding -> JSONValue in
                    .object([
                        "name": .string(finding.name),
                        "verdict": .string(finding.verdict),
                    ])
                }
                Console.print(.object(["intact": .boolean(isIntact), "files": .array(files)]))
                return
            }
            for finding in findings {
                Console.print("\(finding.verdict)  \(finding.name)")
            }
        }
    }
}
