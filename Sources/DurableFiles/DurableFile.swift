internal import Foundation

/// A file that is there whole or not at all, whenever the machine stops: written under a name aside,
/// made durable, renamed when complete, and its folder made durable.
///
/// The name aside is the file's own with `.tmp` (see ``AsideName``), unless another is given. What a crash left there is
/// replaced, whoever may read it; a writer that is still at work is waited for, in this process and in others.
/// Dropped without ``commit()``, nothing is left. Written once: what is committed is closed. Not for concurrent use.
public final class DurableFile {
    /// Who may read a new file.
    public enum Readers: Sendable {
        /// Its owner: mode 0600.
        case owner
        /// Everybody whom the process' mask lets: mode 0644.
        case everybody

        var mode: mode_t { self == .owner ? 0o600 : 0o644 }
    }

    private let path: String
    /// Where it is until it is committed.
    public let temporary: String
    private let descriptor: Int32
    private var end = 0
    private var isCommitted = false
    private var isClosed = false

    /// Begins a file that will be at `path`.
    ///
    /// `temporary`: Where it is until then, on the same disk.
    ///
    /// - Throws: ``DurableFileError``.
    public init(
        path: String,
        readers: Readers = .everybody,
        aside temporary: String? = nil
    ) throws(DurableFileError) {
        self.path = path
        self.temporary = temporary ?? AsideName.path(path, suffix: ".tmp")
        descriptor = try Self.create(self.temporary, readers.mode)
    }

    deinit { discard() }

    /// Leaves nothing of a file that was not committed, and lets the next writer begin.
    ///
    /// For whoever cannot say when the last reference goes; later writes are refused.
    public func discard() {
        guard !isClosed else { return }
        isClosed = true
        // The lock goes with the descriptor: nobody's later file has this name yet.
        if !isCommitted { unlink(temporary) }
        close(descriptor)
    }

    /// Writes a file whole.
    ///
    /// - Throws: ``DurableFileError``; what was at `path` stays then.
    public static func write(
        _ bytes: [UInt8],
        to path: String,
        readers: Readers = .everybody
    ) throws(DurableFileError) {
        let file = try DurableFile(path: path, readers: readers)
        try file.append(bytes)
        try file.commit()
    }

    /// Writes bytes after the last ones.
    ///
    /// - Throws: ``DurableFileError``.
    public func append(_ bytes: [UInt8]) throws(DurableFileError) {
        // Typed throws do not pass through withUnsafeBytes.
        let result = bytes.withUnsafeBytes { buffer in
            Result { () throws(DurableFileError) in try write(buffer, at: end) }
        }
        try result.get()
    }

    /// Writes bytes at an offset; what no write reaches is zero.
    ///
    /// - Throws: ``DurableFileError``.
    public func write(
        _ bytes: UnsafeRawBufferPointer,
        at start: Int
    ) throws(DurableFileError) {
        try requireOpen()
        var offset = 0
        while offset < bytes.count, let base = bytes.baseAddress {
            let written = pwrite(
                descriptor,
                base + offset,
                bytes.count - offset,
                off_t(start + offset)
            )
            if written < 0 {
                if errno == EINTR { continue }
                throw DurableFileError("write", temporary)
            }
            offset += written
        }
        end = max(end, start + bytes.count)
    }

    /// Makes the file at least so long.
    ///
    /// - Throws: ``DurableFileError``.
    public func extend(to count: Int) throws(DurableFileError) {
        try requireOpen()
        guard count > end else { return }
        guard ftruncate(descriptor, off_t(count)) == 0 else {
            throw DurableFileError("truncate", temporary)
        }
        end = count
    }

    /// Waits until what was written is on the disk; ``commit()`` does so itself.
    ///
    /// - Throws: ``DurableFileError``.
    public func synchronize() throws(DurableFileError) {
        try requireOpen()
        try Self.flush(descriptor, temporary)
    }

