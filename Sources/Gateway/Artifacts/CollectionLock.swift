internal import Foundation

/// A lock that removals of artifacts share, and that a backup has alone: while a backup runs, in whichever
/// process, no artifact leaves the store.
final class CollectionLock: Sendable {
    private let descriptor: Int32

    private init(_ descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// The lock for a removal, or nil while a backup runs.
    static func shared(root: String) throws -> CollectionLock? {
        try take(root, LOCK_SH)
    }

    /// The lock for a backup, or nil while something is being removed.
    static func alone(root: String) throws -> CollectionLock? {
        try take(root, LOCK_EX)
    }

    /// Makes the lock's file, so that it belongs to the gateway, whoever makes the backups.
    static func create(root: String) throws {
        close(try open(root, O_RDWR | O_CREAT))
    }

    private static func open(_ root: String, _ flags: Int32) throws -> Int32 {
        let path = root + "/collecting.lock"
        let descriptor = Foundation.open(path, O_CLOEXEC | flags, 0o600)
        guard descriptor >= 0 else {
            let code = errno
            let why = code == ENOENT ? " (are the artifacts there? a mount may be gone)" : ""
            throw StoreError(.outOfOrder, "\(path): \(String(cString: strerror(code)))\(why)")
        }
        return descriptor
    }

    private static func take(_ root: String, _ operation: Int32) throws -> CollectionLock? {
        // Locks need no right to write: a store that can only be read is backed up all the same.
        let descriptor = try open(root, O_RDONLY)
        guard flock(descriptor, operation | LOCK_NB) == 0 else {
            close(descriptor)
            return nil
        }
        return CollectionLock(descriptor)
    }
}
