internal import Foundation
@testable internal import qat_client

/// A folder that exists while a test runs.
final class TemporaryHome: Sendable {
    let home: QatHome

    var url: URL { URL(filePath: home.path) }

    init() throws {
        let url = FileManager.default.temporaryDirectory
            .appending(path: "qat-client-test-\(UUIDv7.now())")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        home = QatHome(path: url.path(percentEncoded: false))
    }

    deinit {
        try? FileManager.default.removeItem(atPath: home.path)
    }

    @discardableResult
    func write(_ name: String, _ bytes: [UInt8]) throws -> String {
        let file = url.appending(path: name)
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(),
            withIntermediateDirectories: true
        )
        try Data(bytes).write(to: file)
        return file.path(percentEncoded: false)
    }

    @discardableResult
    func write(_ name: String, _ text: String) throws -> String {
        try write(name, Array(text.utf8))
    }

    /// A file that passes for a GGUF model.
    @discardableResult
    func writeModel(_ name: String = "m.gguf", version: UInt8 = 3) throws -> String {
        try write(name, Array("GGUF".utf8) + [version, 0, 0, 0] + [UInt8](repeating: 0, count: 64))
    }
}

extension SubmissionPlan {
    /// Reads a job file and plans its submission.
    init(kind: String, file: String, name: String?) throws {
        try self.init(JobFile(file, kind: kind), name: name)
    }
}
