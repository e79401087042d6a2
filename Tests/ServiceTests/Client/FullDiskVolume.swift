internal import Foundation
internal import TestProgram
internal import Testing

/// A file system in memory that is soon full; mounting one takes root.
struct FullDiskVolume {
    let path: String

    /// Whether this process may mount.
    static let canBeMade: Bool = {
        guard geteuid() == 0, let volume = try? FullDiskVolume(byteCount: 1 << 16) else {
            return false
        }
        volume.remove()
        return true
    }()

    init(byteCount: Int) throws {
        path = NSTemporaryDirectory() + "/qat-full-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try Self.run("mount", "-t", "tmpfs", "-o", "size=\(byteCount)", "tmpfs", path)
    }

    func grow(byteCount: Int) throws {
        try Self.run("mount", "-o", "remount,size=\(byteCount)", path)
    }

    func remove() {
        try? Self.run("umount", path)
        rmdir(path)
    }

    private struct Failure: Error {}

    private static func run(_ arguments: String...) throws {
        guard try TestProgram("/usr/bin/env", arguments).wait() == .exited(0) else {
            throw Failure()
        }
    }
}
