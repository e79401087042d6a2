internal import DurableFiles
internal import Protocol
internal import Synchronization

/// Digests of files that this process has read: a submission with words for jobs in it is planned twice, and its
/// models are read once.
enum FileDigests {
    private typealias Known = (version: FileVersion, digest: SHA256Digest, size: UInt64)
    private static let known = Mutex<[String: Known]>([:])

    /// A file's digest and size.
    ///
    /// - Throws: What reading throws.
    static func digest(ofFile path: String) throws -> (digest: SHA256Digest, size: UInt64) {
        let version = FileVersion(path)
        if let version, let found = known.withLock({ $0[path] }), found.version == version {
            return (found.digest, found.size)
        }
        let (digest, size) = try SHA256Digest.digest(ofFile: path)
        // Written while it was read, it is read again.
        if let version, version == FileVersion(path) {
            known.withLock { $0[path] = (version, digest, size) }
        }
        return (digest, size)
    }
}
