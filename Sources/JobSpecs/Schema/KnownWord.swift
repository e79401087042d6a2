internal import Formats

/// Words of other tools (ModelOpt, llm-compressor, bitsandbytes, llama.cpp, lm-evaluation-harness) in
/// places where this suite has its own, and what to write instead.
enum KnownWord {
    /// What to write for the name of a number format; nil if the word is not known.
    static func advice(forFormat text: String) -> String? {
        let word = fold(text)
        if methods.contains(word) {
            return #"that is a method: write "algorithm": "mxfp4", "method": "\#(word)""#
        }
        if let named = formats[word] { return named }
        if let preset = presets.first(where: { word.hasPrefix($0.0) && word.hasSuffix("_cfg") }) {
            return preset.1
        }
        return isGGMLType(word)
            ? """
            that is a type of GGUF files, which are read and not made; mxfp4 and nvfp4 are the formats \
            of 4 bits, fp8 of 8, and "export": [{"format": "gguf"}] writes them
            """ : nil
    }

    /// What to write for a word among others; nil if it is not known, or what it means is not there.
    static func advice(for text: String, among words: [String]) -> String? {
        let word = fold(text)
        let known = (synonyms[word] ?? []).filter(words.contains)
        guard !known.isEmpty else { return nil }
        return "did you mean " + known.map { "\"\($0)\"" }.joined(separator: " or ") + "?"
    }

    private static func fold(_ text: String) -> String {
        String(text.prefix(64).lowercased().map { $0 == "-" ? "_" : $0 })
    }

    /// `q4_k_m`, `q8_0`, `iq4_xs`.
    private static func isGGMLType(_ word: String) -> Bool {
        let rest = word.hasPrefix("iq") ? word.dropFirst(2) : word.dropFirst(1)
        return (word.hasPrefix("q") || word.hasPrefix("iq")) && rest.first?.isNumber == true
    }

    private static let methods = Set(PostTrainingOptions.Method.allCases.map(\.rawValue))

    private static let plain = "write none for what stays as it is; bf16 is a form of export"
    private static let integers =
        "there are no 4-bit integers; mxfp4 and nvfp4 are the formats of 4 bits"
    private static let int8 = "write mxint8, or int8_per_channel"
    private static let fourByFour = #"write "algorithm": "nvfp4", "activations": "nvfp4""#
    private static let eightByEight =
        #"write "algorithm": "fp8_per_channel", "activations": "fp8_per_channel""#

    private static let formats: [String: String] = [
        "fp16": plain, "float16": plain, "half": plain, "bf16": plain, "bfloat16": plain,
        "fp32": plain, "float32": plain, "f16": plain, "f32": plain, "f8": "write fp8",
        "int4": integers, "nf4": integers, "uint4": integers, "int4_awq": integers,
        "w4a16": "write mxfp4 or nvfp4, and no activations", "w4a4": fourByFour,
        "w4a8": #"write "algorithm": "mxfp4", "activations": "mxfp8""#, "w8a8": eightByEight,
        "w8a16": "write fp8, and no activations", "float8": "write fp8", "float4": "write fp4",
        "int8": int8, "e2m1": "write mxfp4 or nvfp4", "e4m3": "write mxfp8",
        "fp8_dynamic": eightByEight, "nvfp4a16": "write nvfp4, and no activations",
    ]

    /// ModelOpt's presets, the longer names first.
    private static let presets: [(String, String)] = [
        ("nvfp4_awq", #"write "algorithm": "nvfp4", "activations": "nvfp4", "method": "awq""#),
        ("nvfp4", fourByFour),
        ("mxfp8", #"write "algorithm": "mxfp8", "activations": "mxfp8""#),
        ("mxfp6", #"write "algorithm": "mxfp6_e2m3", "activations": "mxfp6_e2m3""#),
        ("mxfp4", #"write "algorithm": "mxfp4", "activations": "mxfp4""#),
        ("fp8", #"write "algorithm": "fp8_per_tensor", "activations": "fp8_per_tensor""#),
        ("w4a8", #"write "algorithm": "mxfp4", "activations": "mxfp8""#),
        ("int4", integers), ("int8", int8),
    ]

    private static let synonyms: [String: [String]] = [
        "ppl": ["perplexity"], "word_perplexity": ["perplexity"], "loss": ["perplexity"],
        "wikitext": ["perplexity"], "acc": ["accuracy"], "top1": ["accuracy"],
        "latency": ["benchmark"], "throughput": ["benchmark"], "speed": ["benchmark"],
        "bench": ["benchmark"], "hf": ["compressed-tensors", "bf16"],
        "huggingface": ["compressed-tensors", "bf16"],
        "hugging_face": ["compressed-tensors", "bf16"],
        "safetensors": ["compressed-tensors", "bf16"],
        "transformers": ["compressed-tensors", "bf16"], "vllm": ["compressed-tensors"],
        "sglang": ["compressed-tensors"], "llm_compressor": ["compressed-tensors"],
        "llmcompressor": ["compressed-tensors"], "llama.cpp": ["gguf"], "llamacpp": ["gguf"],
        "llama_cpp": ["gguf"], "ollama": ["gguf"], "ggml": ["gguf"], "trtllm": ["modelopt"],
        "tensorrt_llm": ["modelopt"], "trt_llm": ["modelopt"], "nvidia": ["modelopt"],
        "amd": ["quark"], "bfloat16": ["bf16"], "fp16": ["bf16"], "float16": ["bf16"],
        "absmax": ["max"], "minmax": ["max"], "rtn": ["max"], "round_to_nearest": ["max"],
        "rtn_mse": ["mse"], "sq": ["smoothquant"], "smooth_quant": ["smoothquant"],
        "quarot": ["hadamard"], "spinquant": ["hadamard"], "auto_round": ["autoround"],
        "signround": ["autoround"], "signsgd": ["autoround"], "adaround": ["autoround"],
    ]
}
