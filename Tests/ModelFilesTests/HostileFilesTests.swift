internal import Formats
internal import Foundation
internal import Kernels
internal import Quantization
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// Files that lie: refused with one line, without a crash and within bounded memory.
struct HostileFilesTests {
    private static let team = ThreadTeam(threadCount: 1)
    /// What reading damaged files of some hundred kilobytes may take beyond what is in use before.
    private static let memoryLimit = 128 << 20

    private static func peakByteCount() -> Int {
        var usage = rusage()
        // RUSAGE_SELF, whose type differs between C libraries.
        getrusage(.init(0), &usage)
        return usage.ru_maxrss * 1024
    }

    /// Expects a load that succeeds, or fails in the words of this project.
    private static func tryLoading(_ path: String, _ what: String) {
        do {
            _ = try ModelLoader.load(path: path, team: Self.team)
        } catch let error as ModelFileError {
            #expect(!error.message.contains("\n"), "\(what): \(error.message)")
        } catch is TransformerError {
        } catch is QuantizationError {
        } catch {
            Issue.record("\(what): \(error)")
        }
    }

    /// One damage: flipped bytes, a cut, extreme integers, or a piece copied elsewhere.
    private static func damaged(_ whole: [UInt8], _ random: inout SplitMix64) -> [UInt8] {
        var bytes = whole
        // Structure stands at the front.
        func place(_ room: Int) -> Int {
            let end = random.below(3) == 0 ? bytes.count : min(4096, bytes.count)
            return random.below(max(end - room, 1))
        }
        switch random.below(4) {
        case 0:
            for _ in 0..<1 + random.below(8) {
                bytes[place(1)] = UInt8(truncatingIfNeeded: random.next())
            }
        case 1: bytes = Array(bytes.prefix(random.below(bytes.count)))
        case 2:
            let extremes: [UInt64] = [
                0, 1, .max, 1 << 31, 1 << 32, 1 << 62, 1 << 63, UInt64(bytes.count),
            ]
            let value = extremes[random.below(extremes.count)]
            let start = place(8)
            for index in 0..<min(8, bytes.count - start) {
                bytes[start + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(index)))
            }
        default:
            let count = 1 + random.below(64)
            let (from, to) = (place(count), place(count))
            for index in 0..<min(count, bytes.count - max(from, to)) {
                bytes[to + index] = whole[from + index]
            }
        }
        return bytes
    }

    /// One damage to a text of JSON: a number, a word or a mark replaced.
    private static func damagedJSON(_ whole: [UInt8], _ random: inout SplitMix64) -> [UInt8] {
        let words = [
            "-1", "0", "1e308", "9223372036854775807", "18446744073709551616", "0.5", "null",
            "true", "[]", "{}", "\"\"", "\"\\ud800\"", String(repeating: "[", count: 2000), ":",
            ",",
        ]
        let text = String(decoding: whole, as: UTF8.self)
        var pieces = text.split(
            omittingEmptySubsequences: false,
            whereSeparator: { ",:[]{}".contains($0) }
        ).map(String.init)
        let marks = text.filter { ",:[]{}".contains($0) }.map(String.init)
        pieces[random.below(pieces.count)] = words[random.below(words.count)]
        var damaged = pieces[0]
        for (mark, piece) in zip(marks, pieces.dropFirst()) { damaged += mark + piece }
        return Array(damaged.utf8)
    }

    private static func seed(_ what: String) -> SplitMix64 {
        let seed = UInt64.random(in: 0 ... .max)
        print("\(what) fuzz seed \(seed)")
        return SplitMix64(seed: seed)
    }

    @Test(arguments: [QuantizationFormat.mxfp4, .nvfp4, .mxint8])
    func damagedGGUF(format: QuantizationFormat) throws {
        try Self.fuzzGGUF(format, rounds: 300)
    }

    private static func fuzzGGUF(_ format: QuantizationFormat, rounds: Int) throws {
        let folder = try TemporaryFolder()
        let model = try QuantizedModel(
            rounding: TinyModel.make(),
            recipe: QuantizationRecipe(defaultFormat: format),
            team: team
        )
        _ = try model.write(to: GGUFWriter(model.description, folder: folder.path))
        let path = folder.path + "/model.gguf"
        let whole = [UInt8](try Data(contentsOf: URL(filePath: path)))
        var random = seed("GGUF \(format.name)")
        for round in 0..<rounds {
            _ = try folder.write(damaged(whole, &random), "model.gguf")
            tryLoading(path, "round \(round)")
        }
    }

    @Test(arguments: [
        HuggingFaceWriter.Format.compressedTensors, .modelopt, .quark, .bf16,
    ])
    func damagedFolders(layout: HuggingFaceWriter.Format) throws {
        try Self.fuzzFolder(layout, rounds: 60)
    }

    private static func fuzzFolder(_ layout: HuggingFaceWriter.Format, rounds: Int) throws {
        let folder = try TemporaryFolder()
        let format: QuantizationFormat = layout == .modelopt ? .nvfp4 : .mxfp4
        let model = try QuantizedModel(
            rounding: TinyModel.make(),
            recipe: QuantizationRecipe(defaultFormat: format),
            team: team
        )
        var description = model.description
        description.shardByteCount = 60_000
        let writer = try HuggingFaceWriter(description, format: layout, folder: folder.path)
        let files = try model.write(to: writer).files
        let contents = try files.map { name in
            [UInt8](try Data(contentsOf: URL(filePath: folder.path + "/" + name)))
        }
        var random = seed("folder \(layout.layout.rawValue)")
        for round in 0..<rounds {
            for (name, whole) in zip(files, contents) {
                let isJSON = name.hasSuffix(".json")
                // A tokenizer's JSON is long; one of its damages in ten rounds is enough.
                if name == "tokenizer.json", round % 10 != 0 { continue }
                let bytes =
                    isJSON && random.below(2) == 0
                    ? damagedJSON(whole, &random) : damaged(whole, &random)
                _ = try folder.write(bytes, name)
                tryLoading(folder.path, "round \(round), \(name)")
                _ = try folder.write(whole, name)
            }
        }
        // Restored, it loads.
        _ = try ModelLoader.load(path: folder.path, team: team)
    }

    /// In a process of its own, since peaks are those of a process.
    @Test func memoryStaysBounded() async {
        await #expect(processExitsWith: .success) {
            let before = Self.peakByteCount()
            for format in [QuantizationFormat.mxfp4, .nvfp4] {
                try Self.fuzzGGUF(format, rounds: 200)
            }
            try Self.fuzzFolder(.compressedTensors, rounds: 40)
            try Self.loadLargerConfigurations()
            let taken = Self.peakByteCount() - before
            guard taken < Self.memoryLimit else {
                print("\(taken) bytes")
                exit(1)
            }
            try Self.readManyTensors()
        }
    }

    @Test func overlappingAndCrookedTensorsAreRefused() throws {
        let folder = try TemporaryFolder()
        func error(_ offsets: [UInt64]) throws -> String {
            var bytes = GGUFBuilder.little(UInt32(0x4655_4747)) + GGUFBuilder.little(UInt32(3))
            bytes += GGUFBuilder.little(UInt64(offsets.count)) + GGUFBuilder.little(UInt64(0))
            for (index, offset) in offsets.enumerated() {
                bytes += GGUFBuilder.text("t\(index)") + GGUFBuilder.little(UInt32(1))
                bytes += GGUFBuilder.little(UInt64(16)) + GGUFBuilder.little(UInt32(0))
                bytes += GGUFBuilder.little(offset)
            }
            let path = try folder.write(bytes + [UInt8](repeating: 0, count: 4096), "x.gguf")
            do {
                _ = try GGUFFile(path: path)
                return ""
            } catch {
                return error.message
            }
        }
        #expect(try error([0, 64, 128]) == "")
        #expect(try error([0, 32]).contains("within tensor t0, which ends at"))
        #expect(try error([0, 0]).contains("within tensor"))
        #expect(try error([0, 72]).contains("lies at 72, no multiple of 32"))
        #expect(try error([1 << 40]).contains("truncated"))
        #expect(try error([.max]).contains("no multiple"))
    }

    @Test(arguments: [
        #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#,
        #"{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#,
        #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"more":1}}"#,
        #"{"a":{"dtype":"U8","shape":[1]}}"#,
        #"{"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}}"#,
        #"{"a":{"dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,1]}}"#,
        #"{"a":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}}"#,
        #"{"__metadata__":{"k":{"nested":"v"}}}"#, #"{"__metadata__":{"k":"v","k":"w"}}"#,
        #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}x"#, #"{"a\ud800":{}}"#,
        #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},}"#,
    ])
    func headersOutsideTheGrammarAreRefused(header: String) throws {
        let folder = try TemporaryFolder()
        let bytes = GGUFBuilder.little(UInt64(header.utf8.count)) + Array(header.utf8) + [0]
        let path = try folder.write(bytes, "x.safetensors")
        let error = #expect(throws: ModelFileError.self) { try SafetensorsFile(path: path) }
        #expect(error?.message.contains("\n") == false)
    }

    /// Reads a header of 60,000 tensors within a small multiple of its size.
    private static func readManyTensors() throws {
        let folder = try TemporaryFolder()
        var header = "{"
        for index in 0..<60_000 {
            header += index == 0 ? "" : ","
            header +=
                #""model.layers.\#(index).x":{"dtype":"U8","shape":[1],"data_offsets":[\#(index),\#(index + 1)]}"#
        }
        header += "}"
        let bytes =
            GGUFBuilder.little(UInt64(header.utf8.count)) + Array(header.utf8)
            + [UInt8](repeating: 0, count: 60_000)
        let path = try folder.write(bytes, "x.safetensors")
        let before = peakByteCount()
        guard try SafetensorsFile(path: path).tensors.count == 60_000,
            peakByteCount() - before < 24 * header.utf8.count
        else {
            print("\(peakByteCount() - before) bytes for a header of \(header.utf8.count)")
            exit(1)
        }
    }

    @Test func configurationsLargerThanTheFileAreRefused() throws {
        try Self.loadLargerConfigurations()
    }

    private static func loadLargerConfigurations() throws {
        let folder = try TemporaryFolder()
        let model = QuantizedModel(model: try TinyModel.make(), stored: [:])
        _ = try model.write(
            to: HuggingFaceWriter(model.description, format: .bf16, folder: folder.path)
        )
        let path = folder.path + "/config.json"
        let whole = try String(contentsOfFile: path, encoding: .utf8)
        for (key, value) in [
            ("hidden_size", "131072"), ("intermediate_size", "524288"),
            ("num_hidden_layers", "1024"), ("vocab_size", "4194304"),
            ("max_position_embeddings", "1e30"), ("num_attention_heads", "-3"),
        ] {
            let lines = whole.split(separator: "\n").map { line in
                line.contains("\"\(key)\"") ? "  \"\(key)\" : \(value)," : String(line)
            }
            _ = try folder.write(Array(lines.joined(separator: "\n").utf8), "config.json")
            #expect(throws: ModelFileError.self, "\(key)") {
                _ = try ModelLoader.load(path: folder.path, team: team)
            }
        }
    }
}
