internal import Foundation
internal import Testing
internal import Transformer

@testable internal import ModelFiles

@Suite struct IndexedCorpusTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test func readsWhatMegatronWrites() throws {
        for expected in try CorpusFixture.load().corpora {
            let corpus = try CorpusFixture.open(expected.name)
            #expect(corpus.name == expected.name)
            #expect(corpus.type == (expected.name == "corpus-int32" ? .int32 : .uint16))
            #expect((0..<corpus.documentCount).map(corpus.length) == expected.sizes)
            let text = CorpusText(try CorpusDocuments([corpus]), vocabularySize: 70_001)
            #expect(try text.tokens == expected.tokens)
            try corpus.check(0..<corpus.tokenCount, vocabularySize: 70_001)
        }
    }

    @Test(arguments: TokenType.allCases)
    func readsEveryTypeOfToken(type: TokenType) throws {
        let tokens = [0, 1, 127, 3]
        let bin = tokens.flatMap { [UInt8($0)] + [UInt8](repeating: 0, count: type.byteCount - 1) }
        let corpus = try write(Index(type: type.rawValue, sizes: [3, 0, 1]), bin)
        var found = [Int32](repeating: -1, count: 4)
        try corpus.copy(0..<4, to: &found, vocabularySize: 128)
        #expect(found == [0, 1, 127, 3])
    }

    @Test func aFolderStandsForTheOneCorpusInIt() throws {
        _ = try write(Index(sizes: [1]), [7, 0])
        #expect(try IndexedCorpus(path: folder.path).name == "c")
        _ = try folder.write([], "d.idx")
        #expect(try IndexedCorpus(path: folder.path).name == "c")
        _ = try folder.write([], "d.bin")
        #expect(throws: ModelFileError.self) { try IndexedCorpus(path: folder.path) }
        let single = #expect(throws: ModelFileError.self) {
            try IndexedCorpus(path: folder.path + "/c.bin")
        }
        #expect(single?.message.hasPrefix("c.bin: one file; a corpus is two") == true)
    }

    @Test func namesTheTokenThatAModelDoesNotHave() throws {
        let corpus = try write(Index(sizes: [2, 0, 3]), [1, 0, 2, 0, 3, 0, 9, 0, 4, 0])
        let message = """
            c.bin: token 9 at byte 6, token 1 of document 2, is outside of the model's vocabulary of 5; \
            preprocess the text with this model's tokenizer
            """
        var target = [Int32](repeating: 0, count: 5)
        let copied = #expect(throws: ModelFileError.self) {
            try corpus.copy(0..<5, to: &target, vocabularySize: 5)
        }
        #expect(copied?.message == message)
        let checked = #expect(throws: ModelFileError.self) {
            try corpus.check(0..<5, vocabularySize: 5)
        }
        #expect(checked?.message == message)
        try corpus.copy(0..<3, to: &target, vocabularySize: 5)
        let negative = try write(Index(type: 3, sizes: [1]), [0xFF, 0xFF])
        let below = #expect(throws: ModelFileError.self) {
            try negative.check(0..<1, vocabularySize: 5)
        }
        #expect(below?.message.hasPrefix("c.bin: token -1 at byte 0") == true)
    }

    @Test(arguments: [
        (Index(magic: Array("MMIDIDY\0\0".utf8)), "c.idx: no index of a corpus"),
        (Index(version: 2), "c.idx: version 2 of the index; read is version 1"),
        (Index(type: 6), "c.idx: float64 is no type of tokens"),
        (Index(type: 7), "c.idx: float32 is no type of tokens"),
        (Index(type: 0), "c.idx: 0 is no code of a token type"),
        (Index(type: 9), "c.idx: 9 is no code of a token type"),
        (Index(sizes: [2, -1]), "c.idx: sequence 1 of 2 has -1 tokens"),
        (Index(sizes: [2, 2], pointers: [0, 2]), "c.idx: sequence 1 of 2 begins at byte 2"),
        (Index(sizes: [2, 2], pointers: [4, 0]), "c.idx: sequence 0 of 2 begins at byte 4"),
        (Index(sizes: [2, 2], pointers: [0, -4]), "c.idx: sequence 1 of 2 begins at byte -4"),
        (Index(sizes: [2, 2], pointers: [0, .max]), "c.idx: sequence 1 of 2 begins at byte 9223"),
        (Index(borders: [0, 3]), "c.idx: document border 1 of 2 is 3; expected 0 … 2"),
        (Index(borders: [1, 2]), "c.idx: document border 0 of 2 is 1; expected 0"),
        (Index(borders: [0, 2, 1]), "c.idx: document border 2 of 3 is 1; expected 2 … 2"),
        (Index(sequences: 3), "c.idx: truncated: 3 sequences and 3 document borders take 94 bytes"),
        (Index(sequences: .max), "c.idx: 18446744073709551615 sequences and 3"),
        (Index(borderCount: 1 << 62), "c.idx: 2 sequences and 4611686018427387904 document"),
        (Index(borderCount: 1), "c.idx: too long: 2 sequences and 1 document borders take 66"),
        (Index(trailing: 2), "c.idx: it holds a mode per sequence, as of a multimodal corpus"),
        (Index(trailing: 1), "c.idx: too long"),
        (Index(sizes: [2, 1]), "c.bin: too long: c.idx has 3 tokens of 2 bytes, which take 6"),
        (Index(sizes: [2, 4]), "c.bin: truncated: c.idx has 6 tokens of 2 bytes, which take 12"),
        (Index(sizes: [.max, .max]), "c.bin: truncated: c.idx has 4294967294 tokens"),
    ])
    func refusesWhatIsWrong(index: Index, message: String) throws {
        let error = #expect(throws: ModelFileError.self) {
            try write(index, [1, 0, 2, 0, 3, 0, 4, 0])
        }
        #expect(error?.message.hasPrefix(message) == true, "\(error as Any)")
    }

    /// No cut and no flipped byte of an index makes a reader go beyond a file.
    @Test func survivesAnyDamage() throws {
        let (idx, bin) = (
            try CorpusFixture.bytes("corpus-int32.idx"), try CorpusFixture.bytes("corpus-int32.bin")
        )
        _ = try folder.write(bin, "c.bin")
        var random = SplitMix(state: 3)
        for round in 0..<2000 {
            var bytes = idx
            if round < idx.count {
                bytes = Array(idx[..<round])
            } else {
                for _ in 0...Int(random.next() % 3) {
                    bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(random.next() % 256)
                }
            }
            _ = try folder.write(bytes, "c.idx")
            guard let corpus = try? IndexedCorpus(path: folder.path + "/c") else { continue }
            var target = [Int32](repeating: 0, count: corpus.tokenCount)
            try? corpus.copy(0..<corpus.tokenCount, to: &target, vocabularySize: 1 << 20)
            for document in 0..<corpus.documentCount { _ = corpus.length(of: document) }
        }
    }

    @Test func namesWhatIsMissing() throws {
        let none = #expect(throws: ModelFileError.self) {
            try IndexedCorpus(path: folder.path + "/c")
        }
        #expect(none?.message.contains("c.idx: No such file") == true)
        _ = try folder.write(Index().bytes, "c.idx")
        let half = #expect(throws: ModelFileError.self) {
            try IndexedCorpus(path: folder.path + "/c")
        }
        #expect(half?.message.contains("c.bin: No such file") == true)
    }

    @Test func corporaAreNumberedThrough() throws {
        let first = try write(Index(sizes: [2, 0]), [1, 0, 2, 0])
        let second = try write(Index(sizes: [1, 2]), [3, 0, 4, 0, 5, 0], name: "d")
        let all = try CorpusDocuments([first, second, first])
        #expect(all.range == 0..<6 && all.tokenCount == 7)
        #expect((0..<6).map(all.length) == [2, 0, 1, 2, 2, 0])
        func tokens(_ documents: CorpusDocuments) throws -> [Int32] {
            try CorpusText(documents, vocabularySize: 6).tokens
        }
        #expect(try tokens(all) == [1, 2, 3, 4, 5, 1, 2])
        #expect(try tokens(all.documents(1..<4)) == [3, 4, 5])
        #expect(try tokens(all.documents(3..<6)) == [4, 5, 1, 2])
        #expect(try tokens(all.documents(6..<6)).isEmpty)
        var part = [Int32](repeating: 0, count: 2)
        try CorpusText(all.documents(3..<6), vocabularySize: 6).copy(1..<3, to: &part)
        #expect(part == [5, 1])
    }

    /// A conversation holds its model's end of text behind each turn, a document of plain text behind its
    /// last token alone.
    ///
    /// Here 9 ends: two of the four documents hold it before their end.
    @Test func endsInsideOfDocumentsAreCounted() throws {
        let corpus = try write(
            Index(sizes: [3, 4, 2, 0]),
            [1, 0, 9, 0, 9, 0, 9, 0, 2, 0, 3, 0, 4, 0, 5, 0, 9, 0]
        )
        let all = try CorpusDocuments([corpus])
        #expect(all.innerEndCount(9) == 2)
        #expect(all.hasEnd(9) && !all.hasEnd(3))
        #expect(all.documents(2..<4).innerEndCount(9) == 0)
        #expect(all.documents(1..<4).innerEndCount(9) == 1)
        #expect(all.innerEndCount(5) == 1)
        #expect(all.innerEndCount(7) == 0)
    }

    private func write(
        _ index: Index,
        _ bin: [UInt8],
        name: String = "c"
    ) throws -> IndexedCorpus {
        _ = try folder.write(index.bytes, name + ".idx")
        _ = try folder.write(bin, name + ".bin")
        return try IndexedCorpus(path: folder.path + "/" + name)
    }
}

/// An index, byte by byte; of two sequences of two tokens in uint16 unless something else is said.
struct Index: Sendable {
    var magic = Array("MMIDIDX\0\0".utf8)
    var version: UInt64 = 1
    var type: UInt8 = 8
    var sizes: [Int32] = [2, 2]
    var sequences: UInt64?
    var borderCount: UInt64?
    var pointers: [Int64]?
    var borders: [Int64]?
    var trailing = 0

    var bytes: [UInt8] {
        var bytes = magic
        func add(_ value: some FixedWidthInteger) {
            withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
        }
        let borders = borders ?? (0...sizes.count).map { Int64($0) }
        let width = Int64(TokenType(rawValue: type)?.byteCount ?? 2)
        var next: Int64 = 0
        let pointers =
            pointers
            ?? sizes.map { size in
                defer { next += Int64(size) * width }
                return next
            }
        add(version)
        add(type)
        add(sequences ?? UInt64(sizes.count))
        add(borderCount ?? UInt64(borders.count))
        for size in sizes { add(size) }
        for pointer in pointers { add(pointer) }
        for border in borders { add(border) }
        return bytes + [UInt8](repeating: 0, count: trailing)
    }
}

/// A small generator, so that damage is the same each time.
private struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
