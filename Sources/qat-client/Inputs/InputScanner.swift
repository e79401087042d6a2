internal import Foundation
internal import JobSpecs
internal import Jobs
internal import ModelFiles
internal import Protocol

/// Finds the local files behind a job's inputs and checks that they look right.
struct InputScanner {
    /// Something is wrong with an input.
    struct Problem: Error, Equatable {
        let message: String
        /// Whether the message needs no advice that goes by the name alone.
        var saysWhatToDo = false
    }

    /// The folder that relative paths start from.
    let folder: URL
    /// The jobs of the same pipeline, which references may name.
    var names: Set<String> = []

    /// What of a Hugging Face folder is sent beside the files that exports carry over; everything
    /// else stays.
    private static let folderPatterns: [(prefix: String, suffix: String)] = [
        ("config.json", ""), ("hf_quant_config.json", ""), ("generation_config.json", ""),
        ("tokenizer", ".json"),
        ("tokenizer", ".model"), ("special_tokens_map.json", ""), ("added_tokens.json", ""),
        ("vocab.json", ""), ("merges.txt", ""), ("chat_template.jinja", ""),
        (WeightFiles.indexName, ""),
    ]

    /// Finds and hashes one input.
    ///
    /// - Throws: ``Problem``.
    func plan(_ reference: InputReference) throws -> PlannedInput {
        switch reference.location {
        case .job(let id, let output):
            guard names.contains(id) || !Self.isPlaceholder(id) else {
                throw Problem(
                    message: "\(id) is no job's id but stands for one; write the id that submit "
                        + "printed, in the file or with --set"
                )
            }
            let name = output ?? (reference.role == .model ? "model" : nil)
            let source = "job:" + id + (name.map { "/" + $0 } ?? "")
            return PlannedInput(pointer: reference.pointer, source: source)
        case .digest(let hex):
            return try stored(reference, hex)
        case .path(let path):
            let url = URL(filePath: path, relativeTo: folder).standardizedFileURL
            let local = url.path(percentEncoded: false)
            do {
                switch reference.role {
                case .model: return try model(reference, local)
                case .text: return try text(reference, local)
                case .corpus: return try corpus(reference, local)
                }
            } catch let problem as Problem where !problem.saysWhatToDo {
                guard let advice = InputReference.advice(for: path, role: reference.role) else {
                    throw problem
                }
                throw Problem(message: "\(problem.message); \(advice)")
            }
        }
    }

    /// Whether a word is one that examples write where yours belongs: PTQ_JOB_ID, YOUR-JOB, ID.
    static func isPlaceholder(_ word: String) -> Bool {
        if ["id", "job_id", "job-id"].contains(word) { return true }
        let pieces = word.split { $0 == "_" || $0 == "-" }
        return word == word.uppercased() && pieces.contains { ["ID", "JOB", "YOUR"].contains($0) }
    }

    private func stored(_ reference: InputReference, _ hex: String) throws -> PlannedInput {
        guard let digest = SHA256Digest(hex: hex) else {
            throw Problem(message: "\(reference.text) is no digest")
        }
        guard reference.role != .corpus else {
            throw Problem(
                message:
                    "\(reference.text) is one file, and a corpus is two; expected the common prefix "
                    + "of .bin and .idx, or job:ID/OUTPUT",
                saysWhatToDo: true
            )
        }
        let name = hex + (reference.role == .model ? ".gguf" : ".txt")
        return PlannedInput(
            pointer: reference.pointer,
            source: "sha256:" + hex,
            stored: [InputFile(path: name, digest: digest)]
        )
    }

