internal import Foundation
internal import Testing

@testable internal import ModelFiles

/// A fault, how to put it into a checkpoint, and what the linter must say.
struct LintFault: CustomTestStringConvertible, Sendable {
    /// A tensor that tests change.
    struct Stored {
        var type: SafetensorsType
        var shape: [Int]
        var bytes: [UInt8]
    }

    let name: String
    let sample: LintSample
    var severity = LintFinding.Severity.error
    let place: String
    let message: String
    let inject: @Sendable (_ folder: String) throws -> Void

    var testDescription: String { name }

    static let all = files + configurations + tensors + values + scales + ggufs

    private static let q = "model.layers.0.self_attn.q_proj"
    private static let v = "model.layers.1.self_attn.v_proj"
    private static let index = "model.safetensors.index.json"
    private static let config = "config.json: quantization_config"

    private static let files: [LintFault] = [
        .init(
            name: "no tokenizer",
            sample: .bf16,
            place: "tokenizer.json",
            message: "is missing"
        ) { try remove("tokenizer.json", in: $0) },
        .init(
            name: "no tokenizer_config",
            sample: .bf16,
            severity: .warning,
            place: "tokenizer_config.json",
            message: "is missing"
        ) { try remove("tokenizer_config.json", in: $0) },
        .init(name: "no config", sample: .bf16, place: "config.json", message: "is missing") {
            try remove("config.json", in: $0)
        },
        .init(name: "no weights", sample: .bf16, place: "model.safetensors", message: "is missing")
        { try remove("model.safetensors", in: $0) },
        .init(name: "no index", sample: .sharded, place: index, message: "is missing beside") {
            try remove(index, in: $0)
        },
        .init(
            name: "truncated weights",
            sample: .bf16,
            place: "model.safetensors",
            message: "truncated"
        ) { folder in
            let bytes = try read("model.safetensors", in: folder)
            try write(Array(bytes.dropLast(64)), "model.safetensors", in: folder)
        },
        .init(
            name: "format is not pt",
            sample: .bf16,
            severity: .warning,
            place: "model.safetensors",
            message: "\"np\""
        ) { folder in
            let data = Data(try read("model.safetensors", in: folder))
            let range = try #require(data.range(of: Data("\"pt\"".utf8)))
            var changed = data
            changed.replaceSubrange(range, with: Data("\"np\"".utf8))
            try write([UInt8](changed), "model.safetensors", in: folder)
        },
        .init(
            name: "index entry missing",
            sample: .sharded,
            place: index,
            message: "weight_map lacks \(q).weight_packed"
        ) { folder in
            try rewrite(index, in: folder) { root in
                edit(&root, "weight_map") { $0["\(q).weight_packed"] = nil }
            }
        },
        .init(
            name: "index entry in the wrong file",
            sample: .sharded,
            place: index,
            message: "but is not"
        ) { folder in
            try rewrite(index, in: folder) { root in
                edit(&root, "weight_map") { map in
                    map["\(q).weight_packed"] = map["model.embed_tokens.weight"]
                }
            }
        },
        .init(name: "wrong total_size", sample: .sharded, place: index, message: "total_size is 7")
        { folder in
            try rewrite(index, in: folder) { root in
                edit(&root, "metadata") { $0["total_size"] = 7 }
            }
        },
        .init(
            name: "vocabulary too small",
            sample: .bf16,
            place: "tokenizer.json",
            message: "vocab_size in config.json is 99"
        ) { try rewrite("config.json", in: $0) { $0["vocab_size"] = 99 } },
    ]

