internal import COpenSSL
internal import Foundation

/// A P-256 private key; it owns OpenSSL's object.
final class PrivateKey {
    let pointer: OpaquePointer

    /// Makes a new key.
    init() throws {
        OpenSSLErrors.clear()
        guard let pointer = qat_generate_p256_key() else {
            throw RPCError(.internal, "cannot make a key: \(OpenSSLErrors.drainedText())")
        }
        self.pointer = pointer
    }

    /// Reads a PEM file.
    init(path: String) throws {
        OpenSSLErrors.clear()
        guard let file = BIO_new_file(path, "r") else {
            throw RPCError(.notFound, "cannot open \(path): \(OpenSSLErrors.drainedText())")
        }
        defer { BIO_free(file) }
        // Without a callback OpenSSL would ask the terminal for a passphrase.
        var asksForPassphrase = false
        let pointer = withUnsafeMutablePointer(to: &asksForPassphrase) { flag in
            PEM_read_bio_PrivateKey(
                file,
                nil,
                { _, _, _, flag in
                    flag?.assumingMemoryBound(to: Bool.self).pointee = true
                    return -1
                },
                flag
            )
        }
        guard let pointer else {
            throw RPCError(
                .invalidArgument,
                asksForPassphrase
                    ? "the private key \(path) has a passphrase; keys without one are taken only"
                    : "\(path) holds no private key: \(OpenSSLErrors.drainedText())"
            )
        }
        self.pointer = pointer
    }

    deinit { EVP_PKEY_free(pointer) }

    /// Writes PKCS #8 PEM that only the owner can read.
    func write(to path: String) throws {
        try PEMFile.write(to: path, mode: 0o600) { file in
            PEM_write_bio_PKCS8PrivateKey(file, pointer, nil, nil, 0, nil, nil)
        }
    }
}

/// Writes PEM files that were not there before.
enum PEMFile {
    /// Creates `path` with `mode` and writes what `body` puts into memory.
    static func write(
        to path: String,
        mode: mode_t,
        _ body: (OpaquePointer) -> Int32
    ) throws {
        OpenSSLErrors.clear()
        guard let memory = BIO_new(BIO_s_mem()) else {
            throw RPCError(.internal, "cannot encode \(path)")
        }
        defer { BIO_free(memory) }
        guard body(memory) == 1 else {
            throw RPCError(.internal, "cannot encode \(path): \(OpenSSLErrors.drainedText())")
        }
        var start: UnsafeMutablePointer<CChar>?
        let count = qat_bio_get_mem_data(memory, &start)
        // O_EXCL: a file that appeared meanwhile, or a planted link, is left alone.
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard descriptor >= 0 else {
            let isThere = errno == EEXIST
            let reason = String(cString: strerror(errno))
            throw RPCError(
                isThere ? .alreadyExists : .failedPrecondition,
                "cannot create \(path): \(reason)",
                cause: isThere ? nil : UnwrittenFile(path: path, reason: reason)
            )
        }
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        do {
            try file.write(contentsOf: Data(UnsafeRawBufferPointer(start: start, count: count)))
            try file.synchronize()
            try file.close()
        } catch {
            // Half a file would be taken for one that must not be overwritten.
            unlink(path)
            let reason = FileFault(error)?.reason ?? "\(error)"
            throw RPCError(
                .resourceExhausted,
                "cannot write \(path): \(reason)",
                cause: UnwrittenFile(path: path, reason: reason)
            )
        }
    }
}
