internal import Foundation
internal import Testing

@testable internal import ModelFiles

@Suite struct UTF8CheckTests {
    private func fault(_ bytes: [UInt8]) -> (offset: Int, fault: UTF8Check.Fault)? {
        bytes.withUnsafeBytes { UTF8Check($0).map { ($0.offset, $0.fault) } }
    }

    /// Offsets are Python's: `UnicodeDecodeError.start` of `bytes.decode("utf-8")`.
    @Test(
        arguments: [
            ([0x61, 0x62, 0xFF, 0x63], 2), ([0xC0, 0x80], 0), ([0xC1, 0xBF], 0),
            ([0x61, 0xE0, 0x80, 0x80], 1), ([0x61, 0xED, 0xA0, 0x80], 1),
            ([0xF4, 0x90, 0x80, 0x80], 0),
            ([0xF5, 0x80, 0x80, 0x80], 0), ([0x61, 0x80], 1), ([0xC3, 0xA9, 0xC3, 0x28], 2),
            ([0xF0, 0x9F, 0x98, 0x61], 0), ([0xE2, 0x82, 0xAC, 0x9C], 3),
        ] as [([UInt8], Int)]
    )
    func findsTheFirstBadByte(_ bytes: [UInt8], _ offset: Int) throws {
        // Behind every length of plain text, as it goes by eight bytes.
        for before in 0..<20 {
            let found = try #require(fault([UInt8](repeating: 0x61, count: before) + bytes))
            #expect(found.offset == before + offset)
            #expect(found.fault == .byte(bytes[offset]))
        }
    }

    @Test func tellsACutCharacterAndZeros() throws {
        #expect(try #require(fault([0x61, 0xE2, 0x82])) == (1, .end))
        #expect(try #require(fault([0x61, 0xF0, 0x9F, 0x98])) == (1, .end))
        for before in 0..<20 {
            let found = fault([UInt8](repeating: 0x7F, count: before) + [0] + [0x61, 0x62, 0x63])
            #expect(try #require(found) == (before, .zero))
        }
    }

    @Test func agreesWithTheStandardLibrary() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0...24, using: &random)).map { _ in
                // Mostly what makes up characters, so that many are valid.
                [0x61, 0x7F, 0x80, 0xBF, 0xC2, 0xC3, 0xE0, 0xE2, 0xA0, 0xED, 0xF0, 0x90, 0xF4]
                    .randomElement(using: &random) ?? UInt8(1)
            }
            let isValid = String(validating: bytes, as: UTF8.self) != nil
            #expect((fault(bytes) == nil) == isValid, "\(bytes)")
        }
    }
}

@Suite struct TextFileTests {
    private let folder: TemporaryFolder
    private let text = String(repeating: "the thing and winter under anthem\n", count: 40)

    init() throws {
        folder = try TemporaryFolder()
    }