    private static let configurations: [LintFault] = [
        .init(name: "no architecture", sample: .bf16, place: "config.json", message: "supported") {
            try rewrite("config.json", in: $0) { root in
                root["architectures"] = ["BertForMaskedLM"]
                root["model_type"] = "bert"
            }
        },
        .init(
            name: "no epsilon",
            sample: .bf16,
            severity: .warning,
            place: "config.json",
            message: "rms_norm_eps"
        ) { try rewrite("config.json", in: $0) { $0["rms_norm_eps"] = nil } },
        .init(
            name: "ignores too much",
            sample: .compressedNVFP4,
            place: "\(v).weight",
            message: "is missing"
        ) { try quantization($0) { append(&$0, "ignore", v) } },
        .init(
            name: "ignores too little",
            sample: .compressedMXFP4,
            place: "model.layers.1.mlp.down_proj.weight_packed",
            message: "is missing"
        ) { try quantization($0) { $0["ignore"] = ["lm_head"] } },
        .init(
            name: "ignores a module that is not there",
            sample: .compressedMXFP4,
            severity: .warning,
            place: config + ".ignore",
            message: "no linear module"
        ) { try quantization($0) { append(&$0, "ignore", "model.layers.7.mlp.up_proj") } },
        .init(
            name: "format of a group",
            sample: .compressedMixed,
            place: config + ".config_groups.group_0",
            message: "make it mxfp4-pack-quantized"
        ) { folder in
            try quantization(folder) { root in
                edit(&root, "config_groups") { groups in
                    edit(&groups, "group_0") { $0["format"] = "nvfp4-pack-quantized" }
                }
            }
        },
        .init(name: "overall format", sample: .compressedMXFP8, place: config, message: "format is")
        { try quantization($0) { $0["format"] = "mixed-precision" } },
        .init(
            name: "different formats in q and v",
            sample: .compressedMixed,
            place: v,
            message: "vLLM fuses"
        ) { folder in
            try quantization(folder) { root in
                edit(&root, "config_groups") { groups in
                    edit(&groups, "group_1") { group in
                        group["targets"] = (group["targets"] as? [String])?.filter { $0 != v }
                    }
                }
            }
        },
        .init(
            name: "no method",
            sample: .compressedMXFP4,
            place: config,
            message: "quant_method is missing"
        ) { try quantization($0) { $0["quant_method"] = nil } },
        .init(
            name: "cache without scales",
            sample: .modeloptMXFP8,
            place: "model.layers.1.self_attn.v_proj.v_scale",
            message: "is missing"
        ) { try quantization($0) { $0["kv_cache_scheme"] = ["num_bits": 8] } },
        .init(
            name: "scales without cache",
            sample: .compressedNVFP4,
            place: "model.layers.0.self_attn.k_scale",
            message: "is a scale of the cache"
        ) { try quantization($0) { $0["kv_cache_scheme"] = nil } },
        .init(
            name: "hf_quant_config with another algorithm",
            sample: .modeloptNVFP4,
            place: "hf_quant_config.json",
            message: "quant_algo is FP8"
        ) { try modelOpt($0) { $0["quant_algo"] = "FP8" } },
        .init(
            name: "hf_quant_config with other exclusions",
            sample: .modeloptMXFP8,
            place: "hf_quant_config.json",
            message: "lm_head"
        ) { try modelOpt($0) { $0["exclude_modules"] = ["model.layers.1.mlp.down_proj"] } },
        .init(
            name: "hf_quant_config without cache",
            sample: .modeloptNVFP4,
            place: "hf_quant_config.json",
            message: "kv_cache_quant_algo"
        ) { try modelOpt($0) { $0["kv_cache_quant_algo"] = nil } },
        .init(
            name: "layer's algorithm",
            sample: .modeloptMixed,
            place: "hf_quant_config.json",
            message: "quantized_layers.\(q) is FP8"
        ) { folder in
            try modelOpt(folder) { root in
                edit(&root, "quantized_layers") { $0[q] = ["quant_algo": "FP8"] }
            }
        },
        .init(
            name: "group size of ModelOpt",
            sample: .modeloptNVFP4,
            place: config + ".config_groups.group_0",
            message: "group_size is 32"
        ) { folder in
            try quantization(folder) { root in
                edit(&root, "config_groups") { groups in
                    edit(&groups, "group_0") { group in
                        edit(&group, "weights") { $0["group_size"] = 32 }
                    }
                }
            }
        },
        .init(name: "no export", sample: .quarkMXFP4, place: config, message: "export is missing") {
            try quantization($0) { $0["export"] = nil }
        },
        .init(
            name: "Quark without exclusions",
            sample: .quarkE2M3,
            place: "model.layers.1.mlp.down_proj.weight_scale",
            message: "is missing"
        ) { try quantization($0) { $0["exclude"] = ["lm_head"] } },
    ]

    private static let tensors: [LintFault] = [
        .init(
            name: "no norm",
            sample: .bf16,
            place: "model.norm.weight",
            message: "is missing"
        ) { try stored($0) { $0["model.norm.weight"] = nil } },
        .init(
            name: "stray tensor",
            sample: .bf16,
            place: "model.layers.0.mlp.extra",
            message: "belongs to nothing"
        ) { folder in
            try stored(folder) {
                $0["model.layers.0.mlp.extra"] = Stored(type: .f32, shape: [1], bytes: one)
            }
        },
        .init(
            name: "head beside the tie",
            sample: .bf16,
            severity: .warning,
            place: "lm_head.weight",
            message: "tie_word_embeddings"
        ) { try stored($0) { $0["lm_head.weight"] = $0["model.embed_tokens.weight"] } },
        .init(
            name: "scale dropped",
            sample: .quarkMXFP4,
            place: "\(q).weight_scale",
            message: "is missing"
        ) { try stored($0) { $0["\(q).weight_scale"] = nil } },
        .init(
            name: "scale of another type",
            sample: .compressedNVFP4,
            place: "\(q).weight_scale",
            message: "is U8"
        ) { try stored($0) { $0["\(q).weight_scale"]?.type = .u8 } },
        .init(
            name: "scale of another shape",
            sample: .compressedMXFP4,
            place: "\(q).weight_scale",
            message: "has the shape [2, 64]"
        ) { try stored($0) { $0["\(q).weight_scale"]?.shape = [2, 64] } },
        .init(
            name: "norm of another shape",
            sample: .bf16,
            place: "model.norm.weight",
            message: "has the shape [8, 8]"
        ) { try stored($0) { $0["model.norm.weight"]?.shape = [8, 8] } },
        .init(
            name: "no input scale",
            sample: .modeloptFP8,
            place: "\(q).input_scale",
            message: "is missing"
        ) { try stored($0) { $0["\(q).input_scale"] = nil } },
        .init(
            name: "quantized, but ignored",
            sample: .modeloptMXFP8,
            place: "model.layers.1.mlp.down_proj.weight",
            message: "is F8_E4M3"
        ) { folder in
            try stored(folder) { tensors in
                let name = "model.layers.1.mlp.down_proj.weight"
                tensors[name]?.type = .f8E4M3
                tensors[name]?.bytes.removeLast(64 * 96)
            }
        },
        .init(
            name: "no scale of a layer's keys",
            sample: .compressedNVFP4,
            place: "model.layers.1.self_attn.k_scale",
            message: "is missing"
        ) { try stored($0) { $0["model.layers.1.self_attn.k_scale"] = nil } },
    ]

