internal import ArgumentParser
internal import JobSpecs
internal import Protocol

extension ArtifactsCommand {
    /// Gives artifacts up.
    struct Remove: ClientVerb {
        static let doesMoreThanPrint = true
        static let configuration = CommandConfiguration(
            commandName: "rm",
            abstract: "Remove artifacts that no job refers to.",
            discussion: """
                One that a job refers to is refused, with the job's id: it goes with the job ("qat-client \
                jobs rm"). What others brought, too, stays with them.
                """
        )

        @Argument(help: "sha256:DIGEST, one or more.")
        var digests: [String]
        @OptionGroup var output: OutputOptions

        func perform() async throws -> ExitStatus {
            let digests = try digests.map(ArtifactsCommand.digest)
            let (blobs, absent) = try await GatewayConnection.with(QatHome()) { client in
                var blobs: [RemovedBlob] = []
                for start in stride(from: 0, to: digests.count, by: 256) {
                    let part = Array(digests[start..<min(start + 256, digests.count)])
                    blobs += try await client.call(
                        QatMethods.removeBlobs,
                        RemoveBlobsRequest(digests: part)
                    ).blobs
                }
                return (blobs, try await Self.absent(blobs, client))
            }
            for blob in blobs { tell(blob, isAbsent: absent.contains(blob.digest)) }
            let refused = blobs.filter { $0.outcome == .refused }
            guard !refused.isEmpty else { return .succeeded }
            return refused.allSatisfy { absent.contains($0.digest) } ? .usage : .rejected
        }

        /// Those that stay because there is none of that name: a refusal says the same of what a job needs.
        private static func absent(
            _ blobs: [RemovedBlob],
            _ client: RPCClient
        ) async throws -> Set<SHA256Digest> {
            let doubtful = blobs.filter { $0.outcome == .refused && $0.size == 0 }.map(\.digest)
            return try await BlobUploader.missing(doubtful, client)
        }

        private func tell(_ blob: RemovedBlob, isAbsent: Bool) {
            let name = "sha256:" + blob.digest.hex
            let word =
                switch blob.outcome {
                case .removed: "removed"
                case .closed: "closed"
                case .refused: isAbsent ? "absent" : "refused"
                }
            if output.json {
                Console.print(
                    .object([
                        "digest": .string(name), "outcome": .string(word),
                        "size": .number(Double(blob.size)), "message": .string(blob.message),
                    ])
                )
            } else if blob.outcome == .refused {
                let isNamed = blob.message.contains(blob.digest.hex)
                Console.complain([isNamed ? blob.message : "\(name): \(blob.message)"])
            } else {
                let why = blob.message.isEmpty ? "" : "  (\(blob.message))"
                Console.print("\(word)  \(name)  \(Quantities.bytes(blob.size))\(why)")
            }
        }
    }

    /// Removes what nobody needs.
    struct CollectGarbage: ClientVerb {
        static let doesMoreThanPrint = true
        static let configuration = CommandConfiguration(
            commandName: "gc",
            abstract: "Remove your uploads that no job refers to; for operators, everybody's.",
            discussion: """
                What was brought, or asked for by a submission, less than a week ago stays (the gateway's \
                --keep-uploads). The gateway does the same by itself, once an hour.
                """
        )

        @Flag(help: "Print what would be removed, and remove nothing.")
        var dryRun = false
        @Option(
            help: """
                Remove uploads older than this: 30d, 12h, 0h for all. Operators cannot go below the \
                gateway's own setting.
                """,
            transform: Age.init(written:)
        )
        var olderThan: Age?
        @OptionGroup var output: OutputOptions

        func perform() async throws -> ExitStatus {
            let request = CollectGarbageRequest(
                dryRun: dryRun,
                olderThanSeconds: olderThan?.seconds
            )
            let (count, bytes) = try await GatewayConnection.with(QatHome()) { client in
                var (count, bytes): (UInt64, UInt64) = (0, 0)
                try await client.stream(QatMethods.collectGarbage, request) { blob in
                    count += 1
                    bytes += blob.size
                    tell(blob)
                }
                return (count, bytes)
            }
            if output.json {
                Console.print(
                    .object([
                        "artifacts": .number(Double(count)), "bytes": .number(Double(bytes)),
                        "dry_run": .boolean(dryRun),
                    ])
                )
            } else {
                let word = dryRun ? "would go" : "removed"
                Console.print("\(count) artifacts, \(Quantities.bytes(bytes)) \(word)")
            }
            return .succeeded
        }

        private func tell(_ blob: CollectedBlob) {
            let name = "sha256:" + blob.digest.hex
            if output.json {
                Console.print(
                    .object(["digest": .string(name), "size": .number(Double(blob.size))])
                )
            } else {
                Console.print("\(name)  \(Quantities.bytes(blob.size))")
            }
        }
    }
}

/// A span of time as people write it: `30d`, `12h`.
struct Age: ExpressibleByArgument, Equatable {
    /// The span.
    let seconds: Int64

    /// The same.
    ///
    /// - Throws: ValidationError, with what may be written.
    init(written text: String) throws {
        guard let age = Age(argument: text) else {
            throw ValidationError("expected a number with a unit: 30d, 12h or 45m")
        }
        self = age
    }

    init?(argument: String) {
        let units: [Character: Int64] = ["d": 86_400, "h": 3_600, "m": 60]
        guard let unit = argument.last, let factor = units[unit],
            let count = Int64(argument.dropLast()), (0...36_500).contains(count)
        else { return nil }
        seconds = count * factor
    }
}
