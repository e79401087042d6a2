internal import Transformer

/// How llama.cpp names parameters, and orders the rows of queries and keys.
enum GGUFNames {
    /// The heads of a projection whose rows llama.cpp's converter permutes.
    static func permutedHeads(_ name: String, _ configuration: ModelConfiguration) -> Int? {
        if name.hasSuffix("q_proj.weight") {
            return configuration.headCount
        }
        return name.hasSuffix("k_proj.weight") ? configuration.keyValueHeadCount : nil
    }

    /// Where the converter puts a row: row `h·d + j·d/2 + i` of a head of `d` goes to `h·d + 2i + j`.
    static func fileRow(_ row: Int, rows: Int, heads: Int) -> Int {
        let d = rows / heads
        let within = row % d
        return row - within + 2 * (within % (d / 2)) + within / (d / 2)
    }

    /// llama.cpp's name of a parameter.
    static func name(of parameter: String) -> String {
        switch parameter {
        case "model.embed_tokens.weight": return "token_embd.weight"
        case "model.norm.weight": return "output_norm.weight"
        case "lm_head.weight": return "output.weight"
        default: break
        }
        // model.layers.N.<module>.weight
        let parts = parameter.split(separator: ".")
        let modules = [
            "input_layernorm": "attn_norm", "q_proj": "attn_q", "k_proj": "attn_k",
            "v_proj": "attn_v", "o_proj": "attn_output", "post_attention_layernorm": "ffn_norm",
            "gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down",
        ]
        let module = modules[String(parts[parts.count - 2])] ?? "?"
        return "blk.\(parts[2]).\(module).weight"
    }
}
