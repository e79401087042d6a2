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

extension PlannedFile {
    /// The files of inputs, each content once.
    static func unique(_ inputs: [PlannedInput]) -> [PlannedFile] {
        var seen: Set<SHA256Digest> = []
        return inputs.flatMap(\.files).filter { seen.insert($0.digest).inserted }
    }
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
    /// What of it is not sent though it looks as if it belonged to it, and why.
    var remark: String?

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
    /// What the submitter should know of the file itself, and of what it names.
    let notes: [String]

    /// Each local file once.
    var uniqueFiles: [PlannedFile] { PlannedFile.unique(inputs) }

    /// What is sent.
    func request(key: String, _ schedule: Schedule) -> SubmitJobRequest {
        var request = SubmitJobRequest(
            kind: kind,
            name: name,
            key: key,
            specJSON: specJSON,
            inputs: inputs.map(\.message)
        )
        request.after = schedule.after
        request.priority = schedule.priority
        request.reuse = schedule.reuse
        switch schedule.deadline {
        case nil: break
        case .after(let milliseconds): request.deadlineMs = milliseconds
        case .at(let instant): request.deadlineUnixMs = instant
        }
        return request
    }

    var byteCount: UInt64 { uniqueFiles.reduce(0) { $0 + $1.size } }

    /// The digest of everything that makes the job what it is.
    var digest: String { digest(TypedSchedule()) }

    /// The same of a job that is to run at some time: of what was typed, never of what its words mean, or the
    /// same command would be another submission once they mean something else.
    func digest(_ schedule: TypedSchedule) -> String {
        var members: [String: JSONValue] = [
            "kind": .string(kind),
            "name": .string(name),
            "spec": JobAnswer.document(specJSON),
            "inputs": .array(
                inputs.map { input in
                    .array(
                        [.string(input.pointer), .string(input.source)]
                            + input.files.flatMap { [.string($0.name), .string($0.digest.hex)] }
                    )
                }
            ),
        ]
        if schedule != TypedSchedule() {
            members["schedule"] = schedule.json
        }
        return SHA256Digest.digest(of: JSONValue.object(members).canonicalBytes).hex
    }
}
