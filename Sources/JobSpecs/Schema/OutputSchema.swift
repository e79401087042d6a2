/// Schema of an element of the `export` section.
enum OutputSchema {
    static let export = ObjectSchema([
        .init(
            "format",
            .words(ExportOptions.Format.self),
            required: true,
            "compressed-tensors for vLLM, gguf for llama.cpp, modelopt for TensorRT-LLM, or bf16."
        ),
        .init("max_input_len", .integer(1...1_048_576), "Longest prompt of the deployment."),
        .init("max_output_len", .integer(1...1_048_576), "Longest answer of the deployment."),
        .init("max_batch_size", .integer(1...65_536), "Largest batch of the deployment."),
        .init("max_beam_width", .integer(1...1024), "Widest beam of the deployment."),
        .init(
            "precision",
            .format,
            "The weights' format, where it is not the quantization's."
        ),
        .init("kv_cache", .format, "The format of keys and values."),
    ])
}
