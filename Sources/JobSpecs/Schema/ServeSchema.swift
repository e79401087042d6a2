/// The limits of a model that is served.
enum ServeSchema {
    static let fields: [ObjectSchema.Field] = [
        .init(
            "replicas",
            .integer(1...64),
            default: .number(1),
            "Workers that serve it; 1 in this version: submit the job several times under one name."
        ),
        .init(
            "max_input_len",
            .integer(1...1_048_576),
            "Tokens of a prompt, at most; longer ones are refused."
        ),
        .init(
            "max_output_len",
            .integer(1...1_048_576),
            "Tokens of an answer, at most; longer ones end there. With max_input_len the memory of a text; "
                + "unless both are there, prompt and answer have what the model was made for, up to 8192."
        ),
        .init(
            "max_batch_size",
            .integer(1...256),
            default: .number(8),
            "Texts that are written at once; others wait."
        ),
        .init(
            "kv_cache",
            .words(ServeSpec.CacheFormat.self),
            default: .string(ServeSpec.CacheFormat.float32.rawValue),
            pasted: [
                "\"fp32\"": "write \"float32\"", "\"bf16\"": "write \"bfloat16\"",
                "\"auto\"": "write \"float32\" or \"bfloat16\"",
                "\"fp4\"": "write \"mxfp4\" or \"nvfp4\"",
                "\"fp16\"": "write \"bfloat16\"", "\"float16\"": "write \"bfloat16\"",
            ],
            "How keys and values are kept."
        ),
        .init(
            "kv_cache_tokens",
            .integer(16...1_073_741_824),
            "Tokens whose keys and values are kept, of all texts together; by default max_batch_size texts "
                + "at their full length. With fewer, texts wait for each other."
        ),
        EvaluationSchema.activations(default: .asExported),
    ]
}

extension SchemaValidator {
    /// A cache that is smaller than one text would never write it.
    mutating func checkServing(_ spec: ServeSpec) {
        guard let tokens = spec.cacheTokens, let length = spec.length, tokens < length else {
            return
        }
        report(
            "\(tokens) is not allowed; expected at least max_input_len + max_output_len, \(length)",
            at: "$.kv_cache_tokens"
        )
    }
}
