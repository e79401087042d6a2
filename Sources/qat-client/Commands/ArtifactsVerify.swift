internal import ArgumentParser
internal import Foundation
internal import JobSpecs
internal import Protocol

extension ArtifactsCommand {
    /// Compares content with digests, or checks checkpoints on this machine.
    struct Verify: ClientVerb {
        static let doesMoreThanPrint = true
        static let configuration = CommandConfiguration(
            commandName: "verify",
            abstract: "Check a stored artifact, the files of a job, or a checkpoint.",
            discussion: """
                sha256:DIGEST reads a stored artifact and compares it with its digest.

                FOLDER --job ID compares downloaded files with the job's digests.

                FOLDER or FILE.gguf alone looks for what servers would stumble over: missing \
                files and tensors, wrong types, shapes and scales, and configurations that \
                contradict the tensors. In the download of a job, model/ and every model-*/ are \
                checked. The gateway is not contacted.

                With --source MODEL, each weight is dequantized, too, and compared with the model \
                that the checkpoint was made from: exact, rounded (signal to noise of at least 6 \
                dB stored in 4 bits, 15 in 6, 18 in 8, 40 in more), changed (more noise, but the \
                checkpoint says that its weights were rotated or smoothed) or differs, which is \
                an error.

                --all is for operators: the gateway reads every artifact it stores, sets the damaged \
                ones aside, and names the jobs that refer to them and to those that are missing.

                Exit status: 0 without errors, 1 with errors, 2 if the command line is wrong.
                """
        )

        @Argument(help: "sha256:DIGEST of a stored artifact, a folder, or a GGUF file.")
        var subject: String?
        @Flag(help: "Have the gateway read all artifacts that it stores.")
        var all = false
        @Option(help: "The job that the folder was downloaded from.")
        var job: String?
        @Option(
            help: ArgumentHelp(
                "The model that the checkpoint was made from, a folder or a GGUF file.",
                valueName: "model"
            )
        )
        var source: String?
        @OptionGroup var output: OutputOptions

        /// One file or artifact that was compared.
        struct Finding {
            let name: String
            let verdict: String
        }

        func validate() throws {
            guard all == (subject == nil) else {
                throw ValidationError(
                    all
                        ? "--all takes no SUBJECT."
                        : "Missing expected argument '<subject>', or --all."
                )
            }
            if all, job != nil || source != nil {
                throw ValidationError("--all goes with neither --job nor --source.")
            }
        }

        func perform() async throws -> ExitStatus {
            guard let subject else { return try await ArtifactsAudit(isJSON: output.json).run() }
            return try await perform(subject)
        }

        private func perform(_ subject: String) async throws -> ExitStatus {
            let isLocal = FileManager.default.fileExists(atPath: subject)
            guard source == nil || (job == nil && isLocal) else {
                let reason = job == nil ? "\(subject): no such file or folder" : "not with --job"
                throw ClientError(.usage, "--source compares a folder or a GGUF file: \(reason)")
            }
            if job == nil, isLocal {
                let inspection = try ArtifactsInspection(path: subject, source: source)
                output.json
                    ? Console.print(inspection.json)
                    : Console.print(inspection.lines().joined(separator: "\n"))
                return inspection.isIntact ? .succeeded : .failed
            }
            // Before the gateway is called.
            if job != nil {
                if let obstacle = TargetFolder.obstacle(subject) {
                    throw ClientError(
                        .usage,
                        "\(obstacle.path) is no folder; --job compares the folder that the job was "
                            + "downloaded into"
                    )
                }
                guard isLocal else {
                    throw ClientError(.usage, "\(subject): no such folder")
                }
            }
            let digest = job == nil ? try digest(subject) : nil
            let findings = try await GatewayConnection.with(QatHome()) { client in
                guard let digest else {
                    let id = try await JobSelector(client: client).id(job ?? "")
                    let request = GetJobRequest(jobID: id)
                    return Self.compare(
                        try await client.call(QatMethods.getJob, request).outputs,
                        with: subject
                    )
                }
                let found = try await BlobDownloader(client: client).check(digest)
                let verdict = found.digest == digest ? "intact" : "corrupt"
                return [Finding(name: "sha256:" + digest.hex, verdict: verdict)]
            }
            let isIntact = findings.allSatisfy { $0.verdict == "intact" }
            report(findings, isIntact: isIntact)
            return isIntact ? .succeeded : .failed
        }

        private func digest(_ subject: String) throws -> SHA256Digest {
            guard subject.hasPrefix("sha256:") || SHA256Digest(hex: subject) != nil else {
                throw ClientError(
                    .usage,
                    "\(subject): no such file or folder, nor a digest (sha256: and 64 digits)"
                )
            }
            return try ArtifactsCommand.digest(subject)
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
