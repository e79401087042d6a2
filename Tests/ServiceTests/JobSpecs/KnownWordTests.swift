@testable internal import JobSpecs
internal import Testing

/// Words of other tools in the places of values.
@Suite struct KnownWordTests {
    private func refusal(_ kind: String, _ json: String) -> String {
        let error = #expect(throws: JobSpecError.self) {
            try JobSpec.parse(kind: kind, json: Array(json.utf8))
        }
        return error?.description ?? ""
    }

    @Test(arguments: [
        ("fp16", "write none for what stays"), ("bfloat16", "write none for what stays"),
        ("int4", "mxfp4 and nvfp4 are the formats of 4 bits"),
        ("nf4", "mxfp4 and nvfp4 are the formats of 4 bits"),
        ("awq", #"write "algorithm": "mxfp4", "method": "awq""#),
        ("GPTQ", #"write "algorithm": "mxfp4", "method": "gptq""#),
        ("Q4_K_M", "that is a type of GGUF files"), ("iq4_xs", "that is a type of GGUF files"),
        ("W4A16", "write mxfp4 or nvfp4, and no activations"),
        ("NVFP4_DEFAULT_CFG", #"write "algorithm": "nvfp4", "activations": "nvfp4""#),
        ("NVFP4_AWQ_LITE_CFG", #""method": "awq""#),
        ("FP8_DEFAULT_CFG", #"write "algorithm": "fp8_per_tensor""#),
        // What is only misspelled is still found by its letters.
        ("mxpf4", #"did you mean "mxfp4"?"#),
    ])
    func formatsOfOtherToolsAreKnown(word: String, advice: String) {
        let text = refusal(
            "quantize",
            #"{"model": "m", "quantization": {"algorithm": "\#(word)"}}"#
        )
        #expect(text.contains("$.quantization.algorithm: "), "\(text)")
        #expect(text.contains(advice), "\(text)")
        #expect(!text.contains(#"did you mean "fp"#))
    }

    @Test(arguments: [
        ("hf", #""compressed-tensors" or "bf16""#),
        ("safetensors", #""compressed-tensors" or "bf16""#),
        ("vLLM", #""compressed-tensors""#), ("llama.cpp", #""gguf""#),
        ("TensorRT-LLM", #""modelopt""#),
    ])
    func exportsOfOtherNamesAreKnown(word: String, advice: String) {
        let text = refusal(
            "quantize",
            #"{"model": "m", "quantization": {"algorithm": "fp4"}, "export": [{"format": "\#(word)"}]}"#
        )
        #expect(text.contains("did you mean \(advice)?"), "\(text)")
    }

    private func evaluation(_ model: String, _ task: String) -> String {
        refusal("evaluate", #"{"models": [\#(model)], "tasks": [\#(task)]}"#)
    }

    private let task = #"{"type": "perplexity", "text": "t"}"#
    private let model = #"{"label": "a", "model": "m"}"#

    @Test func modelsAndTasksOfOtherToolsAreKnown() {
        let named = evaluation(#"{"name": "a", "model": "m"}"#, task)
        #expect(
            named.contains(#"$.models[0].name: unknown key; did you mean "label"?"#),
            "\(named)"
        )
        let path = evaluation(#"{"label": "a", "path": "m"}"#, task)
        #expect(path.contains(#"$.models[0].path: unknown key; did you mean "model"?"#), "\(path)")
        let alone = evaluation(#""llama""#, task)
        #expect(alone.contains(#"write {"label": "llama", "model": "llama"}"#), "\(alone)")
        #expect(evaluation(model, #"{"type": "ppl", "text": "t"}"#).contains(#""perplexity"?"#))
        let speed = evaluation(model, #"{"type": "throughput"}"#)
        #expect(speed.contains(#"did you mean "benchmark"?"#), "\(speed)")
    }

    @Test(arguments: [("yes", "true"), ("on", "true"), ("No", "false"), ("off", "false")])
    func wordsOfYAMLAreTranslated(word: String, value: String) {
        let text = refusal(
            "quantize",
            """
            {"model": "m", "quantization": {"algorithm": "fp4", "enable_kv_cache": "\(word)"}}
            """
        )
        #expect(text.contains("write \(value)"), "\(text)")
    }
}
