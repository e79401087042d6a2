internal import DurableFiles
internal import Foundation
internal import Protocol

/// The folder that keeps the client's state.
struct QatHome: Sendable {
    /// The folder.
    let path: String

    /// `$QAT_HOME`, or `.qat` in the user's home.
    init(environment: [String: String] = ProcessInfo.processInfo.environment) {
        let fallback = URL(filePath: NSHomeDirectory()).appending(path: ".qat").path()
        let text = environment["QAT_HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? fallback
        path = URL(filePath: text).standardizedFileURL.path(percentEncoded: false)
    }

    init(path: String) {
        self.path = path
    }

    var profilePath: String { path + "/profile.json" }
    var journalPath: String { path + "/submits.ndjson" }
    var keysPath: String { path + "/keys" }
    var localPath: String { path + "/local" }

    /// Creates the folder, readable by its owner only.
    func create() throws {
        try PrivateFiles.createFolder(path)
    }
}

/// Files and folders that only their owner reads, written so that a crash leaves old or new.
enum PrivateFiles {
    static func createFolder(_ path: String) throws {
        try TargetFolder.check(path)
        do {
            try FileManager.default.createDirectory(
                atPath: path,
                withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700]
            )
        } catch {
            let reason = FileFault(error)?.reason ?? "\(error)"
            throw ClientError(.failed, "cannot create \(path): \(reason)")
        }
    }

    /// Replaces a file.
    static func replace(_ path: String, with bytes: [UInt8]) throws {
        try writing { () throws(DurableFileError) in
            try DurableFile.write(bytes, to: path, readers: .owner)
        }
    }

    /// Runs what writes files anew; if it fails, those that were there come back.
    static func replacing(_ paths: [String], _ body: () throws -> Void) throws {
        let aside = paths.filter { access($0, F_OK) == 0 }.map {
            ($0, AsideName.path($0, suffix: ".\(getpid()).old"))
        }
        try writing { () throws(DurableFileError) in
            for (path, old) in aside { try DurableFile.move(path, to: old) }
        }
        do {
            try body()
        } catch {
            for (path, old) in aside { try? DurableFile.move(old, to: path) }
            throw error
        }
        for (_, old) in aside { unlink(old) }
    }

    /// Adds bytes to a file's end and waits until they are on the disk.
    static func append(_ bytes: [UInt8], to path: String) throws {
        let isNew = access(path, F_OK) != 0
        let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw failure(path)
        }
        defer { close(descriptor) }
        guard writeAll(bytes, to: descriptor) else {
            throw failure(path)
        }
        try writing { () throws(DurableFileError) in
            try DurableFile.synchronize(path)
            guard isNew else { return }
            try DurableFile.synchronizeFolder((path as NSString).deletingLastPathComponent)
        }
    }

    private static func writing(_ body: () throws(DurableFileError) -> Void) throws {
        do {
            try body()
        } catch {
            throw ClientError(error)
        }
    }

    private static func failure(_ path: String) -> ClientError {
        ClientError(.failed, "cannot write \(path): \(String(cString: strerror(errno)))")
    }

    private static func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var start = 0
        while start < bytes.count {
            let count = bytes.withUnsafeBytes {
                write(descriptor, $0.baseAddress.map { $0 + start }, bytes.count - start)
            }
            guard count > 0 || (count < 0 && errno == EINTR) else {
                return false
            }
            start += max(0, count)
        }
        return true
    }
}
