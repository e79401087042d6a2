internal import Foundation
internal import Protocol
internal import Testing

@testable internal import Gateway

struct ArtifactStoreTests {
    private let folder = NSTemporaryDirectory() + "/qat-artifacts-" + UUID().uuidString

    private func chunks(_ pieces: [[UInt8]]) -> AsyncThrowingStream<[UInt8], any Error> {
        AsyncThrowingStream { continuation in
            for piece in pieces { continuation.yield(piece) }
            continuation.finish()
        }
    }

    private func withStore(_ body: (inout ArtifactStore) async throws -> Void) async throws {
        var store = try ArtifactStore(root: folder)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await body(&store)
    }

    @Test func whatIsPutIsReadBackInRanges() async throws {
        try await withStore { store in
            let bytes = (0..<700_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            var hasher = SHA256Hasher()
            hasher.update(bytes)
            let digest = hasher.finalize()
            #expect(store.missing([digest]) == [digest])
            let pieces = [Array(bytes[..<99]), [], Array(bytes[99...])]
            try await store.put(digest, size: UInt64(bytes.count), chunks: chunks(pieces))
            #expect(store.missing([digest]).isEmpty)
            let ranges: [(UInt64, UInt64, Range<Int>)] = [
                (0, 0, 0..<700_000), (5, 10, 5..<15), (699_999, 0, 699_999..<700_000),
                (700_000, 0, 0..<0), (600_000, 1 << 40, 600_000..<700_000),
            ]
            for (offset, length, range) in ranges {
                var read: [UInt8] = []
                try await store.read(digest, offset: offset, length: length) { read += $0 }
                #expect(read == Array(bytes[range]))
            }
            let beyond = await #expect(throws: StoreError.self) {
                try await store.read(digest, offset: 700_001, length: 0) { _ in }
            }
            #expect(beyond?.code == .invalidArgument)
        }
    }