    private func refusal(_ bytes: [UInt8], _ name: String) throws -> String {
        let path = try folder.write(bytes, name)
        let error = #expect(throws: ModelFileError.self) { try TextFile(path: path) }
        // Commands run anywhere: they name the file by its path.
        let message = error?.message ?? ""
        if let command = message.range(of: "convert it: ") {
            #expect(message[command.upperBound...].contains(path.dropLast(name.count)))
        }
        // The folder's name wants quotes, which these names alone do not.
        let folder = String(path.dropLast(name.count))
        let words: [Substring] = message.split(separator: " ", omittingEmptySubsequences: false)
        return words.map { word in
            let bare = String(word).replacing(folder, with: "")
            let isPlain = bare.count > 2 && bare.hasPrefix("'") && !bare.contains(#"\'"#)
            return word.contains(folder) && isPlain ? String(bare.dropFirst().dropLast()) : bare
        }.joined(separator: " ")
    }

    @Test func takesTextWithAndWithoutAByteOrderMark() throws {
        let plain = try TextFile(path: folder.write(Array(text.utf8), "t.txt"))
        #expect(plain.notes.isEmpty)
        let marked = try TextFile(
            path: folder.write([0xEF, 0xBB, 0xBF] + Array(text.utf8), "bom.txt")
        )
        #expect(marked.notes == ["bom.txt: the byte order mark at its start is skipped"])
        let tokenizer = try TinyModel.make()
        let tokens = try TextTokens(tokenizer.tokenizer, tokenizer.configuration, tokenizer.files)
        #expect(try tokens.tokens(of: marked) == tokens.tokens(of: plain))
    }

    @Test func keepsLineEndsAsTheyAre() throws {
        let file = try TextFile(path: folder.write(Array("a\r\nb\rc\n".utf8), "crlf.txt"))
        var found: [String] = []
        try file.forEachDocument {
            if case .text(let text) = $0 { found.append(text) }
            return true
        }
        #expect(found.map { Array($0.utf8) } == [Array("a\r\nb\rc\n".utf8)])
        #expect(file.notes.isEmpty)
    }

    @Test func refusesOtherEncodingsWithTheCommand() throws {
        let units = Array(text.utf16)
        let little = units.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }
        let big = units.flatMap { [UInt8($0 >> 8), UInt8(truncatingIfNeeded: $0)] }
        #expect(
            try refusal([0xFF, 0xFE] + little, "w.txt")
                == """
                w.txt: this is UTF-16, not UTF-8 text; convert it: \
                iconv -f UTF-16 -t UTF-8 w.txt > w.utf8.txt
                """
        )
        #expect(try refusal([0xFE, 0xFF] + big, "w.txt").contains("iconv -f UTF-16 -t UTF-8"))
        #expect(try refusal(little, "w.txt").contains("iconv -f UTF-16LE -t UTF-8"))
        #expect(try refusal(big, "w.txt").contains("iconv -f UTF-16BE -t UTF-8"))
        #expect(try refusal([0xFF, 0xFE, 0, 0, 0x61, 0, 0, 0], "w").contains("-f UTF-32"))
        let latin = Array("caf".utf8) + [0xE9, 0x20, 0xFC] + Array("ber ".utf8)
        #expect(
            try refusal(Array("one\ntwo ".utf8) + latin + Array(text.utf8), "l.txt")
                == """
                l.txt: not UTF-8: byte 0xE9 at byte 11, in line 2; it looks like Latin-1 \
                (ISO-8859-1), so convert it: iconv -f ISO-8859-1 -t UTF-8 l.txt > l.utf8.txt
                """
        )
        // A typographic quotation mark of Windows.
        let windows = Array("it".utf8) + [0x92] + Array("s ".utf8) + Array(text.utf8)
        #expect(try refusal(windows, "l.txt").contains("iconv -f WINDOWS-1252"))
    }

    @Test func tellsBrokenUTF8FromLatin1() throws {
        let broken = Array("caf\u{E9} na\u{EF}ve \u{20AC} \u{E4}\u{F6}".utf8) + [0xFF, 0x20]
        let message = try refusal(broken + Array(text.utf8), "b.txt")
        #expect(message.contains("b.txt: not UTF-8: byte 0xFF at byte 21, in line 1"), "\(message)")
        #expect(message.contains("iconv -c -f UTF-8 -t UTF-8 b.txt > b.utf8.txt"))
        // "Chinese text" in GBK: two bytes a character.
        let gbk = [UInt8]([0xD6, 0xD0, 0xCE, 0xC4, 0xCE, 0xC4, 0xB1, 0xBE])
        let chinese = try refusal(Array([[UInt8]](repeating: gbk, count: 40).joined()), "c.txt")
        #expect(chinese.contains("iconv -f ENCODING") && !chinese.contains("looks like"))
        let cut = try refusal(Array("abc \u{20AC}".utf8).dropLast(), "b.txt")
        #expect(cut.contains("the file ends within a character, at byte 4"))
    }

    /// Polish in ISO-8859-2, Russian in KOI8-R and Windows-1251, Greek in ISO-8859-7, and stray bytes: bytes
    /// from Python's encoders.
    @Test(
        arguments: [
            [
                0x7A, 0x61, 0xBF, 0xF3, 0xB3, 0xE6, 0x20, 0x67, 0xEA, 0xB6, 0x6C, 0xB1, 0x20, 0x6A,
                0x61, 0xBC,
                0xF1,
            ],
            [0xD0, 0xD2, 0xC9, 0xD7, 0xC5, 0xD4, 0x2C, 0x20, 0xCD, 0xC9, 0xD2],
            [0xEF, 0xF0, 0xE8, 0xE2, 0xE5, 0xF2, 0x2C, 0x20, 0xEC, 0xE8, 0xF0],
            [0xE3, 0xE5, 0xE9, 0xDC, 0x20, 0xF3, 0xEF, 0xF5, 0x20, 0xEA, 0xFC, 0xF3, 0xEC, 0xE5],
            [0xFF], [0xFF, 0xFE, 0xFD], [0x81], [0x80, 0x61, 0x9D],
        ] as [[UInt8]]
    )
    func otherEncodingsAndStrayBytesAreNotTakenForLatin1(bytes: [UInt8]) throws {
        let message = try refusal(
            Array("one ".utf8) + bytes + Array(" two three four five six seven eight".utf8),
            "o.txt"
        )
        #expect(message.contains("iconv -f ENCODING") && !message.contains("looks like"))
    }

    @Test(
        arguments: [
            // "der Käse, für 5 £ - déjà vu, où?" and "‘it’s œuvre – €5 …’" of Windows.
            (
                [
                    0x64, 0x65, 0x72, 0x20, 0x4B, 0xE4, 0x73, 0x65, 0x2C, 0x20, 0x66, 0xFC, 0x72,
                    0x20, 0x35, 0x20,
                    0xA3, 0x20, 0x64, 0xE9, 0x6A, 0xE0, 0x20, 0x76, 0x75, 0x2C, 0x20, 0x6F, 0xF9,
                    0x3F,
                ],
                "ISO-8859-1"
            ),
            (
                [
                    0x91, 0x69, 0x74, 0x92, 0x73, 0x20, 0x9C, 0x75, 0x76, 0x72, 0x65, 0x20, 0x96,
                    0x20, 0x80, 0x35,
                    0x20, 0x85, 0x92,
                ], "WINDOWS-1252"
            ),
        ] as [([UInt8], String)]
    )
    func westernTextIsTold(bytes: [UInt8], encoding: String) throws {
        let message = try refusal(bytes + Array(" and so on, at some length".utf8), "w.txt")
        #expect(message.contains("iconv -f \(encoding)"), "\(message)")
    }

    @Test func findsLateZerosAndCountsAByteOrderMark() throws {
        let bytes = Array(String(repeating: text, count: 100).utf8)
        let message = try refusal(bytes + [0, 0, 0, 0] + bytes, "z.txt")
        #expect(message.contains("z.txt: a zero byte at byte \(bytes.count), in line 4001"))
        #expect(message.contains(#"tr -d '\000' < z.txt > z.utf8.txt"#))
        #expect(
            try refusal([0xEF, 0xBB, 0xBF, 0x61, 0xFF] + bytes, "z.txt").contains("at byte 4,")
        )
    }

    /// First bytes as the formats' own documents have them.
    @Test(
        arguments: [
            ("d.txt.gz", [0x1F, 0x8B, 8], "gzip", "gunzip -c d.txt.gz > d.txt"),
            ("d.jsonl.zst", [0x28, 0xB5, 0x2F, 0xFD], "zstd", "zstd -dc d.jsonl.zst > d.jsonl"),
            ("d.xz", [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0], "xz", "xz -dc d.xz > d.txt"),
            ("d.bz2", [0x42, 0x5A, 0x68], "bzip2", "bzip2 -dc d.bz2 > d.txt"),
            ("d.zip", [0x50, 0x4B, 3, 4], "zip", "unzip -p d.zip > d.txt"),
            ("d.parquet", [0x50, 0x41, 0x52, 0x31], "parquet", "lines=True)\" d.parquet d.jsonl"),
            ("it's.txt", [0x1F, 0x8B], "gzip", #"gunzip -c 'it'\''s.txt' > 'it'\''s.utf8.txt'"#),
        ] as [(String, [UInt8], String, String)]
    )
    func namesContainersWithTheCommand(
        _ name: String,
        _ start: [UInt8],
        _ kind: String,
        _ command: String
    ) throws {
        let message = try refusal(start + Array(text.utf8), name)
        #expect(message.contains("\(name): this is \(kind), not UTF-8 text; convert it: "))
        #expect(message.hasSuffix(command), "\(message)")
    }

    /// Seen: of a corpus without `"data_impl": "mmap"`, `a zero byte …; take them out: tr -d`, and what came of
    /// that passed: token numbers trained on as letters.
    ///
    /// The beginning of an index as Megatron-Core writes it; tokens of uint16, and of one byte each, which are
    /// text to the letter.
    @Test(
        arguments: [
            [UInt8](repeating: 65, count: 64), (0..<64).map { UInt8($0 % 2 == 0 ? 65 : 0) },
            (0..<64).map { UInt8($0 % 4 == 0 ? 65 : 0) }, [65, 66, 67, 0, 68],
        ] as [[UInt8]]
    )
    func aCorpusIsNoText(tokens: [UInt8]) throws {
        _ = try folder.write(Array("MMIDIDX".utf8) + [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 8], "c.idx")
        let message = try refusal(tokens, "c.bin")
        #expect(message.contains("the .bin of a Megatron corpus"), "\(message)")
        #expect(message.contains(#""data_impl": "mmap" and the prefix c"#), "\(message)")
        // Without the index, or beside a file that is none, it may be a text.
        _ = try folder.write(Array("index".utf8), "d.idx")
        #expect(try TextFile(path: folder.write(Array("text".utf8), "d.bin")).notes.isEmpty)
        let index = try refusal(try bytes("c.idx"), "e.idx")
        #expect(index.contains("index of a Megatron corpus") && index.contains("common prefix"))
    }

    private func bytes(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(filePath: folder.path + "/" + name)))
    }

    /// Headers as their formats have them: the length of the JSON in eight bytes, and the JSON.
    @Test func aModelIsNoText() throws {
        let json = Array(#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#.utf8)
        let model = try refusal([UInt8(json.count), 0, 0, 0, 0, 0, 0, 0] + json + [1], "m.txt")
        #expect(model.contains("this is safetensors, not UTF-8 text, a model"), "\(model)")
        #expect(try refusal(Array("GGUF....".utf8), "e.txt").hasSuffix("a job names it as a model"))
    }

    /// Seen: the same advice of whatever had a zero byte.
    ///
    /// What a crash leaves is zeros in a row.
    @Test func binaryDataIsToldFromABrokenText() throws {
        let words = Array(text.utf8)
        let records: [UInt8] = (1...40).flatMap { [$0, 0, 0, 0] + words }
        for bytes in [records, (0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 167 | 1) }] {
            let message = try refusal(bytes, "b.dat")
            #expect(message.contains("not UTF-8 text but binary data"), "\(message)")
            #expect(!message.contains("tr -d") && !message.contains("iconv"), "\(message)")
        }
        let padded = words + [UInt8](repeating: 0, count: 4096) + words
        #expect(try refusal(padded, "p.txt").contains("tr -d"))
    }

    @Test func unmarkedUTF32IsTold() throws {
        let little: [UInt8] = Array(text.utf8).flatMap { [$0, 0, 0, 0] }
        #expect(try refusal(little, "w.txt").contains("iconv -f UTF-32LE -t UTF-8"))
        let big: [UInt8] = Array(text.utf8).flatMap { [0, 0, 0, $0] }
        #expect(try refusal(big, "w.txt").contains("iconv -f UTF-32BE -t UTF-8"))
    }

    @Test func refusesWhatIsNoTextAtAll() throws {
        #expect(try refusal([], "e.txt") == "e.txt is empty")
        #expect(try refusal([0xEF, 0xBB, 0xBF], "e.txt") == "e.txt is empty")
        #expect(try refusal(Array("GGUF....".utf8), "e.txt").contains("this is GGUF"))
        let binary = (0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 167 | 1) }
        #expect(try refusal(binary, "e.bin").contains("not UTF-8"))
        #expect(!(try refusal(binary, "e.bin")).contains("looks like"))
        #expect(throws: ModelFileError.self) { try TextFile(path: folder.path) }
        #expect(throws: ModelFileError.self) { try TextFile(path: folder.path + "/none.txt") }
    }
}

