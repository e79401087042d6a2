internal import ArgumentParser
internal import Foundation
internal import JobInputs
internal import JobSpecs
internal import ModelFiles
internal import Testing
internal import Transformer

@testable internal import qat_client

/// Corpora on their way from texts to a job.
@Suite struct CorpusInputTests {
    private let folder: TemporaryHome

    init() throws {
        folder = try TemporaryHome()
        try TinyModelFolder().write(to: folder.home.path + "/m")
    }

    private func preprocess(_ arguments: String...) async throws {
        try await preprocess(arguments)
    }

    private func preprocess(_ arguments: [String]) async throws {
        let command = try PreprocessCommand.parse(
            ["--model", folder.home.path + "/m", "--json"] + arguments
        )
        try await command.run()
    }

    /// Tokens of documents, which are bytes here.
    private func documents(_ prefix: String) throws -> [[UInt8]] {
        let corpus = try IndexedCorpus(path: prefix)
        return try (0..<corpus.documentCount).map { document in
            let range = corpus.start(of: document)..<corpus.start(of: document + 1)
            var tokens = [Int32](repeating: 0, count: range.count)
            try corpus.copy(range, to: &tokens, vocabularySize: 256)
            return tokens.map { UInt8($0) }
        }
    }

    private func validate(_ json: String, kind: String = "train") throws -> InputValidation {
        let file = try folder.write("job.json", json)
        return try InputValidation(SubmissionPlan(kind: kind, file: file, name: nil), file: file)
    }

    private func train(_ data: String, steps: Int = 2) -> String {
        """
        {"model": "m", "quantization": {"algorithm": "mxfp4"},
         "trainer": {"max_steps": \(steps)},
         "data": {"data_impl": "mmap", "seq_length": 16, \(data)}}
        """
    }

    private func problems(_ json: String) -> [String] {
        let error = #expect(throws: ClientError.self) { try validate(json) }
        let file = folder.home.path + "/job.json: "
        return (error?.lines ?? []).map { $0.replacing(file, with: "") }
    }

    /// Any number of workers writes the same bytes.
    @Test func textsBecomeCorpora() async throws {
        let lines = (0..<300).map { "{\"id\": \($0), \"body\": \"words \($0)\"}" }
        let all = lines + [#"{"body": ""}"#]
        let jsonl = try folder.write("t.jsonl", all.joined(separator: "\n"))
        let text = try folder.write("t.txt", "plain words\n")
        var files: [[UInt8]] = []
        for workers in ["1", "2", "7"] {
            let prefix = folder.home.path + "/c" + workers
            let options = ["--json-key", "body", "--workers", workers]
            try await preprocess(["--output-prefix", prefix] + options + [jsonl, text])
            files += try [".bin", ".idx"].map {
                [UInt8](try Data(contentsOf: URL(filePath: prefix + $0)))
            }
            let found = try documents(prefix)
            #expect(found.count == 301)
            #expect(found[299] == Array("words 299".utf8))
            #expect(found[300] == Array("plain words\n".utf8))
        }
        #expect(files[2] == files[0] && files[4] == files[0])
        #expect(files[3] == files[1] && files[5] == files[1])
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.home.path)
        #expect(!names.contains { $0.hasSuffix(".tmp") })
    }

