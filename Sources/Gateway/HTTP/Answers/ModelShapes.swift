internal import JobSpecs
internal import Serving

/// Models and tokens as answers show them.
enum ModelShapes {
    /// A model, as OpenAI's API shows it, with the tokens that prompt and answer have together at most.
    static func model(_ model: ServedModel) -> JSONValue {
        .object([
            "id": .string(model.name), "object": .string("model"),
            "created": .number(Double(model.created)), "owned_by": .string(model.owner),
            "max_model_len": .number(Double(model.length)),
        ])
    }

    /// Models.
    static func list(_ models: [ServedModel]) -> JSONValue {
        .object(["object": .string("list"), "data": .array(models.map(model))])
    }

    /// Tokens of a prompt, as vLLM shows them.
    static func tokens(_ tokens: [Int32], of model: ServedModel?) -> JSONValue {
        .object([
            "count": .number(Double(tokens.count)),
            "max_model_len": model.map { .number(Double($0.length)) } ?? .null,
            "tokens": .array(tokens.map { .number(Double($0)) }),
        ])
    }
}
