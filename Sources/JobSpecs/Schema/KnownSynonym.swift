/// Keys of other tools (Hugging Face Trainer, Lightning, NeMo, Axolotl, llm-compressor) and what this
/// suite calls them.
enum KnownSynonym {
    /// What to write for a key of another tool; nil if it is not known or the kind has no such key.
    ///
    /// `path`: The object that holds the key; a name within it is preferred.
    static func hint(for key: String, at path: String, in root: ObjectSchema) -> String? {
        let folded = String(key.lowercased().map { $0 == "-" ? "_" : $0 })
        let known = (places[folded] ?? []).filter { root.hasField(at: $0) }
        // A place within a list is meant only by who is in it: $.models[0] is of $.models.
        let object = String(path.prefix { $0 != "[" })
        guard
            let place = known.first(where: { parent(of: $0) == object })
                ?? known.first(where: { !root.isList(at: parent(of: $0)) })
        else {
            return nil
        }
        let name = place.split(separator: ".").last ?? ""
        let target = parent(of: place) == object ? "\"\(name)\"" : place
        return "did you mean \(target)" + (remarks[folded].map { " (\($0))?" } ?? "?")
    }

    private static func parent(of path: String) -> String {
        path.split(separator: ".").dropLast().joined(separator: ".")
    }

    /// Where a key of another tool takes another kind of value.
    private static let remarks = [
        "warmup_ratio": "a number of steps: the ratio of max_steps",
        "warmup_epochs": "a number of steps",
        "bits": "a format, such as mxfp4", "num_bits": "a format, such as mxfp4",
        "w_bit": "a format, such as mxfp4", "bf16": "\"bf16-mixed\"", "fp16": "\"16-mixed\"",
        "beta1": "both, in an array", "beta2": "both, in an array",
        "adam_beta1": "both, in an array", "adam_beta2": "both, in an array",
        "ignore": "a rule with algorithm none", "exclude_modules": "a rule with algorithm none",
        "exclude": "a rule with algorithm none", "targets": "a rule for each pattern",
        "global_batch_size": "windows per pass; times accumulate_grad_batches",
        "load_best_model_at_end": "\"best\" for true", "save_best_model": "\"best\" for true",
        "create_early_stopping_callback": "an object; {} takes the defaults",
        "max_time": "by steps", "dataset_size": "in windows",
    ]

    static let places: [String: [String]] = {
        var places: [String: [String]] = [:]
        for (paths, keys) in table {
            for key in keys.split(separator: " ") {
                places[String(key), default: []] += paths
            }
        }
        return places
    }()

