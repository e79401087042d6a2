internal import DurableFiles
internal import Foundation

/// Reads, and writes that survive a crash.
enum FileSystem {
    static func write(_ bytes: [UInt8], to path: String) throws(ModelFileError) {
        let file = try AtomicFile(path: path)
        try file.write(bytes, at: 0)
        try file.commit()
    }

    static func read(_ path: String, limit: Int) throws(ModelFileError) -> [UInt8] {
        let file = try MappedFile(path: path)
        guard file.bytes.count <= limit else {
            throw ModelFileError(
                .malformed,
                "\(path): \(file.bytes.count) bytes, more than the limit of \(limit)"
            )
        }
        // The bytes are gone with the file, which might go after its last use.
        return withExtendedLifetime(file) { [UInt8](file.bytes) }
    }

    static func makeFolder(_ path: String) throws(ModelFileError) {
        do {
            try FileManager.default.createDirectory(
                atPath: path,
                withIntermediateDirectories: true
            )
        } catch {
            let isFull = (error as? CocoaError)?.code == .fileWriteOutOfSpace
            // Foundation's errors describe themselves as dumps; the system's own stands within.
            let inner = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
            let reason =
                inner.map { String(cString: strerror(Int32(truncatingIfNeeded: $0.code))) }
                ?? error.localizedDescription
            throw ModelFileError(
                isFull ? .noSpace : .inputOutput,
                "\(path): cannot be created: \(reason)"
            )
        }
    }

    static func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: path)
    }

    static func isFile(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
            && !isFolder.boolValue
    }
}

/// A file that is there whole or not at all, with this module's errors.
///
/// Not for concurrent use.
final class AtomicFile {
    private let file: DurableFile

    /// Where it is until it is committed.
    var temporary: String { file.temporary }

    init(path: String) throws(ModelFileError) {
        do throws(DurableFileError) {
            file = try DurableFile(path: path)
        } catch {
            throw ModelFileError(error)
        }
    }

    /// Writes bytes at an offset; what no write reaches is zero.
    func write(_ bytes: UnsafeRawBufferPointer, at start: Int) throws(ModelFileError) {
        try ModelFileError.ofFiles { () throws(DurableFileError) in
            try file.write(bytes, at: start)
        }
    }

    func write(_ bytes: [UInt8], at start: Int) throws(ModelFileError) {
        // Typed throws do not pass through withUnsafeBytes.
        let result = bytes.withUnsafeBytes { buffer in
            Result { () throws(ModelFileError) in try write(buffer, at: start) }
        }
        try result.get()
    }

    /// Makes the file at least so long.
    func extend(to count: Int) throws(ModelFileError) {
        try ModelFileError.ofFiles { () throws(DurableFileError) in try file.extend(to: count) }
    }

    /// Makes the file durable under its own name.
    func commit() throws(ModelFileError) {
        try ModelFileError.ofFiles { () throws(DurableFileError) in try file.commit() }
    }
}

extension ModelFileError {
    init(_ error: DurableFileError) {
        self.init(error.isFull ? .noSpace : .inputOutput, error.description)
    }

    /// Runs what writes files; its errors become this module's.
    static func ofFiles(
        _ body: () throws(DurableFileError) -> Void
    ) throws(ModelFileError) {
        do throws(DurableFileError) {
            try body()
        } catch {
            throw ModelFileError(error)
        }
    }
}
