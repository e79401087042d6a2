/// Keys of config.json that all families may have and that do not change what a model computes.
enum NeutralKeys {
    /// Keys of which only one value is computed, whatever the family; families that compute more take
    /// them before.
    static let expected: [String: JSONValue] = [
        "add_cross_attention": .flag(false),
        "attention_bias": .flag(false),
        "is_causal": .flag(true),
        "is_encoder_decoder": .flag(false),
        "mlp_bias": .flag(false),
        "num_experts": .integer(0),
        "num_local_experts": .integer(0),
        "pruned_heads": .object([:]),
        "rope_interleaved": .flag(false),
        "sliding_window": .null,
        "use_bidirectional_attention": .flag(false),
        "use_mrope": .flag(false),
        "use_sliding_window": .flag(false),
    ]

    /// Keys whatever whose value.
    static let ignored: Set<String> = files.union(training).union(generation).union(tasks)

    /// What wrote the file, how the weights are stored, and what reads them.
    private static let files: Set<String> = [
        "_attn_implementation", "_attn_implementation_autoset", "_commit_hash",
        "_flash_attn_2_enabled", "_name_or_path", "_rope_scaling_validation", "architectures",
        "attn_implementation", "auto_map", "dtype", "is_llama_config", "model_type",
        "name_or_path", "quantization_config", "torch_dtype", "torchscript",
        "transformers.js_config", "transformers_version", "unsloth_fixed", "unsloth_version",
        "use_bfloat16", "use_cache", "use_flash_attn",
    ]

    /// What matters in training only, dropout among it; and splits of one product that give the same
    /// (`pretraining_tp`, `chunk_size_feed_forward`).
    private static let training: Set<String> = [
        "attention_dropout", "attention_probs_dropout_prob", "chunk_size_feed_forward",
        "embd_pdrop", "embedding_dropout", "gradient_checkpointing", "hidden_dropout",
        "hidden_dropout_prob", "initializer_range", "pretraining_tp", "resid_dropout",
        "resid_pdrop",
    ]

    /// Defaults of generation, which are asked for with each text here.
    ///
    /// - SeeAlso: Hugging Face Transformers, `generation/configuration_utils.py`.
    private static let generation: Set<String> = [
        "assistant_confidence_threshold", "assistant_lookbehind", "bad_words_ids",
        "begin_suppress_tokens", "cache_implementation", "decoder_start_token_id",
        "diversity_penalty", "do_sample", "early_stopping", "encoder_no_repeat_ngram_size",
        "encoder_repetition_penalty", "epsilon_cutoff", "eta_cutoff",
        "exponential_decay_length_penalty", "forced_bos_token_id", "forced_eos_token_id",
        "length_penalty", "max_length", "max_new_tokens", "min_length", "no_repeat_ngram_size",
        "num_assistant_tokens", "num_assistant_tokens_schedule", "num_beam_groups", "num_beams",
        "num_return_sequences", "output_attentions", "output_hidden_states", "output_scores",
        "remove_invalid_values", "repetition_penalty", "return_dict", "return_dict_in_generate",
        "sep_token_id", "suppress_tokens", "target_lookbehind", "temperature", "top_k", "top_p",
        "typical_p", "use_return_dict",
    ]

    /// What heads for other tasks have.
    private static let tasks: Set<String> = [
        "cross_attention_hidden_size", "finetuning_task", "id2label", "is_decoder", "label2id",
        "num_labels", "prefix", "problem_type", "task_specific_params", "tf_legacy_loss",
        "tie_encoder_decoder", "tokenizer_class",
    ]
}