    private static let table: [([String], String)] = [
        (["$.model"], "model_name_or_path model_name model_path base_model checkpoint"),
        (["$.model"], "restore_from_path pretrained_model model_id hf_model"),
        (["$.models.label"], "name id alias title model_label"),
        (["$.models.model"], "path model_path model_name model_name_or_path checkpoint file"),
        (["$.name"], "run_name job_name experiment_name exp_name served_model_name alias"),
        (["$.seed"], "random_seed manual_seed rng_seed"),
        (["$.optim.lr"], "learning_rate peak_lr max_lr base_lr"),
        (["$.optim.name"], "optimizer optim_name optimizer_name"),
        (["$.optim.weight_decay"], "wd decay"),
        (["$.optim.eps"], "epsilon adam_epsilon adam_eps"),
        (["$.optim.betas"], "beta1 beta2 adam_beta1 adam_beta2"),
        (["$.optim.sched"], "scheduler lr_scheduler"),
        (["$.optim.sched.name"], "lr_scheduler_type lr_decay_style"),
        (["$.optim.sched.warmup_steps"], "warmup num_warmup_steps lr_warmup_steps warmup_iters"),
        (["$.optim.sched.warmup_steps"], "warmup_ratio warmup_epochs"),
        (["$.optim.sched.min_lr"], "min_learning_rate lr_min eta_min final_lr"),
        (["$.trainer.ema"], "ema_decay ema_rate weight_ema average_decay"),
        (["$.trainer.max_steps"], "steps num_steps max_train_steps train_steps num_train_steps"),
        (["$.trainer.max_steps"], "train_iters max_iters iterations max_time"),
        (["$.trainer.max_epochs"], "epochs num_epochs num_train_epochs n_epochs"),
        (
            ["$.trainer.micro_batch_size", "$.tasks.batch_size"],
            "batch_size per_device_train_batch_size train_batch_size mbs global_batch_size"
        ),
        (
            ["$.trainer.accumulate_grad_batches"],
            "gradient_accumulation_steps grad_accum grad_accum_steps accumulation_steps"
        ),
        (["$.trainer.gradient_clip_val"], "max_grad_norm grad_clip clip_grad gradient_clip"),
        (["$.trainer.gradient_clip_val"], "gradient_clipping clip_grad_norm"),
        (["$.trainer.val_check_interval"], "eval_steps eval_interval eval_every val_interval"),
        (["$.trainer.limit_val_batches"], "eval_iters max_eval_samples limit_eval_batches"),
        (["$.trainer.checkpoint_every_steps"], "save_steps save_interval checkpoint_interval"),
        (["$.trainer.checkpoint_every_steps"], "save_every every_n_train_steps"),
        (["$.trainer.log_every_n_steps"], "logging_steps log_interval log_every"),
        (["$.trainer.devices"], "gpus num_gpus n_gpus num_devices world_size"),
        (["$.trainer.num_nodes"], "nodes nnodes"),
        (["$.trainer.precision"], "bf16 fp16 dtype torch_dtype mixed_precision"),
        (
            ["$.data.seq_length"],
            "max_length max_seq_length max_seq_len seq_len sequence_len sequence_length"
        ),
        (["$.data.seq_length"], "context_length encoder_seq_length model_max_length seqlen"),
        (["$.data.seq_length", "$.quantization.scaling_granularity"], "block_size"),
        (["$.quantization.scaling_granularity"], "group_size group blocksize q_group_size"),
        (["$.data.train"], "train_file train_files train_data train_dataset dataset datasets"),
        (["$.data.train"], "data_path data_prefix train_ds training"),
        (
            ["$.data.train_weights"],
            "weights blend mixture mixture_weights dataset_weights data_weights"
        ),
        (["$.data.train_weights"], "train_data_weights sampling_weights probabilities proportions"),
        (["$.data.validation"], "validation_file val_file val_data eval_dataset valid val"),
        (["$.data.validation"], "validation_ds valid_data"),
        (["$.data.calibration"], "calibration_dataset calibration_data calib_data"),
        (["$.data.splits_string"], "splits split"),
        (["$.data.num_workers"], "dataloader_num_workers workers"),
        (
            ["$.quantization.algorithm"],
            "format quant_algo qformat scheme bits num_bits w_bit dtype"
        ),
        (["$.quantization.activations"], "input_activations activation_format a_format"),
        (["$.quantization.layers"], "ignore exclude_modules exclude targets overrides"),
        (["$.quantization.calibration_size"], "num_calibration_samples calib_size nsamples"),
        (["$.quantization.calibration_size"], "num_samples calib_samples dataset_size"),
        (["$.quantization.damping"], "damp_percent percdamp dampening_frac"),
        (["$.quantization.activation_order"], "desc_act actorder act_order"),
        (["$.quantization.migration"], "alpha smoothing_strength"),
        (
            ["$.quantization.kv_cache", "$.kv_cache"],
            "kv_cache_dtype kv_cache_qformat kv_cache_scheme kv_cache_type cache_dtype"
        ),
        (["$.max_batch_size"], "max_num_seqs batch_size max_batch parallel num_slots slots"),
        (["$.max_output_len"], "max_tokens max_new_tokens max_output_length n_predict"),
        (["$.max_input_len"], "max_prompt_len max_input_length max_prompt_length"),
        (["$.kv_cache_tokens"], "max_num_tokens num_gpu_blocks kv_cache_size cache_tokens"),
        (["$.replicas"], "num_replicas workers instances data_parallel_size"),
        (["$.quantization.enable_kv_cache"], "kv_cache quantize_kv_cache"),
        (["$.distillation.teacher"], "teacher_model teacher_path teacher_model_path"),
        (["$.distillation.temperature"], "kd_temperature distill_temperature kl_temperature"),
        (["$.distillation.loss"], "kd_loss divergence distillation_loss"),
        (["$.distillation.cross_entropy"], "ce_weight hard_label_weight weight_hard_loss"),
        (["$.distillation.hidden"], "hidden_loss_weight hidden_weight intermediate_loss_weight"),
        (
            ["$.quantization.activation_scales"],
            "pact learned_clip activation_clip clip_activations static_activations input_scales"
        ),
        (["$.quantization.output_correction"], "bias_correction train_biases learn_bias"),
        (["$.quantization.formats"], "multi_format target_formats algorithms elastic_formats"),
        (["$.quantization.clip_lr"], "alpha_lr pact_lr clip_learning_rate"),
        (["$.quantization.clip_decay"], "alpha_decay pact_decay lambda_alpha"),
        (["$.lora"], "peft peft_config lora_config adapter adapters qlora qalora lora_tuning"),
        (["$.lora.r"], "lora_r lora_rank lora_dim rank adapter_dim"),
        (["$.lora.lora_alpha"], "alpha lora_scaling"),
        (["$.lora.target_modules"], "lora_target_modules lora_target lora_target_linear targets"),
        (["$.lora.target_modules"], "modules lora_modules layers_pattern"),
        (["$.lora.lora_dropout"], "dropout adapter_dropout"),
        (["$.lora.use_rslora"], "rslora peft_use_rslora lora_use_rslora"),
        (
            ["$.export_from"],
            "load_best_model_at_end save_best_model save_best export_best use_best"
        ),
        (
            ["$.trainer.early_stopping"],
            "early_stop early_stopping_callback_params create_early_stopping_callback earlystopping"
        ),
        (["$.trainer.early_stopping.patience"], "early_stopping_patience wait num_bad_validations"),
        (
            ["$.trainer.early_stopping.min_delta"],
            "early_stopping_threshold early_stopping_min_delta delta min_improvement"
        ),
        (
            ["$.trainer.divergence_guard"],
            "detect_anomaly check_for_nan_in_loss_and_grad check_for_spiky_loss divergence_threshold"
        ),
        (["$.export"], "exports output outputs save_format export_format"),
        (["$.frozen"], "freeze freeze_layers frozen_parameters"),
    ]
}
