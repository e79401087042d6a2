internal import Formats
internal import Foundation
internal import Kernels
internal import Quantization
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// Damaged files load or are refused with one line; they never crash, nor take much memory.
struct HostileFileTests {
    private static var team: ThreadTeam { ThreadTeam(threadCount: 1) }
    /// What the whole test process may grow by; the files are below 1 MB.
    private static let growthLimit = 512 << 20

    private static var peakByteCount: Int {
        var usage = rusage()
        // 0 is this process; the constant's type differs by platform.
        getrusage(0, &usage)
        #if os(Linux)
            return Int(usage.ru_maxrss) << 10
        #else
            return Int(usage.ru_maxrss)
        #endif
    }

    /// Whether the body succeeds; an error must be of ours, and one line.
    private static func succeeds(_ what: String, _ body: () throws -> Void) -> Bool {
        var message = ""
        do {
            try body()
            return true
        } catch let error as ModelFileError {
            message = error.message
        } catch let error as TransformerError {
            message = error.message
        } catch let error as QuantizationError {
            message = error.message
        } catch {
            Issue.record("\(what): \(type(of: error))")
        }
        #expect(!message.isEmpty && !message.contains(where: \.isNewline), "\(what): \(message)")
        return false
    }

    /// Opens a model and reads every weight, one at a time.
    private static func readAll(_ path: String) throws {
        let source = try ModelLoader.open(path: path)
        _ = source.chatTemplate
        for entry in ParameterLayout(configuration: source.configuration).entries {
            var values = [Float](repeating: 0, count: entry.count)
            try values.withUnsafeMutableBufferPointer {
                try source.read(entry, into: $0, team: team)
            }
        }
    }

