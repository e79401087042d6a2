internal import Foundation
internal import JobSpecs
internal import ServiceKit

/// An output of a job with a JSON object a line for each question and model:
/// `samples/INDEX-TASK.jsonl`.
final class SampleFile {
    private let path: String
    private let folder: String
    private var handle: FileHandle?

    /// `index`: The task's place among the job's tasks.
    init(_ index: Int, _ type: EvaluateSpec.TaskType, in outputFolder: String) {
        folder = outputFolder + "/samples"
        path = "\(folder)/\(index)-\(type.rawValue).jsonl"
    }

    /// Appends a line, keys in snake case.
    ///
    /// - Throws: What writing throws.
    func append(_ sample: some Encodable) throws {
        let handle = try self.handle ?? open()
        self.handle = handle
        try handle.write(contentsOf: try ResultJSON.data(sample) + Data("\n".utf8))
    }

    private func open() throws -> FileHandle {
        try FileManager.default.createDirectory(
            atPath: folder,
            withIntermediateDirectories: true
        )
        // An attempt begins with nothing: lines of another one would stand twice.
        try Data().write(to: URL(filePath: path))
        return try FileHandle(forWritingTo: URL(filePath: path))
    }
}
