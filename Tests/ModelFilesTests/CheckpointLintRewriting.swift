internal import Foundation
internal import Testing

@testable internal import ModelFiles

/// Faults of GGUF files, and what rewrites checkpoints.
extension LintFault {
    static let ggufs: [LintFault] = [
        .init(
            name: "no sidecar",
            sample: .ggufNVFP4,
            place: "blk.0.attn_q.scale",
            message: "is missing"
        ) { try gguf($0) { _, tensors in tensors["blk.0.attn_q.scale"] = nil } },
        .init(
            name: "negative sidecar",
            sample: .ggufNVFP4,
            place: "blk.0.attn_q.scale",
            message: "negative"
        ) { try gguf($0) { _, tensors in tensors["blk.0.attn_q.scale"]?.bytes[3] |= 0x80 } },
        .init(
            name: "NaN in MXFP4 blocks",
            sample: .ggufMXFP4,
            place: "blk.1.ffn_up.weight",
            message: "255"
        ) { try gguf($0) { _, tensors in tensors["blk.1.ffn_up.weight"]?.bytes[17] = 0xFF } },
        .init(
            name: "infinite factor in Q8_0",
            sample: .ggufINT8,
            place: "blk.1.ffn_up.weight",
            message: "factor"
        ) { try gguf($0) { _, tensors in tensors["blk.1.ffn_up.weight"]?.bytes[35] = 0x7C } },
        .init(
            name: "no tensor",
            sample: .ggufMXFP4,
            place: "blk.1.ffn_norm.weight",
            message: "is missing"
        ) { try gguf($0) { _, tensors in tensors["blk.1.ffn_norm.weight"] = nil } },
        .init(
            name: "stray sidecar",
            sample: .ggufMXFP4,
            place: "blk.1.ffn_norm.scale",
            message: "refuses"
        ) { folder in
            try gguf(folder) { _, tensors in
                let norm = try #require(tensors["blk.1.ffn_norm.weight"])
                tensors["blk.1.ffn_norm.scale"] = norm
            }
        },
        .init(
            name: "keys of another width",
            sample: .ggufPlain,
            place: "blk.0.attn_k.weight",
            message: "has the shape [32, 64]"
        ) { try gguf($0) { keys, _ in keys["llama.attention.head_count_kv"] = .integer(4) } },
        .init(
            name: "no epsilon in GGUF",
            sample: .ggufPlain,
            place: "llama.attention.layer_norm_rms_epsilon",
            message: "is missing"
        ) {
            try gguf($0) { keys, _ in keys["llama.attention.layer_norm_rms_epsilon"] = nil }
        },
        .init(
            name: "no merges",
            sample: .ggufPlain,
            place: "tokenizer.ggml.merges",
            message: "is missing"
        ) { try gguf($0) { keys, _ in keys["tokenizer.ggml.merges"] = nil } },
        .init(
            name: "tokens that do not fit",
            sample: .ggufPlain,
            place: "tokenizer.ggml.tokens",
            message: "has 2 tokens"
        ) { try gguf($0) { keys, _ in keys["tokenizer.ggml.tokens"] = .texts(["a", "b"]) } },
        .init(
            name: "another file type",
            sample: .ggufMXFP4,
            severity: .warning,
            place: "general.file_type",
            message: "is 7"
        ) { try gguf($0) { keys, _ in keys["general.file_type"] = .integer(7) } },
        .init(
            name: "another architecture",
            sample: .ggufPlain,
            place: "general.architecture",
            message: "is gpt2"
        ) { try gguf($0) { keys, _ in keys["general.architecture"] = .text("gpt2") } },
    ]

    static func read(_ name: String, in folder: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)")))
    }

    static func write(_ bytes: [UInt8], _ name: String, in folder: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: "\(folder)/\(name)"))
    }

    static func remove(_ name: String, in folder: String) throws {
        try FileManager.default.removeItem(atPath: "\(folder)/\(name)")
    }

    /// Changes a JSON file.
    static func rewrite(
        _ name: String,
        in folder: String,
        _ change: (inout [String: Any]) -> Void
    ) throws {
        let value = try JSONSerialization.jsonObject(with: Data(read(name, in: folder)))
        var root = try #require(value as? [String: Any])
        change(&root)
        try write([UInt8](JSONSerialization.data(withJSONObject: root)), name, in: folder)
    }

    /// Changes an object within one.
    static func edit(
        _ root: inout [String: Any],
        _ key: String,
        _ change: (inout [String: Any]) -> Void
    ) {
        var object = root[key] as? [String: Any] ?? [:]
        change(&object)
        root[key] = object
    }

    static func quantization(
        _ folder: String,
        _ change: (inout [String: Any]) -> Void
    ) throws {
        try rewrite("config.json", in: folder) { edit(&$0, "quantization_config", change) }
    }

    static func modelOpt(_ folder: String, _ change: (inout [String: Any]) -> Void) throws {
        try rewrite("hf_quant_config.json", in: folder) { edit(&$0, "quantization", change) }
    }

    /// Changes the tensors of `model.safetensors`.
    static func stored(
        _ folder: String,
        _ change: (inout [String: Stored]) throws -> Void
    ) throws {
        let path = folder + "/model.safetensors"
        let file = try SafetensorsFile(path: path)
        // Tensors point into the mapping.
        var tensors = withExtendedLifetime(file) {
            file.tensors.mapValues {
                Stored(type: $0.type, shape: $0.shape, bytes: [UInt8]($0.bytes))
            }
        }
        try change(&tensors)
        let writer = try SafetensorsWriter(
            path: path,
            tensors: tensors.map { .init(name: $0.key, type: $0.value.type, shape: $0.value.shape) }
        )
        for (name, tensor) in tensors { try writer.write(name, tensor.bytes) }
        try writer.finish()
    }

    /// A GGUF tensor that tests change.
    struct Block {
        var type: GGUFTensorType
        var shape: [Int]
        var bytes: [UInt8]
    }

    /// Changes keys and tensors of `model.gguf`.
    static func gguf(
        _ folder: String,
        _ change: (inout [String: GGUFFile.Value], inout [String: Block]) throws -> Void
    ) throws {
        let file = try GGUFFile(path: folder + "/model.gguf")
        var keys = file.metadata
        var tensors = withExtendedLifetime(file) {
            file.tensors.mapValues {
                Block(type: $0.type, shape: $0.shape, bytes: [UInt8]($0.bytes))
            }
        }
        try change(&keys, &tensors)
        var builder = GGUFBuilder()
        for (key, value) in keys {
            switch value {
            case .integer(let value): builder.set(key, value)
            case .number(let value): builder.set(key, Float(value))
            case .boolean(let value): builder.set(key, type: 7, [value ? 1 : 0])
            case .text(let value): builder.set(key, value)
            case .texts(let value): builder.set(key, value)
            case .integers(let value): builder.set(key, value.map { Int32($0) })
            case .floats(let value): builder.set(key, value)
            case .flags, .other: break
            }
        }
        for (name, tensor) in tensors {
            builder.tensor(name, shape: tensor.shape, type: tensor.type, bytes: tensor.bytes)
        }
        try write(builder.build(), "model.gguf", in: folder)
    }
}
