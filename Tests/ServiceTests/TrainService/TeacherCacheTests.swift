internal import Foundation
internal import JobInputs
internal import JobSpecs
internal import Testing

@testable internal import TrainService

/// A teacher's most likely tokens, kept in a file.
@Suite struct TeacherCacheTests {
    private let path = FileManager.default.temporaryDirectory
        .appending(path: "teacher-cache-\(UUID().uuidString)").path
    private static let (length, count) = (4, 2)

    private func withCache<Result>(
        fingerprint: String = "f",
        capacity: Int = 8,
        log: @escaping (String) -> Void = { _ in },
        _ body: (TeacherCache) throws -> Result
    ) rethrows -> Result {
        try body(
            TeacherCache(
                path: path + "/teacher-cache",
                identity: .init(
                    fingerprint: fingerprint,
                    vocabularySize: 100,
                    length: Self.length,
                    count: Self.count
                ),
                capacity: capacity,
                log: log
            )
        )
    }

    private static func window(_ seed: Int32) -> [Int32] { (0..<4).map { seed * 10 + $0 } }
    private static func tokens(_ seed: Int32) -> [Int32] { (0..<8).map { ($0 + seed) % 100 } }
    private static func values(_ seed: Int32) -> [Float] {
        (0..<12).map { -Float($0) / Float(seed + 1) }
    }

    private static func write(_ seed: Int32, to cache: TeacherCache, token: Int32? = nil) {
        var tokens = tokens(seed)
        if let token { tokens[3] = token }
        window(seed).withUnsafeBufferPointer { window in
            tokens.withUnsafeBufferPointer { tokens in
                values(seed).withUnsafeBufferPointer {
                    cache.write(window, tokens: tokens, values: $0)
                }
            }
        }
    }

    /// Whether the cache has what was written.
    private static func has(_ seed: Int32, _ cache: TeacherCache) -> Bool {
        var tokens = [Int32](repeating: -1, count: 8)
        var values = [Float](repeating: .nan, count: 12)
        let isThere = window(seed).withUnsafeBufferPointer { window in
            tokens.withUnsafeMutableBufferPointer { tokens in
                values.withUnsafeMutableBufferPointer {
                    cache.read(window, tokens: tokens, values: $0)
                }
            }
        }
        return isThere && tokens == Self.tokens(seed) && values == Self.values(seed)
    }

    private func clean() { try? FileManager.default.removeItem(atPath: path) }

    @Test func whatIsWrittenIsReadByLaterAttempts() {
        defer { clean() }
        withCache { cache in
            #expect(!Self.has(1, cache))
            Self.write(1, to: cache)
            Self.write(2, to: cache)
            #expect(Self.has(1, cache) && Self.has(2, cache) && !Self.has(3, cache))
            #expect(cache.readCount == 2 && cache.missCount == 2 && cache.windowCount == 2)
        }
        withCache { cache in
            #expect(cache.windowCount == 2)
            #expect(Self.has(2, cache) && Self.has(1, cache) && !Self.has(3, cache))
            Self.write(3, to: cache)
            #expect(Self.has(3, cache))
        }
        // Of other settings nothing is known, and the file begins anew.
        withCache(fingerprint: "g") { #expect($0.windowCount == 0 && !Self.has(1, $0)) }
        withCache { #expect($0.windowCount == 0) }
    }

    @Test func theFileIsAsLargeAsPlanned() throws {
        defer { clean() }
        withCache(capacity: 3) { cache in
            for seed in 0..<9 { Self.write(Int32(seed), to: cache) }
            #expect(cache.windowCount == 3 && Self.has(2, cache) && !Self.has(3, cache))
        }
        let size =
            try FileManager.default
            .attributesOfItem(atPath: path + "/teacher-cache")[.size] as? Int
        let record = TeacherCachePlan.recordByteCount(length: Self.length, count: Self.count)
        // A key, 4 tokens, 8 most likely ones, 12 values, a digest.
        #expect(record == 8 + 16 + 32 + 48 + 32)
        #expect(size == 40 + 3 * record)
    }

    @Test func damagedRecordsAreNotThere() throws {
        defer { clean() }
        withCache { cache in
            for seed in Int32(1)...3 { Self.write(seed, to: cache) }
            // A token beyond the vocabulary, under a digest that fits.
            Self.write(4, to: cache, token: 100)
            #expect(!Self.has(4, cache))
        }
        let file = URL(filePath: path + "/teacher-cache")
        var bytes = [UInt8](try Data(contentsOf: file))
        let record = TeacherCachePlan.recordByteCount(length: Self.length, count: Self.count)
        bytes[40 + record + 60] ^= 1
        // As a crash leaves it.
        try Data(bytes.dropLast(record + 5)).write(to: file)
        withCache { cache in
            #expect(cache.windowCount == 2)
            #expect(Self.has(1, cache) && !Self.has(2, cache) && !Self.has(3, cache))
            Self.write(2, to: cache)
            Self.write(3, to: cache)
            #expect(Self.has(1, cache) && Self.has(2, cache) && Self.has(3, cache))
            #expect(cache.windowCount == 3)
        }
        try Data([1, 2, 3]).write(to: file)
        withCache { #expect($0.windowCount == 0 && !Self.has(1, $0)) }
    }

    @Test func aPlaceThatCannotBeWrittenIsSaidAndDoneWithout() throws {
        defer { clean() }
        try FileManager.default.createDirectory(
            atPath: path + "/teacher-cache",
            withIntermediateDirectories: true
        )
        var said: [String] = []
        withCache(log: { said.append($0) }) { cache in
            Self.write(1, to: cache)
            #expect(!Self.has(1, cache))
        }
        #expect(said.count == 1 && said[0].hasPrefix("teacher cache: cannot be opened"), "\(said)")
    }

    private static func plan(_ trainer: String, sampling: String, tokens: Int?) throws
        -> TeacherCachePlan?
    {
        let json = """
            {"model": "m", "quantization": {"algorithm": "mxfp4"}, "trainer": {\(trainer)},
             "distillation": {"teacher_cache": {"top_k": 16}},
             "data": {"train": ["t"], "seq_length": 10, "sampling": "\(sampling)"}}
            """
        guard case .train(let spec) = try JobSpec.parse(kind: "train", json: Array(json.utf8))
        else { return nil }
        return TeacherCachePlan(spec, tokenCount: tokens)
    }

    /// 1000 tokens are 100 windows of 10; a record is 8 + 4 · 10 · (1 + 16 + 17) + 32 bytes.
    @Test func plansAreWhatIsSeen() throws {
        let run = #""max_steps": 20, "micro_batch_size": 2"#
        let some = try #require(try Self.plan(run, sampling: "epoch", tokens: 1000))
        #expect(some.windows == 40 && some.recordByteCount == 1400 && some.byteCount == 56_000)
        let more = run.replacingOccurrences(of: "20", with: "2000")
        #expect(try Self.plan(more, sampling: "epoch", tokens: 1000)?.windows == 100)
        #expect(try Self.plan(more, sampling: "random", tokens: 1000)?.windows == 4000)
        #expect(try Self.plan(more, sampling: "epoch", tokens: nil)?.windows == 4000)
        let epochs = #""max_epochs": 3, "micro_batch_size": 3"#
        #expect(try Self.plan(epochs, sampling: "random", tokens: 1000)?.windows == 297)
        #expect(try Self.plan(epochs, sampling: "epoch", tokens: nil) == nil)
    }
}
