internal import JobSpecs
internal import ModelFiles
internal import Transformer

extension InputCheck {
    /// What a model can be served with: its length, its tokenizer and its way to put conversations.
    mutating func check(_ spec: ServeSpec) {
        guard let model = model("/model", tokenizerFor: { _ in "$.model" }) else { return }
        let longest = model.configuration.maximumPositions
        for (key, value) in [
            ("max_input_len", spec.maximumInputLength),
            ("max_output_len", spec.maximumOutputLength),
        ] {
            if let value, value > longest {
                problem(
                    "$.\(key)",
                    "\(value) is more than the \(longest) tokens that the model takes"
                )
            }
        }
        if let length = spec.length, length > longest, problems.isEmpty {
            problem(
                "$.max_input_len",
                "max_input_len + max_output_len = \(length) is more than the \(longest) tokens that the model "
                    + "takes"
            )
        }
        let length = spec.length(within: longest)
        if let input = spec.maximumInputLength, input >= length, problems.isEmpty {
            problem(
                "$.max_input_len",
                "\(input) leaves nothing for answers in a text of \(length) tokens; write max_output_len, too"
            )
        }
        if let tokens = spec.cacheTokens, tokens < length, problems.isEmpty {
            problem(
                "$.kv_cache_tokens",
                "\(tokens) is less than one text of \(length) tokens; write more, or less of max_input_len "
                    + "and max_output_len"
            )
        }
        guard let tokenizer = model.tokens?.tokenizer else { return }
        let template = attempt("$.model") { try ChatTemplate(model.source.files, tokenizer) }
        if case .some(.none) = template {
            remark(
                "$.model",
                "the model has no chat template: it continues texts, and answers no conversation"
            )
        }
    }
}