@Suite struct JSONLinesTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    private func file(_ text: String, _ name: String = "d.jsonl", key: String = "text") throws
        -> TextFile
    {
        try TextFile(path: folder.write(Array(text.utf8), name), key: key)
    }

    private func texts(_ file: TextFile) throws -> [String] {
        var found: [String] = []
        try file.forEachDocument {
            if case .text(let text) = $0 { found.append(text) }
            return true
        }
        return found
    }

    private func refusal(_ text: String, _ name: String = "d.jsonl", key: String = "text") throws
        -> String
    {
        let file = try file(text, name, key: key)
        let error = #expect(throws: ModelFileError.self) { try file.checkDocuments() }
        return error?.message ?? ""
    }

    @Test func readsTheTextOfEveryLine() throws {
        let lines = """
            {"text": "one\\ntwo", "meta": {"a": [1, 2.5e3, null, true], "text": "not this"}}\r

            {"id": -7, "text": "\\u00e9\\ud83d\\ude00 \\"q\\""}
            {"text":""}
            """
        #expect(try texts(file(lines)) == ["one\ntwo", "é😀 \"q\"", ""])
        #expect(try texts(file(lines, "d.NDJSON")).count == 3)
        let other = #"{"text": 1, "body": "x"}"# + "\n"
        #expect(try texts(file(other, "d.json", key: "body")) == ["x"])
        #expect(try texts(file("\u{FEFF}" + lines)).count == 3)
    }

    @Test func namesTheLineThatHoldsNoText() throws {
        let good = #"{"text": "abc"}"# + "\n"
        #expect(
            try refusal(good + #"{"id": 1, "body": "x"}"#)
                == """
                d.jsonl: line 2, from byte 16: no key "text"; its keys: id, body; name the one that \
                holds the text as "text_key"
                """
        )
        let third = try refusal(good + good + #"{"text": 3}"#)
        #expect(third.contains(#"line 3, from byte 32: "text" is no text"#))
        // Whoever reads it names the key in another way than a job file.
        let path = try folder.write(Array(#"{"body": "a"}"#.utf8), "k.jsonl")
        for (option, advice) in [(nil, #"as "text_key""#), ("with --json-key", "with --json-key")] {
            let file = try option.map { try TextFile(path: path, keyOption: $0) }
            let error = #expect(throws: ModelFileError.self) {
                try (file ?? TextFile(path: path)).checkDocuments()
            }
            #expect(error?.message.hasSuffix("the one that holds the text \(advice)") == true)
        }
        #expect(try refusal(#"{"text": null}"#).contains("is no text"))
        #expect(try refusal(#"{"text": "a", "text": "b"}"#).contains("a second time"))
        #expect(try refusal("plain words\n").contains("name a plain text .txt"))
        #expect(try refusal("{\n \"text\": \"a\"\n}\n", "d.json").contains("jq -c ."))
        #expect(
            try refusal(#"[{"text": "a"}]"#, "d.json").contains("jq -c '.[]' d.json > d.jsonl")
        )
        #expect(try refusal("\n\r\n \n") == "d.jsonl: no line holds a text")
        let deep = String(repeating: "[", count: 100_000)
        #expect(try refusal(#"{"a": \#(deep)"#).contains("levels"))
    }

    @Test func saysWhenAPlainFileLooksLikeLines() throws {
        let lines = String(repeating: #"{"text": "abc"}"# + "\n", count: 3)
        #expect(try file(lines, "d.txt").notes.first?.contains("name it .jsonl") == true)
        #expect(try file(lines, "d.txt").form == .plain)
        #expect(try file("{\n\"a\": 1\n}\n", "d.txt").notes.isEmpty)
    }
}