    @Test func aCorpusIsNotReplacedUnasked() async throws {
        let text = try folder.write("t.txt", "words")
        let prefix = folder.home.path + "/c"
        try await preprocess("--output-prefix", prefix, text)
        let error = await #expect(throws: ClientError.self) {
            try await preprocess("--output-prefix", prefix, text)
        }
        #expect(error?.lines.first?.contains("c.bin is there already; --overwrite") == true)
        let other = try folder.write("u.txt", "others")
        try await preprocess("--output-prefix", prefix, "--overwrite", other)
        #expect(try documents(prefix) == [Array("others".utf8)])
        // The tiny model names no token that ends a text.
        let none = await #expect(throws: ClientError.self) {
            try await preprocess("--output-prefix", folder.home.path + "/d", "--append-eod", text)
        }
        #expect(none?.lines.first?.contains("eos_token_id") == true)
        #expect(!FileManager.default.fileExists(atPath: folder.home.path + "/d.bin"))
    }

    @Test func jobsThatFitAreTaken() async throws {
        try await corpus("c", documents: 20)
        let plan = try SubmissionPlan(
            kind: "train",
            file: folder.write("job.json", train(#""train": ["c"]"#)),
            name: nil
        )
        #expect(plan.inputs.last?.files.map(\.name) == ["c.bin", "c.idx"])
        let remarks = try validate(train(#""train": ["c"], "splits_string": "80,20,0""#)).remarks
        #expect(remarks.isEmpty, "\(remarks)")
        #expect(
            try validate(train(#""train": ["c"]"#)).remarks
                == ["$.data.validation: is empty: validated on the training text"]
        )
        let both = #""train": ["c", "c"], "validation": ["c"], "calibration": ["c"]"#
        #expect(try validate(train(both)).remarks.isEmpty)
    }

    @Test func jobsThatDoNotFitAreRefused() async throws {
        try await corpus("c", documents: 20)
        #expect(
            problems(train(#""train": ["c"], "splits_string": "99,1,0""#)) == [
                """
                $.data.splits_string: the second share, 0 of 20 documents, has 0 tokens, fewer than one \
                window of seq_length 16; take more documents
                """
            ]
        )
        #expect(
            problems(train(#""train": ["c"], "validation": ["c"], "reset_position_ids": true"#))[0]
                .hasPrefix("$.data.reset_position_ids: the model names no token that ends a text")
        )
        #expect(problems(train(#""train": ["c.bin"]"#))[0].contains("prefix of .bin and .idx"))
        #expect(problems(train(#""train": ["d"]"#))[0].contains("no such file or folder"))
        let digest = String(repeating: "a", count: 64)
        #expect(
            problems(train(#""train": ["sha256:\#(digest)"]"#))[0].contains("a corpus is two")
        )
        #expect(
            problems(train(#""train": ["c"]"#, steps: 200_000_000))[0]
                .contains("takes more than 134217728 entries")
        )
        let index = try Data(contentsOf: folder.url.appending(path: "c.idx"))
        try folder.write("e.idx", [UInt8](index))
        try folder.write("e.bin", [1, 2])
        #expect(problems(train(#""train": ["e"]"#))[0].contains("e.bin: truncated"))
        // Bytes above the model's 256 tokens: what another tokenizer wrote.
        let bytes = [UInt8](try Data(contentsOf: folder.url.appending(path: "c.bin")))
        try folder.write("e.bin", bytes.dropLast() + [9])
        #expect(
            problems(train(#""train": ["e"]"#))[0].contains(
                "outside of the model's vocabulary of 256; preprocess the text"
            )
        )
    }

    /// Each text of a mixture has to hold a window.
    @Test func mixturesAreCheckedTextByText() async throws {
        try await corpus("c", documents: 20)
        try await corpus("one", documents: 1)
        let mixed = #""train": ["c", "one"], "validation": ["c"], "train_weights": [1, 1]"#
        #expect(try validate(train(mixed)).remarks.isEmpty)
        #expect(
            problems(train(mixed + #", "splits_string": "50,50,0""#)) == [
                """
                $.data.train[1]: the first share, 0 of 1 documents, has 0 tokens, fewer than one window of \
                seq_length 16; take more documents
                """
            ]
        )
        let small = #""train": ["c", "one"], "validation": ["c"], "train_weights": [3, 0.1]"#
        let remarks = try validate(train(small)).remarks.map(\.description)
        #expect(remarks.count == 1)
        #expect(remarks.first?.hasPrefix("$.data.train_weights[1]: its share of the run's") == true)
        try folder.write("short.txt", "few words")
        try folder.write("long.txt", String(repeating: "some words, ", count: 99))
        let texts = train(
            #""train": ["long.txt", "short.txt"], "validation": ["long.txt"], "train_weights": [1, 1]"#
        ).replacing("mmap", with: "text")
        #expect(problems(texts).count == 1)
        #expect(problems(texts).first?.hasPrefix("$.data.train[1]: short.txt: 9 tokens") == true)
    }

    /// Seen: a mixture was refused for the second share of its smallest corpus, while validation reads the shares of
    /// all as one text.
    ///
    /// By hand: of 20 documents of some 25 tokens two are validated on, of 2 none.
    @Test func aMixturesSharesAreValidatedOnTogether() async throws {
        try await corpus("c", documents: 20)
        try await corpus("small", documents: 2)
        func job(_ splits: String, mixed: Bool = true) -> String {
            train(
                #""train": ["c", "small"], "splits_string": "\#(splits)""#
                    + (mixed ? #", "train_weights": [5, 2]"# : ""),
                // So that each corpus has a share of the run's windows.
                steps: 20
            )
        }
        for mixed in [true, false] {
            let remarks = try validate(job("90,10,0", mixed: mixed)).remarks
            #expect(remarks.isEmpty, "\(remarks)")
        }
        #expect(
            problems(job("99,1,0")) == [
                """
                $.data.splits_string: the second shares of all corpora, 0 of 22 documents, have 0 tokens, fewer \
                than one window of seq_length 16; take more documents
                """
            ]
        )
        #expect(
            problems(job("99,1,0", mixed: false)).first?.contains("the second share, 0 of 22")
                == true
        )
    }

    /// Documents of a few words.
    private func corpus(_ name: String, documents: Int) async throws {
        let lines = (0..<documents).map { "{\"text\": \"some words for document \($0)\"}" }
        let file = try folder.write("\(name).jsonl", lines.joined(separator: "\n"))
        try await preprocess("--output-prefix", folder.home.path + "/" + name, file)
    }
}
