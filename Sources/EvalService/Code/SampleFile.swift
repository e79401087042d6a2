internal import Foundation
internal import ServiceKit

/// What a task found of each sample: JSON lines, an output of the job.
final class SampleFile {
    private let file: FileHandle
    private let encoder = JSONEncoder()

    /// Makes `samples/NAME` in the job's output folder.
    ///
    /// - Throws: What the file system says.
    init(_ name: String, in outputFolder: String) throws {
        let folder = outputFolder + "/samples"
        try FileManager.default.createDirectory(
            atPath: folder,
            withIntermediateDirectories: true
        )
        let url = URL(fileURLWithPath: folder + "/" + name)
        try Data().write(to: url)
        file = try FileHandle(forWritingTo: url)
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    }

    /// Adds a line.
    func append(_ row: some Encodable) throws {
        try file.write(contentsOf: try encoder.encode(row) + [0x0A])
    }
}
