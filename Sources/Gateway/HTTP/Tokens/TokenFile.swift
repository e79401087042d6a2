internal import Foundation
internal import Jobs
internal import Logging
internal import Synchronization

/// The tokens in force, and the file they come from: read again when it changes.
///
/// A file that is wrong changes nothing, and the log says why; without a file nobody is let in.
final class TokenFile: Sendable {
    private struct State {
        var list = TokenList()
        var stamp: Stamp?
    }

    private struct Stamp: Equatable {
        let seconds: Int
        let nanoseconds: Int
        let size: Int64
        let file: UInt64
        let mode: UInt32
    }

    let path: String
    private let state: Mutex<State>

    /// Reads a file, if it is there.
    ///
    /// - Throws: ``StoreError`` that names the file and what is wrong with it.
    init(path: String) throws {
        self.path = path
        let stamp = Self.stamp(path)
        let list = stamp == nil ? TokenList() : try Self.read(path)
        state = Mutex(State(list: list, stamp: stamp))
    }

    /// How many tokens there are.
    var count: Int { state.withLock { $0.list.tokens.count } }

    /// The token that was sent, if it is known and its time is not over.
    func token(_ secret: String, at time: Int64) -> BearerToken? {
        state.withLock { $0.list }.token(secret, at: time)
    }

    /// Reads the file again if it changed.
    func reload(_ logger: Logger) {
        let stamp = Self.stamp(path)
        guard state.withLock({ $0.stamp != stamp }) else { return }
        guard stamp != nil else {
            state.withLock { $0 = State() }
            logger.error("tokens \(path) is gone: no token is valid any more")
            return
        }
        do {
            let list = try Self.read(path)
            state.withLock { $0 = State(list: list, stamp: stamp) }
            logger.notice("tokens \(path): \(list.tokens.count) are in force")
        } catch {
            state.withLock { $0.stamp = stamp }
            logger.error("\(error); the tokens before stay in force")
        }
    }

    /// Reads a file that nobody but its owner can read.
    ///
    /// - Throws: ``StoreError`` that names the file and what is wrong with it.
    static func read(_ path: String) throws -> TokenList {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw StoreError(.unusable, "tokens \(path): \(String(cString: strerror(errno)))")
        }
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw StoreError(.unusable, "tokens \(path): is no file")
        }
        let mode = status.st_mode & 0o777
        // As of private keys: the group may read one that belongs to root, as secrets of an orchestrator do.
        let allowed: mode_t = status.st_uid == 0 && geteuid() != 0 ? 0o740 : 0o700
        guard mode & ~allowed == 0 else {
            throw StoreError(
                .unusable,
                "tokens \(path): others can read it (mode 0\(String(mode, radix: 8))); chmod 600 \(path)"
            )
        }
        do {
            return try TokenList(json: [UInt8](try file.readToEnd() ?? Data()))
        } catch let error as StoreError {
            throw StoreError(error.code, "tokens \(path): \(error.message)")
        } catch {
            throw StoreError(.unusable, "tokens \(path): cannot be read")
        }
    }

    private static func stamp(_ path: String) -> Stamp? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        #if canImport(Darwin)
            let modified = status.st_mtimespec
        #else
            let modified = status.st_mtim
        #endif
        return Stamp(
            seconds: modified.tv_sec,
            nanoseconds: modified.tv_nsec,
            size: Int64(status.st_size),
            file: UInt64(status.st_ino),
            mode: UInt32(status.st_mode)
        )
    }
}
