internal import COpenSSL
internal import Foundation

/// A SHA-256 digest.
public struct SHA256Digest: Hashable, Sendable, CustomStringConvertible {
    /// Length in bytes.
    public static let byteCount = 32
    /// Thirty-two zero bytes: what a message holds when no digest was set.
    public static let zero = SHA256Digest(
        unchecked: [UInt8](repeating: 0, count: byteCount)
    )

    /// The 32 bytes.
    public let bytes: [UInt8]

    init(unchecked bytes: [UInt8]) { self.bytes = bytes }

    /// Takes 32 bytes; nil for any other count.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = [UInt8](bytes)
    }

    /// Reads 64 hexadecimal digits of either case.
    public init?(hex: String) {
        let digits = hex.utf8.compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
        guard digits.count == 2 * Self.byteCount, hex.utf8.count == digits.count else { return nil }
        bytes = (0..<Self.byteCount).map { UInt8(digits[2 * $0] << 4 | digits[2 * $0 + 1]) }
    }

    /// The digest as 64 lower-case hexadecimal digits.
    public var hex: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] },
            as: UTF8.self
        )
    }

    /// The digest as 64 lower-case hexadecimal digits.
    public var description: String { hex }

    /// The digest of `bytes`.
    public static func digest(of bytes: [UInt8]) -> SHA256Digest {
        bytes.withUnsafeBytes { digest(of: $0) }
    }

    /// The digest of `bytes`.
    public static func digest(of bytes: UnsafeRawBufferPointer) -> SHA256Digest {
        var hasher = SHA256Hasher()
        hasher.update(bytes)
        return hasher.finalize()
    }

    /// The digest and the length of a file, read in pieces of 1 MiB.
    ///
    /// - Throws: ``RPCError`` (`notFound`) if it cannot be opened, (`dataLoss`) if reading fails.
    public static func digest(ofFile path: String) throws -> (SHA256Digest, UInt64) {
        // What is no regular file may have no end, or never begin.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw RPCError(.notFound, "cannot open \(path): \(String(cString: strerror(errno)))")
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw RPCError(.invalidArgument, "\(path) is no regular file")
        }
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        defer { try? file.close() }
        var hasher = SHA256Hasher()
        var count: UInt64 = 0
        do {
            while let piece = try file.read(upToCount: 1 << 20), !piece.isEmpty {
                piece.withUnsafeBytes { hasher.update($0) }
                count += UInt64(piece.count)
            }
        } catch {
            let reason = FileFault(error)?.reason ?? "\(error)"
            throw RPCError(.dataLoss, "cannot read \(path): \(reason)", cause: error)
        }
        return (hasher.finalize(), count)
    }
}

/// Computes a SHA-256 digest piece by piece.
///
/// Copies share one running state: use one copy, from one task at a time.
public struct SHA256Hasher {
    private final class Context {
        let pointer: OpaquePointer

        init() {
            OpenSSLLibrary.load()
            guard let pointer = EVP_MD_CTX_new(),
                EVP_DigestInit_ex(pointer, EVP_sha256(), nil) == 1
            else {
                preconditionFailure("OpenSSL has no SHA-256")
            }
            self.pointer = pointer
        }

        deinit { EVP_MD_CTX_free(pointer) }
    }

    private var context = Context()

    /// Starts with no bytes.
    public init() {}

    /// Adds bytes.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard let start = bytes.baseAddress else { return }
        EVP_DigestUpdate(context.pointer, start, bytes.count)
    }

    /// Adds bytes.
    public mutating func update(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { update($0) }
    }

    /// The digest of everything added; the hasher starts anew.
    public mutating func finalize() -> SHA256Digest {
        var bytes = [UInt8](repeating: 0, count: SHA256Digest.byteCount)
        EVP_DigestFinal_ex(context.pointer, &bytes, nil)
        context = Context()
        return SHA256Digest(unchecked: bytes)
    }
}
