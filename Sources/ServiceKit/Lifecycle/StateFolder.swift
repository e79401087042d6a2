internal import DurableFiles
internal import Foundation
internal import Protocol

/// A daemon's state folder, locked so that two processes never share it.
///
/// The lock ends with the process, whichever way that ends.
public final class StateFolder: Sendable {
    /// The folder's path.
    public let path: String
    private let descriptor: Int32

    /// Creates the folder if need be and locks it.
    ///
    /// - Throws: ``ServiceError`` (`alreadyRunning`, `inputOutput`).
    public init(path: String) throws {
        self.path = URL(fileURLWithPath: path).standardizedFileURL.path
        do {
            try FileManager.default.createDirectory(
                atPath: path,
                withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700]
            )
        } catch {
            throw Self.fault("state folder \(path)", error)
        }
        descriptor = open(self.path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw ServiceError(
                .inputOutput,
                "state folder \(path): \(String(cString: strerror(errno)))"
            )
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw ServiceError(
                .alreadyRunning,
                "state folder \(path) is in use by another process"
            )
        }
    }

    deinit {
        close(descriptor)
    }

    /// Creates a folder within this one and returns its path.
    ///
    /// - Throws: ``ServiceError`` (`inputOutput`).
    public func makeFolder(_ name: String) throws -> String {
        let folder = path + "/" + name
        do {
            try FileManager.default.createDirectory(
                atPath: folder,
                withIntermediateDirectories: true
            )
        } catch {
            throw Self.fault(folder, error)
        }
        return folder
    }

    /// Leaves the address that the daemon listens on for `healthcheck` and scripts.
    ///
    /// - Throws: If the file cannot be written.
    public func writeAddress(_ address: String) throws {
        let file = Self.addressPath(in: path)
        do {
            try DurableFile.write(Array((address + "\n").utf8), to: file)
        } catch {
            throw Self.fault(file, error)
        }
    }

    /// Takes the address back: that of an earlier process is nobody's.
    public func removeAddress() {
        unlink(Self.addressPath(in: path))
    }

    /// Where ``writeAddress(_:)`` leaves the address of a state folder's daemon.
    static func addressPath(in folder: String) -> String { folder + "/address" }

    private static func fault(_ what: String, _ error: any Error) -> ServiceError {
        let reason = FileFault(error)?.reason ?? "\(error)"
        let advice = error.isFullDisk ? "; make room on its disk" : ""
        return ServiceError(.inputOutput, "\(what): \(reason)\(advice)")
    }
}