    /// Damages one file of a folder again and again.
    private static func fuzz(
        _ name: String,
        in folder: TemporaryFolder,
        path: String? = nil,
        count: Int,
        front: Int
    ) throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("fuzz seed of \(name): \(seed)")
        var mutator = FileMutator(seed: seed)
        let url = URL(fileURLWithPath: folder.path + "/" + name)
        let whole = [UInt8](try Data(contentsOf: url))
        let target = path ?? folder.path
        #expect(succeeds("\(name), whole") { try readAll(target) })
        let before = peakByteCount
        for run in 0..<count {
            let isText = !name.hasSuffix(".gguf")
            let bytes = mutator.damage(whole, front: min(front, whole.count), isText: isText)
            _ = try folder.write(bytes, name)
            _ = succeeds("\(name), seed \(seed), run \(run)") { try readAll(target) }
        }
        #expect(peakByteCount - before < growthLimit, "\(name), seed \(seed)")
        _ = try folder.write(whole, name)
    }

    private static func folder(
        _ format: HuggingFaceWriter.Format,
        _ first: QuantizationFormat,
        _ second: QuantizationFormat
    ) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        let recipe = QuantizationRecipe(
            defaultFormat: first,
            rules: [.init(pattern: "*self_attn*", format: second)]
        )
        let model = try QuantizedModel(rounding: TinyModel.make(), recipe: recipe, team: team)
        var description = model.description
        description.shardByteCount = 40_000
        description.inputAmax = description.formats.mapValues { _ in 3 }
        (description.keyAmax, description.valueAmax) = ([1, 2], [3, 4])
        _ = try model.write(
            to: HuggingFaceWriter(description, format: format, folder: folder.path)
        )
        return folder
    }

    @Test func damagedFoldersOfCompressedTensors() throws {
        let folder = try Self.folder(.compressedTensors, .nvfp4, .fp8PerChannel)
        try Self.fuzz("config.json", in: folder, count: 500, front: 8192)
        try Self.fuzz("model.safetensors.index.json", in: folder, count: 200, front: 4096)
        let shards = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            .filter { $0.hasSuffix(".safetensors") }
        #expect(shards.count > 1)
        for shard in shards.sorted().suffix(2) {
            try Self.fuzz(shard, in: folder, count: 250, front: 2048)
        }
    }

    @Test func damagedFoldersOfModelOptAndQuark() throws {
        let modelopt = try Self.folder(.modelopt, .nvfp4, .fp8PerTensor)
        try Self.fuzz("config.json", in: modelopt, count: 300, front: 8192)
        try Self.fuzz("hf_quant_config.json", in: modelopt, count: 200, front: 4096)
        let quark = try Self.folder(.quark, .mxfp4, .mxfp6E2M3)
        try Self.fuzz("config.json", in: quark, count: 300, front: 16384)
    }

    @Test func damagedGGUF() throws {
        let folder = try TemporaryFolder()
        let model = try QuantizedModel(
            rounding: TinyModel.make(),
            recipe: QuantizationRecipe(defaultFormat: .nvfp4),
            team: Self.team
        )
        _ = try model.write(to: GGUFWriter(model.description, folder: folder.path))
        let path = folder.path + "/model.gguf"
        try Self.fuzz("model.gguf", in: folder, path: path, count: 400, front: 1024)
        // The directory of tensors stands behind the tokenizer.
        let whole = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        let name = Array("token_embd.weight".utf8)
        let start = try #require(
            whole.indices.dropLast(name.count).first {
                whole[$0..<$0 + name.count].elementsEqual(name)
            }
        )
        let seed = UInt64.random(in: 0 ... .max)
        print("fuzz seed of the GGUF directory: \(seed)")
        var mutator = FileMutator(seed: seed)
        for run in 0..<500 {
            let directory = mutator.damage(Array(whole[start...]), front: 1500, isText: false)
            _ = try folder.write(whole[..<start] + directory, "model.gguf")
            _ = Self.succeeds("GGUF, seed \(seed), run \(run)") { try Self.readAll(path) }
        }
    }

    @Test func damagedTokenizers() throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("fuzz seed of tokenizer.json: \(seed)")
        var mutator = FileMutator(seed: seed)
        let before = Self.peakByteCount
        for name in ["smollm", "llama3"] {
            let folder = try #require(Bundle.module.resourceURL).appending(path: "Fixtures")
            let whole = [UInt8](try Data(contentsOf: folder.appending(path: "\(name).json")))
            for run in 0..<200 {
                let bytes = mutator.damage(whole, front: run % 2 == 0 ? 2048 : .max, isText: true)
                _ = Self.succeeds("\(name), seed \(seed), run \(run)") {
                    let tokenizer = try Tokenizer(tokenizerJSON: bytes)
                    _ = tokenizer.decode(tokenizer.encode("Don't panic: 42 <|im_end|> ok"))
                }
            }
        }
        #expect(Self.peakByteCount - before < Self.growthLimit, "seed \(seed)")
    }

    @Test(arguments: [
        #""hidden_size": 1e300"#, #""hidden_size": 64.5"#, #""hidden_size": -64"#,
        #""hidden_size": 9223372036854775807"#, #""hidden_size": "64""#, #""hidden_size": true"#,
        #""num_hidden_layers": 1024, "vocab_size": 4194304, "hidden_size": 131072"#,
        #""head_dim": 4096, "num_attention_heads": 4096, "num_key_value_heads": 4096"#,
        #""rope_theta": 1e999"#, #""rms_norm_eps": 1e-60"#, #""rms_norm_eps": []"#,
        #""rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 9223372036854775807}"#,
        #""quantization_config": [1]"#, #""quantization_config": {"quant_method": 7}"#,
    ])
    func refusesSizesThatTheFilesDoNotHold(members: String) throws {
        let folder = try TemporaryFolder()
        try RawCheckpoint(with: []).write(to: folder)
        #expect(Self.succeeds("whole") { try Self.readAll(folder.path) })
        let url = URL(fileURLWithPath: folder.path + "/config.json")
        let whole = try JSONSerialization.jsonObject(with: Data(contentsOf: url))
        var root = try #require(whole as? [String: Any])
        let keys = members.split(separator: "\"").map(String.init)
        for key in keys { root[key] = nil }
        let rest = String(
            decoding: try JSONSerialization.data(withJSONObject: root),
            as: UTF8.self
        )
        let before = Self.peakByteCount
        _ = try folder.write(Array((rest.dropLast() + ", " + members + "}").utf8), "config.json")
        let isRead = Self.succeeds(members) { try Self.readAll(folder.path) }
        #expect(!isRead)
        #expect(Self.peakByteCount - before < Self.growthLimit)
    }

    @Test(arguments: [
        "", " ", "nul", "{", "[1,]", "[1 2]", "01", "-", "1.", "1e", "+1", "1e400", ".5", "\"a",
        "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"a\nb\"", "1 1",
        #"{"a":1,"a":2}"#, #"{"a"}"#, "{1:2}", String(repeating: "[", count: 1_000_000),
        String(repeating: #"{"a":"#, count: 100_000), "[" + String(repeating: "1,", count: 2000),
    ])
    func refusesWhatIsNoJSON(text: String) {
        #expect(throws: ModelFileError.self) {
            try JSONValue.parse(Array(text.utf8), path: "x", limit: 1000)
        }
    }

    @Test func readsJSON() throws {
        let text = #" {"a":[1,-0,-2.5e1,true,false,null,{}],"\u00e9\ud83d\ude00\n\/":"\"" } "#
        let value = try JSONValue.parse(Array(text.utf8), path: "x", limit: 100)
        let list: [JSONValue] = [
            .integer(1), .integer(0), .real(-25), .flag(true), .flag(false), .null, .object([:]),
        ]
        #expect(value == .object(["a": .list(list), "é😀\n/": .text("\"")]))
        let large = try JSONValue.parse(Array("9223372036854775808".utf8), path: "x", limit: 1)
        #expect(large == .real(0x1p63))
    }

    @Test func aPipeIsNoFile() throws {
        let folder = try TemporaryFolder()
        #expect(mkfifo(folder.path + "/config.json", 0o600) == 0)
        #expect(throws: ModelFileError.self) { try ModelLoader.open(path: folder.path) }
    }

    @Test func messagesAreOneLine() {
        let error = ModelFileError(
            .malformed,
            "a\nb\u{2028}\u{7}" + String(repeating: "x", count: 5000)
        )
        #expect(error.message.hasPrefix("a\\nb\\u{2028}\\u{07}x") && error.message.count < 1100)
    }
}
