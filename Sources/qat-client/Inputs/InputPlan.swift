internal import JobSpecs
internal import Protocol

/// A local file that a job needs.
struct PlannedFile: Sendable, Equatable {
    /// Its path below the input, with `/` between folders.
    let name: String
    /// Where it is.
    let path: String
    let digest: SHA256Digest
    let size: UInt64
}

/// An input of a job: local files, or a name that the gateway resolves.
struct PlannedInput: Sendable, Equatable {
    /// Its place in the job file.
    let pointer: String
    /// `file`, `folder`, `job:ID/output` or `sha256:DIGEST`.
    let source: String
    var files: [PlannedFile] = []
    /// The folder that the files lie in, of a folder: some may lie in folders of it.
    var root: String?
    /// What the gateway's store has to hold already, by digest; its sizes are the gateway's to know.
    var stored: [InputFile] = []

    var message: Input {
        let sent = files.map { InputFile(path: $0.name, digest: $0.digest, size: $0.size) }
        return Input(pointer: pointer, source: source, files: sent + stored)
    }

    var json: JSONValue {
        .object([
            "pointer": .string(pointer),
            "source": .string(source),
            "files": .array(
                files.map {
                    .object([
                        "name": .string($0.name),
                        "path": .string($0.path),
                        "digest": .string("sha256:" + $0.digest.hex),
                        "size": .number(Double($0.size)),
                    ])
                }
            ),
        ])
    }
}

/// A job file, checked, with its inputs found and hashed.
struct SubmissionPlan: Sendable {
    let kind: String
    let name: String
    let spec: JobSpec
    let specJSON: [UInt8]
    /// What the file says in vain.
    let warnings: [JobWarning]
    let inputs: [PlannedInput]
    /// What the submitter should know of the file itself.
    let notes: [String]

    /// Each local file once.
    var uniqueFiles: [PlannedFile] {
        var seen: Set<SHA256Digest> = []
        return inputs.flatMap(\.files).filter { seen.insert($0.digest).inserted }
    }

    var byteCount: UInt64 { uniqueFiles.reduce(0) { $0 + $1.size } }

    /// The digest of everything that makes the job what it is.
    var digest: String {
        let content = JSONValue.object([
            "kind": .string(kind),
            "name": .string(name),
            "spec": JobReport.document(specJSON),
            "inputs": .array(
                inputs.map { input in
                    .array(
                        [.string(input.pointer), .string(input.source)]
                            + input.files.flatMap { [.string($0.name), .string($0.digest.hex)] }
                    )
                }
            ),
        ])
        return SHA256Digest.digest(of: content.canonicalBytes).hex
    }
}
