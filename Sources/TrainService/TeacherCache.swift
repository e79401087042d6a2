internal import ComputeKit
internal import Foundation
internal import JobInputs
internal import Kernels
internal import Protocol
internal import Transformer

/// A teacher's most likely tokens on disk, a record for each window of text.
///
/// The file begins with eight bytes that name its kind and a digest of what the records depend on;
/// records of one size follow: a key of the window's tokens, these, the teacher's most likely tokens
/// (int32) and their log-probabilities (float32), and a SHA-256 of all that. A record whose digest is
/// wrong, as one that a crash cut off, counts as not there. What cannot be written is computed again:
/// a full disk slows a training down and does not end it.
final class TeacherCache: TeacherRecords {
    /// What records depend on.
    struct Identity {
        /// The job's settings and inputs.
        let fingerprint: String
        let vocabularySize: Int
        /// Positions of a window.
        let length: Int
        /// Tokens that are kept of each position.
        let count: Int

        var digest: [UInt8] {
            let text = "\(fingerprint) \(vocabularySize) \(length) \(count)"
            return SHA256Digest.digest(of: Array(text.utf8)).bytes
        }
    }

    /// Windows that were read, and that were not there.
    private(set) var readCount = 0
    private(set) var missCount = 0
    /// Windows that the file holds.
    private(set) var windowCount = 0
    private static let kind = Array("QATTCH1\n".utf8)
    private static let headerByteCount = 8 + 32
    private let identity: Identity
    private let capacity: Int
    private let log: (String) -> Void
    private let record: AlignedBuffer<UInt8>
    /// Where the record of a key is.
    private var slots: [UInt64: Int] = [:]
    private var file: Int32

    /// Opens the file, or begins it anew if it is of other settings; at most `capacity` windows are kept.
    ///
    /// `log`: Told what goes wrong.
    init(path: String, identity: Identity, capacity: Int, log: @escaping (String) -> Void) {
        self.identity = identity
        self.capacity = capacity
        self.log = log
        record = AlignedBuffer(
            count: TeacherCachePlan.recordByteCount(length: identity.length, count: identity.count)
        )
        let folder = (path as NSString).deletingLastPathComponent
        try? FileManager.default.createDirectory(
            atPath: folder,
            withIntermediateDirectories: true
        )
        file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            stop("cannot be opened")
            return
        }
        slots.reserveCapacity(min(capacity, 1 << 20))
        if !readKeys() { begin() }
    }

    deinit {
        if file >= 0 { close(file) }
    }

    func read(
        _ window: UnsafeBufferPointer<Int32>,
        tokens: UnsafeMutableBufferPointer<Int32>,
        values: UnsafeMutableBufferPointer<Float>
    ) -> Bool {
        guard let slot = slots[Self.key(of: window)], holds(window, slot: slot) else {
            missCount += 1
            return false
        }
        let bytes = UnsafeRawPointer(record.pointer)
        let start = 8 + 4 * window.count
        UnsafeMutableRawBufferPointer(tokens).copyMemory(
            from: UnsafeRawBufferPointer(start: bytes + start, count: 4 * tokens.count)
        )
        UnsafeMutableRawBufferPointer(values).copyMemory(
            from: UnsafeRawBufferPointer(
                start: bytes + start + 4 * tokens.count,
                count: 4 * values.count
            )
        )
        // They index a row of logits.
        guard tokens.allSatisfy({ $0 >= 0 && $0 < identity.vocabularySize }) else {
            missCount += 1
            return false
        }
        readCount += 1
        return true
    }

    func write(
        _ window: UnsafeBufferPointer<Int32>,
        tokens: UnsafeBufferPointer<Int32>,
        values: UnsafeBufferPointer<Float>
    ) {
        let key = Self.key(of: window)
        let slot = slots[key] ?? windowCount
        guard file >= 0, slot < capacity else { return }
        var end = record.pointer
        func append(_ bytes: UnsafeRawBufferPointer) {
            guard let start = bytes.baseAddress else { return }
            UnsafeMutableRawPointer(end).copyMemory(from: start, byteCount: bytes.count)
            end += bytes.count
        }
        withUnsafeBytes(of: key.littleEndian) { append($0) }
        append(UnsafeRawBufferPointer(window))
        append(UnsafeRawBufferPointer(tokens))
        append(UnsafeRawBufferPointer(values))
        digest().withUnsafeBytes { append($0) }
        let offset = Self.headerByteCount + slot * record.count
        guard pwrite(file, record.pointer, record.count, off_t(offset)) == record.count else {
            stop("cannot be written")
            return
        }
        slots[key] = slot
        windowCount = max(windowCount, slot + 1)
    }

    /// Reads a record, and says whether it is whole and that of a window.
    private func holds(_ window: UnsafeBufferPointer<Int32>, slot: Int) -> Bool {
        let offset = off_t(Self.headerByteCount + slot * record.count)
        guard file >= 0, pread(file, record.pointer, record.count, offset) == record.count else {
            return false
        }
        let stored = UnsafeRawBufferPointer(
            start: record.pointer + record.count - 32,
            count: 32
        )
        return digest().elementsEqual(stored)
            && UnsafeRawBufferPointer(window).elementsEqual(
                UnsafeRawBufferPointer(start: record.pointer + 8, count: 4 * window.count)
            )
    }

    /// Of the record's bytes before its digest.
    private func digest() -> [UInt8] {
        let bytes = UnsafeRawBufferPointer(start: record.pointer, count: record.count - 32)
        return SHA256Digest.digest(of: bytes).bytes
    }

    /// Finds the records of a file of these settings; false if it is of others.
    private func readKeys() -> Bool {
        var header = [UInt8](repeating: 0, count: Self.headerByteCount)
        guard pread(file, &header, header.count, 0) == header.count,
            header == Self.kind + identity.digest
        else { return false }
        let size = Int(lseek(file, 0, SEEK_END))
        let count = min((size - Self.headerByteCount) / record.count, capacity)
        for slot in 0..<count {
            var key: UInt64 = 0
            let offset = off_t(Self.headerByteCount + slot * record.count)
            guard pread(file, &key, 8, offset) == 8 else { return false }
            slots[UInt64(littleEndian: key)] = slot
        }
        windowCount = count
        return true
    }

    private func begin() {
        let header = Self.kind + identity.digest
        guard ftruncate(file, 0) == 0, pwrite(file, header, header.count, 0) == header.count else {
            stop("cannot be written")
            return
        }
    }

    /// Does without the file.
    private func stop(_ what: String) {
        let reason = String(cString: strerror(errno))
        log("teacher cache: \(what) (\(reason)): the teacher computes every step from here on")
        if file >= 0 { close(file) }
        file = -1
        slots.removeAll()
    }

    /// FNV-1a over the tokens; windows of one key are told apart by what the record holds.
    private static func key(of window: UnsafeBufferPointer<Int32>) -> UInt64 {
        var key: UInt64 = 0xCBF2_9CE4_8422_2325
        for token in window {
            key = (key ^ UInt64(UInt32(bitPattern: token))) &* 0x0000_0100_0000_01B3
        }
        return key
    }
}
