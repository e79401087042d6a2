internal import Foundation

/// What a file was when its bytes were last read: written, exchanged or touched since, it is another version.
public struct FileVersion: Equatable, Sendable {
    private let size: Int
    private let inode: UInt64
    /// When its bytes changed, and when anything of it did, which nobody can set.
    private let times: [Int]

    /// The version that is there now; nil if there is no such file.
    public init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        size = Int(status.st_size)
        inode = UInt64(status.st_ino)
        times = [status.st_mtim, status.st_ctim].flatMap { [Int($0.tv_sec), Int($0.tv_nsec)] }
    }
}