    private func model(_ reference: InputReference, _ path: String) throws -> PlannedInput {
        guard try isFolder(path) else {
            try checkGGUF(path)
            return try input(reference, "file", [path])
        }
        let root = path.hasSuffix("/") ? String(path.dropLast()) : path
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        let sent = entries.filter { name in
            Self.folderPatterns.contains { pattern in
                pattern.suffix.isEmpty
                    ? name == pattern.prefix
                    : name.hasPrefix(pattern.prefix) && name.hasSuffix(pattern.suffix)
            }
        }
        let shards = entries.filter { $0.hasSuffix(".safetensors") }
        // Of a folder whose index is none, all: that it is none is said when the model is opened.
        let read = (try? WeightFiles.names(in: root)).map { Set($0) } ?? Set(shards)
        let weights = read.isDisjoint(with: shards) ? shards : shards.filter(read.contains)
        let names = Set(sent).union(weights).union(SourceFiles.names(in: root)).sorted()
        guard names.contains("config.json") else {
            throw Problem(
                message: "\(root) has no config.json, so it is no Hugging Face model"
                    + Self.advice(forFolderOf: entries),
                saysWhatToDo: true
            )
        }
        guard names.contains(where: { $0.hasSuffix(".safetensors") }) else {
            throw Problem(
                message: "\(root) has no .safetensors file" + Self.advice(forFolderOf: entries),
                saysWhatToDo: true
            )
        }
        var planned = try input(reference, "folder", names.map { root + "/" + $0 }, below: root)
        let unread = shards.filter { !weights.contains($0) }.sorted()
        if !unread.isEmpty {
            let shown = unread.prefix(4).joined(separator: ", ")
            let rest = unread.count > 4 ? " and \(unread.count - 4) more" : ""
            let place =
                entries.contains(WeightFiles.indexName)
                ? "the weights are in the files that \(WeightFiles.indexName) names"
                : "the weights are in model.safetensors"
            let verb = unread.count == 1 ? "stays" : "stay"
            planned.remark = "\(shown)\(rest) \(verb) here: \(place)"
        }
        return planned
    }

    /// What to do about a folder that holds no model as it is read.
    private static func advice(forFolderOf names: [String]) -> String {
        let names = names.sorted()
        if let file = names.first(where: { $0.hasSuffix(".gguf") }) {
            return "; it holds \(file): write that file's path"
        }
        if names.contains("adapter_config.json") {
            return "; it holds an adapter: merge it into its base model and write that folder"
        }
        let suffixes = [".bin", ".pt", ".pth", ".ckpt", ".nemo", ".h5", ".msgpack"]
        guard let file = names.first(where: { name in suffixes.contains { name.hasSuffix($0) } }),
            let advice = InputReference.advice(for: file, role: .model)
        else {
            return ""
        }
        return "; it holds \(file): \(advice)"
    }

    private func text(_ reference: InputReference, _ path: String) throws -> PlannedInput {
        guard try !isFolder(path) else {
            throw Problem(
                message:
                    "\(path) is a folder; expected a text file: write the files in it one by one"
            )
        }
        // Devices have no end to hash up to.
        let type =
            try? FileManager.default.attributesOfItem(
                atPath: URL(filePath: path).resolvingSymlinksInPath().path(percentEncoded: false)
            )[.type] as? FileAttributeType
        guard type == .typeRegular else {
            throw Problem(message: "\(path) is no regular file; expected a text file")
        }
        return try input(reference, "file", [path])
    }

    private func corpus(_ reference: InputReference, _ path: String) throws -> PlannedInput {
        let files = IndexedCorpus.suffixes.map { path + $0 }
        for file in files where try isFolder(file) {
            throw Problem(message: "\(file) is a folder; expected a file")
        }
        return try input(reference, "folder", files)
    }

