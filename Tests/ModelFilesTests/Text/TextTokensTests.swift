internal import Foundation
internal import Kernels
internal import Testing
internal import Transformer

@testable internal import ModelFiles

@Suite struct TextTokensTests {
    private let folder: TemporaryFolder
    private let model: LoadedModel
    private let tokens: TextTokens

    init() throws {
        folder = try TemporaryFolder()
        model = try TinyModel.make()
        tokens = try TextTokens(model.tokenizer, model.configuration, model.files)
    }

    private func file(_ text: String, _ name: String) throws -> TextFile {
        try TextFile(path: folder.write(Array(text.utf8), name))
    }

    @Test func joinsFilesAsTheyAreAndEndsDocumentsOfLines() throws {
        let a = try folder.write(Array("hello ".utf8), "a.txt")
        let b = try folder.write(
            Array(#"{"text": "world"}"#.utf8) + [10] + Array(#"{"text": "again"}"#.utf8),
            "b.jsonl"
        )
        func encode(_ text: String) -> [Int32] { model.tokenizer.encode(text) }
        // The tiny model's token 1 ends a text.
        let documents: [Int32] = encode("world") + [1] + encode("again") + [1]
        let expected: [Int32] = encode("hello ") + documents + encode("hello ")
        #expect(try TextCorpus.load(paths: [a, b, a], tokens) == expected)
    }

    @Test func countsNoMoreThanItMust() throws {
        let words = String(repeating: "the thing and winter under anthem ", count: 20_000)
        let long = try file(words, "long.txt")
        let whole = try tokens.tokens(of: long).count
        #expect(try tokens.count(in: long, upTo: whole + 1) == whole)
        #expect(try tokens.count(in: long, upTo: .max) == whole)
        let some = try tokens.count(in: long, upTo: 100)
        #expect(some >= 100 && some < whole / 4)
        let accents = try file(String(repeating: "\u{E9}\u{20AC}", count: 100_000), "accents.txt")
        #expect(try tokens.count(in: accents, upTo: 10) >= 10)
        let lines = try file(
            String(repeating: #"{"text": "the thing"}"# + "\n", count: 1000),
            "d.jsonl"
        )
        let all = try tokens.count(in: lines, upTo: .max)
        #expect(all == 1000 * (model.tokenizer.encode("the thing").count + 1))
        #expect(try tokens.count(in: lines, upTo: 10) < 20)
    }

    @Test func asksForOneWindowInAllOrInOneOfThem() throws {
        let short = try file("the thing", "s.txt")
        let count = try tokens.tokens(of: short).count
        let files = [short, short, short]
        try TextCorpus.requireWindow(of: 3 * count, in: files, isJoined: true, tokens)
        try TextCorpus.requireWindow(of: count, in: files, isJoined: false, tokens)
        let error = #expect(throws: ModelFileError.self) {
            try TextCorpus.requireWindow(of: 3 * count + 1, in: files, isJoined: true, tokens)
        }
        #expect(error?.code == .tooShort)
        #expect(
            error?.message == """
                s.txt, s.txt, s.txt: \(3 * count) tokens, fewer than one window of seq_length \
                \(3 * count + 1); take a longer text or a seq_length of at most \(3 * count)
                """
        )
        let apart = #expect(throws: ModelFileError.self) {
            try TextCorpus.requireWindow(of: count + 1, in: files, isJoined: false, tokens)
        }
        #expect(apart?.message.contains("the longest text has \(count) tokens") == true)
    }

    @Test func refusesTokensWithoutARow() throws {
        var configuration = model.configuration
        configuration.vocabularySize = 40
        let error = #expect(throws: ModelFileError.self) {
            try TextTokens(model.tokenizer, configuration, model.files)
        }
        let count = model.tokenizer.vocabularySize
        #expect(
            error?.message.contains("has \(count) tokens, the model's embedding 40 rows") == true
        )
        configuration = model.configuration
        configuration.eosTokens = [count + 5]
        #expect(throws: ModelFileError.self) {
            try TextTokens(model.tokenizer, configuration, model.files)
        }
        configuration.eosTokens = []
        configuration.vocabularySize = count + 64
        #expect(try TextTokens(model.tokenizer, configuration, model.files).endOfText == nil)
    }

    /// Gemma 3's tokenizer has one token more than its text models have rows.
    @Test func letsAddedTokensBeyondTheRowsPassUntilATextHoldsThem() throws {
        let base = try Tokenizer(
            vocabulary: ["a", "b", "<image>"],
            merges: [],
            addedTokens: [.init(text: "<image>", id: 2, isSpecial: true)],
            preTokenizer: .gpt2
        )
        var configuration = model.configuration
        configuration.vocabularySize = 2
        configuration.bosToken = nil
        configuration.eosTokens = []
        let tokens = try TextTokens(base, configuration, model.files)
        #expect(Vocabulary.addedBeyondRows(of: base, configuration).map(\.id) == [2])
        let good = try file("abba", "good.txt")
        try tokens.requireRows(of: good)
        #expect(try tokens.tokens(of: good) == [0, 1, 1, 0])
        let bad = try file("ab<image>", "bad.txt")
        let early = #expect(throws: ModelFileError.self) { try tokens.requireRows(of: bad) }
        #expect(early?.message.contains("\"<image>\" at byte 2 is token 2") == true)
        #expect(throws: ModelFileError.self) { try tokens.tokens(of: bad) }
    }

    @Test func comparesATeachersTokensWithItsStudents() throws {
        func tokenizer(_ vocabulary: [String]) throws -> Tokenizer {
            try Tokenizer(
                vocabulary: vocabulary,
                merges: [],
                addedTokens: [],
                preTokenizer: .gpt2
            )
        }
        let student = try tokenizer(["a", "b", "c"])
        try Vocabulary.requireSame(teacher: tokenizer(["a", "b", "c", "d"]), student: student)
        try Vocabulary.requireSame(teacher: tokenizer(["a", "b"]), student: student)
        let other = try tokenizer(["a", "c", "b", "d"])
        let error = #expect(throws: ModelFileError.self) {
            try Vocabulary.requireSame(teacher: other, student: student)
        }
        #expect(
            error?.message.hasPrefix(#"token 1 is "c" in the teacher's tokenizer and "b" in the"#)
                == true
        )
        var small = model.configuration
        small.vocabularySize -= 1
        let rows = #expect(throws: ModelFileError.self) {
            try Vocabulary.requireRows(teacher: small, student: model.configuration)
        }
        #expect(rows?.message.contains("may have more rows, not fewer") == true)
        try Vocabulary.requireRows(teacher: model.configuration, student: small)
    }

    @Test func refusesWindowsBeyondTheContext() throws {
        func check(_ length: Int, allowsLong: Bool = false) throws -> String? {
            try ContextLength.check(
                length,
                name: "seq_length \(length)",
                model.configuration,
                allowsLong: allowsLong
            )
        }
        #expect(try check(128) == nil)
        let error = #expect(throws: ModelFileError.self) { try check(129) }
        #expect(
            error?.message.hasPrefix(
                """
                seq_length 129 is beyond the model's context of 128 positions \
                (max_position_embeddings); write at most 128, or "allow_long_context": true
                """
            ) == true
        )
        #expect(try check(129, allowsLong: true)?.contains("extrapolation") == true)
    }

    @Test func readsTheFirstRowsOfALargerVocabulary() throws {
        let wide = try TinyModel.make(tied: false)
        let plain = QuantizedModel(model: wide, stored: [:])
        _ = try plain.write(
            to: HuggingFaceWriter(plain.description, format: .f32, folder: folder.path + "/m")
        )
        let source = try ModelLoader.open(path: folder.path + "/m")
        let rows = wide.configuration.vocabularySize - 3
        let parameters = try ModelLoader.parameters(
            of: source,
            vocabularySize: rows,
            team: .init(threadCount: 1)
        )
        #expect(parameters.configuration.vocabularySize == rows)
        for (entry, whole) in zip(parameters.layout.entries, wide.parameters.layout.entries) {
            let expected = wide.parameters.elements(of: whole).prefix(entry.count)
            #expect(parameters.elements(of: entry).elementsEqual(expected), "\(entry.name)")
        }
    }
}
