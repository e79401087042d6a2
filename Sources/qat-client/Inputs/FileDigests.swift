internal import Foundation
internal import Protocol
internal import Synchronization

/// Digests of files that this process has read: a submission with words for jobs in it is planned twice, and its
/// models are read once.
enum FileDigests {
    /// What a file is known by; one that was written since has other times.
    private struct Version: Equatable {
        let size: Int
        let inode: UInt64
        let times: [Int]

        init?(_ path: String) {
            var status = stat()
            guard stat(path, &status) == 0 else { return nil }
            size = Int(status.st_size)
            inode = UInt64(status.st_ino)
            times = [status.st_mtim, status.st_ctim].flatMap { [Int($0.tv_sec), Int($0.tv_nsec)] }
        }
    }

    private typealias Known = (version: Version, digest: SHA256Digest, size: UInt64)
    private static let known = Mutex<[String: Known]>([:])

    /// A file's digest and size.
    ///
    /// - Throws: What reading throws.
    static func digest(ofFile path: String) throws -> (digest: SHA256Digest, size: UInt64) {
        let version = Version(path)
        if let version, let found = known.withLock({ $0[path] }), found.version == version {
            return (found.digest, found.size)
        }
        let (digest, size) = try SHA256Digest.digest(ofFile: path)
        // Written while it was read, it is read again.
        if let version, version == Version(path) {
            known.withLock { $0[path] = (version, digest, size) }
        }
        return (digest, size)
    }
}