    private func checkGGUF(_ path: String) throws {
        let header = try start(of: path, count: 24)
        guard header.starts(with: Array("GGUF".utf8)) else {
            throw Problem(
                message: "\(path) is no GGUF file: it does not start with \"GGUF\"; "
                    + "expected a GGUF file or a Hugging Face folder"
            )
        }
        guard header.count == 24 else {
            throw Problem(message: "\(path) is cut off: \(header.count) bytes of a GGUF header")
        }
        let version = (4..<8).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32(header[$1]) }
        guard version == 2 || version == 3 else {
            throw Problem(message: "\(path) has GGUF version \(version); expected 2 or 3")
        }
    }

    private func input(
        _ reference: InputReference,
        _ source: String,
        _ paths: [String],
        below root: String? = nil
    ) throws -> PlannedInput {
        let files = try paths.map { path in
            do {
                let (digest, size) = try FileDigests.digest(ofFile: path)
                let name =
                    root.map { String(path.dropFirst($0.count + 1)) }
                    ?? URL(filePath: path).lastPathComponent
                return PlannedFile(name: name, path: path, digest: digest, size: size)
            } catch let error as RPCError {
                throw Problem(message: error.message)
            }
        }
        return PlannedInput(
            pointer: reference.pointer,
            source: source,
            files: files,
            root: root
        )
    }

    private func isFolder(_ path: String) throws -> Bool {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw Problem(message: "no such file or folder: \(path)")
        }
        return isFolder.boolValue
    }

    private func start(of path: String, count: Int) throws -> [UInt8] {
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw Problem(message: "\(path) cannot be read")
        }
        defer { try? handle.close() }
        return (try? handle.read(upToCount: count)).map { [UInt8]($0) } ?? []
    }
}

extension SubmissionPlan {
    /// Checks a job file and finds its inputs.
    ///
    /// - Throws: ``ClientError`` (`usage`) with a line for each thing that is wrong.
    init(_ file: JobFile, name: String?) throws {
        let parsed: ParsedJob
        do {
            parsed = try ParsedJob(kind: file.kind, document: file.document)
        } catch {
            throw ClientError(.usage, error.lines(file: file.name))
        }
        try self.init(
            parsed,
            name: name ?? parsed.spec.name ?? file.defaultName,
            folder: file.folder,
            file: file.name,
            notes: file.notes
        )
    }

    /// Finds the inputs of a job.
    ///
    /// `folder`: What relative paths start from. `file`: What messages call the job file. `names`: The
    /// jobs of the same pipeline.
    ///
    /// - Throws: ``ClientError`` (`usage`) with a line for each thing that is wrong.
    init(
        _ parsed: ParsedJob,
        name: String,
        folder: URL,
        file: String,
        names: Set<String> = [],
        notes: [String] = []
    ) throws {
        let scanner = InputScanner(folder: folder, names: names)
        var problems: [String] = []
        var inputs: [PlannedInput] = []
        for reference in parsed.spec.inputReferences {
            do {
                inputs.append(try scanner.plan(reference))
            } catch let problem as InputScanner.Problem {
                let path = JSONPath.path(ofPointer: reference.pointer)
                problems.append("\(file): \(path): \(problem.message)")
            }
        }
        // What the gateway would refuse whatever it knows, before anything is read or sent.
        let limits = JobLimits()
        let size = parsed.document.canonicalBytes.count
        if inputs.count > limits.inputs {
            problems.append("\(file): \(inputs.count) inputs; a job has at most \(limits.inputs)")
        }
        problems += InputLimits(limits).faults(inputs.map(\.message)).map { "\(file): \($0)" }
        if size > limits.specBytes {
            problems.append(
                "\(file): the specification has \(size) bytes; the limit is \(limits.specBytes)"
            )
        }
        if let fault = PlainText.fault(in: name, byteLimit: limits.nameBytes) {
            problems.append("\(file): the name \(PlainText.quoted(name, byteLimit: 80)) \(fault)")
        }
        guard problems.isEmpty else {
            throw ClientError(.usage, problems)
        }
        kind = parsed.spec.kind.rawValue
        self.name = name
        self.spec = parsed.spec
        self.specJSON = parsed.document.canonicalBytes
        self.warnings = parsed.warnings
        self.inputs = inputs
        self.notes =
            notes
            + inputs.compactMap { input in
                input.remark.map { "\(JSONPath.path(ofPointer: input.pointer)): \($0)" }
            }
    }
}