    /// Makes the file durable under its own name, in place of what was there.
    ///
    /// - Throws: ``DurableFileError``.
    public func commit() throws(DurableFileError) {
        try synchronize()
        guard rename(temporary, path) == 0 else { throw DurableFileError("rename", path) }
        isCommitted = true
        defer { discard() }
        try Self.synchronizeFolder(of: path)
    }

    /// Gives a file or folder, whose bytes are on the disk, another name on the same disk, durably.
    ///
    /// A file that has the name is replaced.
    ///
    /// - Throws: ``DurableFileError``.
    public static func move(_ source: String, to target: String) throws(DurableFileError) {
        guard rename(source, target) == 0 else { throw DurableFileError("rename", target) }
        try synchronizeFolder(of: target)
    }

    /// Waits until the bytes of a file that others wrote are on the disk.
    ///
    /// - Throws: ``DurableFileError``.
    public static func synchronize(_ path: String) throws(DurableFileError) {
        try synchronize(path, O_RDONLY | O_CLOEXEC)
    }

    /// Waits until the names in a folder are on the disk; an empty path means the current folder.
    ///
    /// - Throws: ``DurableFileError``.
    public static func synchronizeFolder(_ path: String) throws(DurableFileError) {
        try synchronize(path.isEmpty ? "." : path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    }

    private func requireOpen() throws(DurableFileError) {
        guard !isClosed else { throw DurableFileError("write", temporary, number: EBADF) }
    }

    private static func synchronizeFolder(of path: String) throws(DurableFileError) {
        try synchronizeFolder((path as NSString).deletingLastPathComponent)
    }

    private static func synchronize(_ path: String, _ flags: Int32) throws(DurableFileError) {
        let descriptor = open(path, flags)
        guard descriptor >= 0 else { throw DurableFileError("open", path) }
        defer { close(descriptor) }
        try flush(descriptor, path)
    }

    private static func flush(_ descriptor: Int32, _ path: String) throws(DurableFileError) {
        #if canImport(Darwin)
            // There fsync leaves bytes in the drive's cache; not every file system knows better.
            if fcntl(descriptor, F_FULLFSYNC) == 0 { return }
        #endif
        guard fsync(descriptor) == 0 else { throw DurableFileError("fsync", path) }
    }

    /// A new file, locked as long as somebody writes it.
    private static func create(_ path: String, _ mode: mode_t) throws(DurableFileError) -> Int32 {
        while true {
            let flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC
            let descriptor = open(path, flags, mode)
            if descriptor >= 0 {
                Self.lock(descriptor)
                var status = stat()
                // Somebody who found it before it was locked took it for a left-over.
                if fstat(descriptor, &status) == 0, status.st_nlink > 0 { return descriptor }
                close(descriptor)
                continue
            }
            guard errno == EEXIST else { throw DurableFileError("create", path) }
            try removeLeftover(path)
        }
    }

    /// Waits for a lock; where there are none (some network disks) one writer is relied upon.
    private static func lock(_ descriptor: Int32) {
        while flock(descriptor, LOCK_EX) != 0, errno == EINTR {}
    }

    /// Removes what a writer left who is gone; waits for one who is not.
    private static func removeLeftover(_ path: String) throws(DurableFileError) {
        // A planted link is not followed, and a FIFO not waited for.
        let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        defer { if descriptor >= 0 { close(descriptor) } }
        if descriptor < 0, errno == ENOENT { return }
        if descriptor >= 0 {
            lock(descriptor)
            var (held, named) = (stat(), stat())
            // Finished meanwhile: the name is free, or another's.
            guard fstat(descriptor, &held) == 0, lstat(path, &named) == 0,
                held.st_ino == named.st_ino, held.st_dev == named.st_dev
            else { return }
        }
        guard unlink(path) == 0 || errno == ENOENT else {
            throw DurableFileError("replace", path)
        }
    }
}
