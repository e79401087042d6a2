internal import Foundation
internal import JobSpecs

/// A job file as it was read: JSON or YAML, from a path or the standard input.
struct JobFile {
    /// What messages call it.
    let name: String
    /// The kind it is read as.
    let kind: String
    /// What it holds, overrides included.
    private(set) var document: JSONParser.Document
    /// The folder that relative paths start from.
    let folder: URL
    /// What the submitter should know of the file itself.
    let notes: [String]
    /// What the job is called if nothing else says.
    let defaultName: String

    /// The path that stands for the standard input.
    static let standardInput = "-"

    /// Reads a job file.
    ///
    /// - Parameters:
    ///   - path: The file, or `-` for the standard input.
    ///   - kind: The kind; nil to tell it by the keys.
    ///   - overrides: What stands in for values of the file, in their order.
    /// - Throws: ``ClientError`` (`usage`) with a line for each thing that is wrong.
    init(_ path: String, kind: String?, overrides: [String] = []) throws {
        let isInput = path == Self.standardInput
        name = isInput ? "standard input" : path
        let bytes = try Self.read(isInput ? nil : path, kind: kind)
        try Self.checkForm(bytes, path: isInput ? nil : path, name, kind: kind)
        // Windows editors write one; what is sent has none.
        let hasMark = bytes.starts(with: [0xEF, 0xBB, 0xBF])
        notes = hasMark ? ["$: the byte order mark at its start is skipped"] : []
        let content = hasMark ? Array(bytes.dropFirst(3)) : bytes
        let isYAML =
            [".yaml", ".yml"].contains(where: path.lowercased().hasSuffix)
            || !path.lowercased().hasSuffix(".json") && JSONParser.looksLikeYAML(content)
        var document: JSONParser.Document
        do {
            document = try isYAML ? YAMLReader.parse(content) : JSONParser.parse(content)
        } catch {
            throw ClientError(.usage, error.lines(file: name))
        }
        for override in overrides {
            document = try Override(parsing: override).placed(in: document).applied(to: document)
        }
        self.document = document
        if let kind {
            let found = JobSchema.kind(of: document.value)
            guard found != "pipeline" || kind == "pipeline" else {
                throw ClientError(
                    .usage,
                    "\(name): this is a pipeline, not a \(kind) job: submit pipeline \(name)"
                )
            }
            self.kind = kind
        } else if let found = JobSchema.kind(of: document.value) {
            self.kind = found
        } else {
            throw ClientError(
                .usage,
                "\(name): cannot tell whether this is to quantize, train, evaluate or serve; write the kind "
                    + "before the file"
            )
        }
        let url = URL(filePath: isInput ? "./input" : path)
        folder = url.absoluteURL.deletingLastPathComponent()
        defaultName = isInput ? "job" : url.deletingPathExtension().lastPathComponent
    }

    /// The file with texts in it replaced by others in the same places.
    func replacing(_ value: JSONValue) -> JobFile {
        var file = self
        file.document = JSONParser.Document(
            value: value,
            lines: document.lines,
            fractions: document.fractions
        )
        return file
    }

    /// The bytes of a file, or of the standard input; one more than allowed, so that the parser sees that
    /// there is too much.
    private static func read(_ path: String?, kind: String?) throws -> [UInt8] {
        guard let path else {
            return bytes(of: .standardInput)
        }
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw ClientError(.usage, "no such file: \(path)")
        }
        guard !isFolder.boolValue else {
            throw ClientError(
                .usage,
                "\(path) is a folder; expected a job file, in JSON or YAML (\"qat-client explain "
                    + "\(kind ?? "train")\" says what it may hold)"
            )
        }
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw ClientError(.usage, "\(path) cannot be read")
        }
        defer { try? handle.close() }
        return bytes(of: handle)
    }

    /// Refuses what is no text that people write, before a parser says less of it.
    private static func checkForm(
        _ bytes: [UInt8],
        path: String?,
        _ name: String,
        kind: String?
    ) throws {
        let found: String
        if bytes.starts(with: "GGUF".utf8) {
            found = "is a GGUF file"
        } else if bytes.count > JSONParser.maximumByteCount {
            let size = path.flatMap { path in
                (try? FileManager.default.attributesOfItem(atPath: path))?[.size] as? UInt64
            }
            let least = "more than \(JSONParser.maximumByteCount) bytes"
            found = "has " + (size.map(Quantities.bytes) ?? least)
        } else {
            return
        }
        throw ClientError(
            .usage,
            """
            \(name) \(found); expected a job file, in JSON or YAML, of at most \
            \(JSONParser.maximumByteCount) bytes ("qat-client explain \(kind ?? "quantize")" says \
            what it may hold)
            """
        )
    }

    private static func bytes(of handle: FileHandle) -> [UInt8] {
        var bytes: [UInt8] = []
        let limit = JSONParser.maximumByteCount + 1
        // A pipe gives what is there, not what is asked for.
        while bytes.count < limit,
            let data = try? handle.read(upToCount: limit - bytes.count), !data.isEmpty
        {
            bytes += data
        }
        return bytes
    }
}