    @Test func bytesThatAreNotWhatWasAnnouncedAreRefused() async throws {
        try await withStore { store in
            let digest = SHA256Digest.of("abc")
            let cases: [(UInt64, [[UInt8]])] = [
                (3, [Array("abd".utf8)]), (3, [Array("abcd".utf8)]), (3, [Array("ab".utf8)]),
                (4, [Array("abc".utf8)]), (2, [Array("abc".utf8)]),
            ]
            for (size, pieces) in cases {
                let error = await #expect(throws: StoreError.self) {
                    try await store.put(digest, size: size, chunks: chunks(pieces))
                }
                #expect(error?.code == .corrupt)
                #expect(store.size(digest) == nil)
            }
            let left = try FileManager.default.contentsOfDirectory(atPath: folder + "/tmp")
            #expect(left.isEmpty)
        }
    }

    @Test func whatDoesNotFitIsRefusedBeforeItComes() async throws {
        try await withStore { store in
            store.byteLimit = 10
            let large = await #expect(throws: StoreError.self) {
                try await store.put(.of("x"), size: 11, chunks: chunks([]))
            }
            #expect(large?.code == .tooLarge && large?.message.contains("limit of 10") == true)
            store.byteLimit = .max
            store.reserve = 1 << 62
            let full = await #expect(throws: StoreError.self) {
                try await store.put(.of("x"), size: 1, chunks: chunks([]))
            }
            #expect(full?.code == .noSpace)
            #expect(full?.message.contains("reserve") == true)
            // A full disk is no fault of the request: it is worth trying later.
            #expect(full?.rpcError().code == .unavailable)
            #expect(throws: StoreError.self) { try store.probe() }
            store.reserve = 0
            try store.probe()
        }
    }

    @Test func uploadsAtATimeShareTheRoomThatIsFree() async throws {
        try await withStore { store in
            let attributes = try FileManager.default.attributesOfFileSystem(forPath: folder)
            let free = try #require(attributes[.systemFreeSize] as? UInt64)
            let size = free / 3 * 2
            let (slow, sender) = AsyncThrowingStream<[UInt8], any Error>.makeStream()
            store.reserve = 0
            store.promiseStep = size
            let shared = store
            let first = Task { try await shared.put(.of("x"), size: size, chunks: slow) }
            // Two thirds are promised to the first; the second two thirds do not fit.
            var refusal: StoreError?
            while refusal?.code != .noSpace {
                do {
                    try await store.put(.of("y"), size: size, chunks: chunks([]))
                } catch let error as StoreError {
                    refusal = error
                }
                await Task.yield()
            }
            sender.finish()
            await #expect(throws: StoreError.self) { try await first.value }
            // What the first did not use is free again.
            let error = await #expect(throws: StoreError.self) {
                try await store.put(.of("y"), size: size, chunks: chunks([]))
            }
            #expect(error?.code == .corrupt)
        }
    }

    /// Eleven announcements of a quarter of the disk, without a byte, stopped everybody's uploads.
    @Test func announcementsTakeNoRoomFromOthers() async throws {
        try await withStore { store in
            let attributes = try FileManager.default.attributesOfFileSystem(forPath: folder)
            let free = try #require(attributes[.systemFreeSize] as? UInt64)
            store.reserve = 0
            store.promiseStep = 1 << 10
            let shared = store
            let streams = (0..<11).map { _ in
                AsyncThrowingStream<[UInt8], any Error>.makeStream()
            }
            let silent = streams.map { stream, sender in
                sender.yield([1])
                return Task { try await shared.put(.of("x"), size: free / 4, chunks: stream) }
            }
            let bytes = [UInt8](repeating: 7, count: 10_000)
            let digest = SHA256Digest.digest(of: bytes)
            for _ in 0..<20 {
                try await store.put(digest, size: 10_000, chunks: chunks([bytes]))
            }
            #expect(store.size(digest) == 10_000)
            for (_, sender) in streams { sender.finish() }
            for task in silent { await #expect(throws: StoreError.self) { try await task.value } }
        }
    }

    @Test func aHoldersUploadsShareTheirQuota() throws {
        let uploads = RunningUploads()
        try uploads.begin("user/ada", byteCount: 600, room: 1_000)
        #expect(throws: StoreError.self) {
            try uploads.begin("user/ada", byteCount: 600, room: 1_000)
        }
        try uploads.begin("user/bob", byteCount: 600, room: 1_000)
        // The largest size there is: it overflowed, and the gateway died.
        let error = #expect(throws: StoreError.self) {
            try uploads.begin("user/ada", byteCount: .max, room: 1_000)
        }
        #expect(error?.code == .quota)
        try uploads.begin("user/ada", byteCount: .max, room: nil)
        uploads.end("user/ada", byteCount: .max)
        try uploads.begin("user/ada", byteCount: 600, room: nil)
        uploads.end("user/ada", byteCount: 600)
        try uploads.begin("user/ada", byteCount: 1_000, room: 1_000)
        uploads.end("user/ada", byteCount: 1_000)
        uploads.end("user/ada", byteCount: 0)
        for _ in 0..<RunningUploads.countLimit {
            try uploads.begin("user/ada", byteCount: 1, room: nil)
        }
        #expect(throws: StoreError.self) {
            try uploads.begin("user/ada", byteCount: 1, room: nil)
        }
    }

    @Test func aDamagedArtifactIsNeverServedAndIsRepairedByTheNextPut() async throws {
        try await withStore { store in
            let bytes = Array("the right bytes".utf8)
            let digest = SHA256Digest.of("the right bytes")
            try await store.put(digest, size: UInt64(bytes.count), chunks: chunks([bytes]))
            // Another length, the same length, and nothing.
            for wrong in ["other", "the wrong bytes", ""] {
                try Data(wrong.utf8).write(to: URL(fileURLWithPath: store.path(digest)))
                var served: [UInt8] = []
                let error = await #expect(throws: StoreError.self) {
                    try await store.read(digest, offset: 0, length: 0) { served += $0 }
                }
                #expect(error?.code == .corrupt && served.isEmpty)
                #expect(store.missing([digest]) == [digest])
                try await store.put(digest, size: UInt64(bytes.count), chunks: chunks([bytes]))
                try await store.read(digest, offset: 0, length: 0) { served += $0 }
                #expect(served == bytes)
                // A put of the right bytes repairs damage that nobody has found yet, too.
                try Data(wrong.utf8).write(to: URL(fileURLWithPath: store.path(digest)))
                try await store.put(digest, size: UInt64(bytes.count), chunks: chunks([bytes]))
                try await store.verify(digest, isTrusting: false)
            }
            #expect(try store.digests() == [digest])
            try store.remove(digest)
            #expect(try store.digests().isEmpty)
            try store.remove(digest)
        }
    }

    /// Seen: bytes that were changed in place, with the file's time set back, were served.
    @Test func aFileWhoseTimeWasSetBackIsReadAgain() async throws {
        try await withStore { store in
            let bytes = Array("the right bytes".utf8)
            let digest = SHA256Digest.of("the right bytes")
            try await store.put(digest, size: UInt64(bytes.count), chunks: chunks([bytes]))
            try await store.read(digest, offset: 0, length: 0) { _ in }
            let path = store.path(digest)
            var before = stat()
            #expect(stat(path, &before) == 0)
            let handle = try #require(FileHandle(forWritingAtPath: path))
            try handle.write(contentsOf: Data("THE".utf8))
            try handle.close()
            var times = [before.st_atim, before.st_mtim]
            #expect(utimensat(AT_FDCWD, path, &times, 0) == 0)
            // The whole, and a range that the damage is not in.
            for (offset, length) in [(10, 5), (0, 0)] as [(UInt64, UInt64)] {
                var served: [UInt8] = []
                let error = await #expect(throws: StoreError.self) {
                    try await store.read(digest, offset: offset, length: length) { served += $0 }
                }
                #expect(served.isEmpty)
                #expect(error?.code == (offset == 10 ? .corrupt : .notFound))
            }
        }
    }

    /// A disk that loses bits touches no file's times: the digest is compared on the way out, too.
    @Test func aReadingThatGoesWrongOnTheWayEndsWithAnError() async throws {
        try await withStore { store in
            let bytes = [UInt8](repeating: 7, count: 600_000)
            let digest = SHA256Digest.digest(of: bytes)
            try await store.put(digest, size: 600_000, chunks: chunks([bytes]))
            let path = store.path(digest)
            func read(_ change: () throws -> Void) async throws -> Int {
                var count = 0
                try await store.read(digest, offset: 0, length: 0) { chunk in
                    if count == 0 { try change() }
                    count += chunk.count
                }
                return count
            }
            #expect(try await read {} == 600_000)
            let error = await #expect(throws: StoreError.self) {
                _ = try await read {
                    let handle = try #require(FileHandle(forWritingAtPath: path))
                    defer {
                        try? FileManager.default.setAttributes(
                            [.modificationDate: Date(timeIntervalSince1970: 1_000_000)],
                            ofItemAtPath: path
                        )
                    }
                    try handle.seek(toOffset: 599_999)
                    try handle.write(contentsOf: Data([8]))
                    try handle.close()
                }
            }
            #expect(error?.code == .corrupt && error?.message.contains("set aside") == true)
            #expect(store.missing([digest]) == [digest])
            // Its age counts from here: seen to go at once, since it had been stored long ago.
            #expect(try store.removeDamaged(before: .now - 3_600) == 0)
            #expect(try store.removeDamaged(before: .now + 3_600) == 1)
            // A file that lost its end, likewise.
            try await store.put(digest, size: 600_000, chunks: chunks([bytes]))
            let short = await #expect(throws: StoreError.self) {
                _ = try await read { #expect(truncate(path, 300_000) == 0) }
            }
            #expect(short?.code == .corrupt)
            #expect(store.missing([digest]) == [digest])
            try await store.put(digest, size: 600_000, chunks: chunks([bytes]))
            #expect(try await read {} == 600_000)
        }
    }

    @Test func whatACrashLeftHalfWrittenIsRemoved() async throws {
        try await withStore { _ in
            let stale = folder + "/tmp/half"
            try Data("x".utf8).write(to: URL(fileURLWithPath: stale))
            _ = try ArtifactStore(root: folder)
            #expect(!FileManager.default.fileExists(atPath: stale))
        }
    }

    @Test func logsAreAppendedAtTheirEndOnly() throws {
        let store = try JobLogStore(folder: folder)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        #expect(try store.append("j", offset: 0, Array("one\n".utf8)) == 4)
        // A repeated and an early piece are not taken; the writer learns where the log ends.
        #expect(try store.append("j", offset: 0, Array("one\n".utf8)) == 4)
        #expect(try store.append("j", offset: 9, Array("no".utf8)) == 4)
        #expect(try store.append("j", offset: 4, Array("two\n".utf8)) == 8)
        #expect(try store.read("j", offset: 0, count: 100) == Array("one\ntwo\n".utf8))
        #expect(try store.read("j", offset: 6, count: 1) == Array("o".utf8))
        #expect(try store.read("none", offset: 0, count: 1).isEmpty)
    }

    /// Seen: one call ended the gateway, again after each restart.
    @Test(arguments: [9, 1 << 40, UInt64(Int64.max), 1 << 63, .max])
    func offsetsThatNoFileHasAreNone(offset: UInt64) throws {
        let store = try JobLogStore(folder: folder, byteLimit: 8)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        #expect(try store.append("j", offset: 0, Array("one\n".utf8)) == 4)
        #expect(try store.read("j", offset: offset, count: 1).isEmpty)
        // Not full: the writer learns where the log ends. Full: what comes is dropped, and it goes on.
        #expect(try store.append("j", offset: offset, Array("no".utf8)) == 4)
        let behind = offset.addingReportingOverflow(9)
        let expected = behind.overflow ? .max : behind.partialValue
        #expect(try store.append("j", offset: offset, Array("too long\n".utf8)) == expected)
    }
}
