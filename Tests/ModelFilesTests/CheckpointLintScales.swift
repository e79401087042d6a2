internal import Foundation
internal import Testing

@testable internal import ModelFiles

/// Faults of scales: numbers that readers cannot divide by, and caches that are described wrongly.
extension LintFault {
    private static let q = "model.layers.0.self_attn.q_proj"
    private static let config = "config.json: quantization_config"
    private static let subnormal: [UInt8] = [0, 0, 0x40, 0]

    static let scales: [LintFault] = [
        .init(
            name: "subnormal scale of a tensor",
            sample: .modeloptNVFP4,
            place: "\(q).weight_scale_2",
            message: "subnormal"
        ) { try stored($0) { $0["\(q).weight_scale_2"]?.bytes = subnormal } },
        .init(
            name: "zero scale of inputs",
            sample: .modeloptNVFP4Inputs,
            place: "\(q).input_scale",
            message: "are zero"
        ) { try stored($0) { $0["\(q).input_scale"]?.bytes = [0, 0, 0, 0] } },
        .init(
            name: "infinite divisor",
            sample: .compressedNVFP4,
            place: "\(q).weight_global_scale",
            message: "not finite"
        ) { try stored($0) { $0["\(q).weight_global_scale"]?.bytes = [0, 0, 0x80, 0x7F] } },
        .init(
            name: "zero scale in BF16",
            sample: .compressedFP8,
            place: "\(q).weight_scale",
            message: "are zero"
        ) { folder in
            try stored(folder) {
                $0["\(q).weight_scale"] = Stored(type: .bf16, shape: [1], bytes: [0, 0])
            }
        },
        .init(
            name: "subnormal scale of a row",
            sample: .compressedFP8Channel,
            severity: .warning,
            place: "\(q).weight_scale",
            message: "subnormal"
        ) { try stored($0) { $0["\(q).weight_scale"]?.bytes[0..<4] = subnormal[...] } },
        .init(
            name: "zero scale of a block",
            sample: .compressedNVFP4,
            severity: .warning,
            place: "\(q).weight_scale",
            message: "1 scale bytes are zero"
        ) { try stored($0) { $0["\(q).weight_scale"]?.bytes[7] = 0 } },
        .init(
            name: "zero scale of the cache",
            sample: .quarkCache,
            place: "model.layers.1.self_attn.k_proj.output_scale",
            message: "are zero"
        ) { folder in
            try stored(folder) {
                $0["model.layers.1.self_attn.k_proj.output_scale"]?.bytes = [0, 0, 0, 0]
            }
        },
        .init(
            name: "no scale of values in Quark",
            sample: .quarkMixedCache,
            place: "model.layers.0.self_attn.v_proj.output_scale",
            message: "is missing"
        ) { folder in
            try stored(folder) { $0["model.layers.0.self_attn.v_proj.output_scale"] = nil }
        },
        .init(
            name: "a cache group without schemes",
            sample: .quarkCache,
            place: config + ".export",
            message: "layer_quant_config none of them"
        ) { try quantization($0) { $0["layer_quant_config"] = [String: Any]() } },
        .init(
            name: "a cache of another type",
            sample: .quarkCache,
            place: config + ".layer_quant_config.*k_proj",
            message: "output_tensors is int8"
        ) { folder in
            try quantization(folder) { root in
                edit(&root, "layer_quant_config") { layers in
                    edit(&layers, "*k_proj") { layer in
                        edit(&layer, "output_tensors") { $0["dtype"] = "int8" }
                    }
                }
            }
        },
        .init(
            name: "Quark's scales without a group",
            sample: .quarkCache,
            place: "model.layers.0.self_attn.k_proj.output_scale",
            message: "is a scale of the cache"
        ) { folder in
            try quantization(folder) { root in
                edit(&root, "export") { $0["kv_cache_group"] = [String]() }
            }
        },
        .init(
            name: "a layer without a scheme in Quark",
            sample: .quarkMXFP4,
            place: q,
            message: "not excluded"
        ) { try quantization($0) { $0["global_quant_config"] = ["weight": NSNull()] } },
        .init(
            name: "zero sidecar",
            sample: .ggufNVFP4,
            place: "blk.0.attn_q.scale",
            message: "are zero"
        ) { try gguf($0) { _, tensors in tensors["blk.0.attn_q.scale"]?.bytes = [0, 0, 0, 0] } },
    ]
}