    private static let values: [LintFault] = [
        .init(
            name: "NaN in E8M0",
            sample: .compressedMXFP4,
            place: "\(q).weight_scale",
            message: "the first at [2, 1]"
        ) { try stored($0) { $0["\(q).weight_scale"]?.bytes[5] = 0xFF } },
        .init(
            name: "NaN in E4M3 scales",
            sample: .modeloptNVFP4,
            place: "\(q).weight_scale",
            message: "NaN in E4M3"
        ) { try stored($0) { $0["\(q).weight_scale"]?.bytes[5] = 0x7F } },
        .init(
            name: "negative scale",
            sample: .compressedNVFP4,
            place: "\(q).weight_scale",
            message: "negative"
        ) { try stored($0) { $0["\(q).weight_scale"]?.bytes[0] = 0xB8 } },
        .init(
            name: "NaN among elements",
            sample: .compressedFP8,
            place: "\(q).weight",
            message: "E4M3 elements"
        ) { try stored($0) { $0["\(q).weight"]?.bytes[9] = 0xFF } },
        .init(
            name: "infinite weight",
            sample: .bf16,
            place: "model.norm.weight",
            message: "not finite"
        ) { try stored($0) { $0["model.norm.weight"]?.bytes[0...1] = [0x80, 0x7F] } },
        .init(
            name: "negative FP32 scale",
            sample: .compressedFP8Channel,
            place: "\(q).weight_scale",
            message: "the first at [3, 0]"
        ) { try stored($0) { $0["\(q).weight_scale"]?.bytes[15] |= 0x80 } },
        .init(
            name: "zero scale",
            sample: .modeloptFP8,
            place: "\(q).weight_scale",
            message: "are zero"
        ) { try stored($0) { $0["\(q).weight_scale"]?.bytes = [0, 0, 0, 0] } },
        .init(
            name: "inverted divisor",
            sample: .compressedNVFP4,
            severity: .warning,
            place: "\(q).weight_global_scale",
            message: "inverted"
        ) { try stored($0) { invert(&$0, "\(q).weight_global_scale") } },
        .init(
            name: "inverted factor",
            sample: .modeloptNVFP4,
            severity: .warning,
            place: "\(q).weight_scale_2",
            message: "inverted"
        ) { try stored($0) { invert(&$0, "\(q).weight_scale_2") } },
        .init(
            name: "scales that are not shared",
            sample: .modeloptNVFP4,
            severity: .warning,
            place: "\(v).weight_scale_2",
            message: "servers that fuse"
        ) { try stored($0) { $0["\(v).weight_scale_2"]?.bytes[0] ^= 1 } },
        .init(
            name: "NaN scale of values",
            sample: .modeloptNVFP4,
            place: "model.layers.0.self_attn.v_proj.v_scale",
            message: "not finite"
        ) { folder in
            try stored(folder) {
                $0["model.layers.0.self_attn.v_proj.v_scale"]?.bytes = [0, 0, 0xC0, 0x7F]
            }
        },
    ]

    private static let one: [UInt8] = [0, 0, 0x80, 0x3F]

    @Sendable private static func invert(_ tensors: inout [String: Stored], _ name: String) {
        guard let bytes = tensors[name]?.bytes else { return }
        let value = 1 / bytes.withUnsafeBytes { ValueLint.float($0, 0) }
        tensors[name]?.bytes = GGUFBuilder.little(value.bitPattern)
    }

    private static func append(_ root: inout [String: Any], _ key: String, _ text: String) {
        root[key] = (root[key] as? [String] ?? []) + [text]
    }
}
