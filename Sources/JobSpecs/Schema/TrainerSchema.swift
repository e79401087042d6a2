internal import Jobs

/// Schemas of the `trainer`, `optim` and `distillation` sections.
enum TrainerSchema {
    private static let oneDevice =
        "write 1, or leave it out; a worker uses all its processor's cores for one device"

    private static let steps: ClosedRange<Int> = 1...1_000_000_000

    static let trainer = ObjectSchema([
        .init(
            "accelerator",
            .words(Accelerator.self),
            default: .string("auto"),
            pasted: [
                "\"cuda\"": "write \"gpu\", and the job waits until a worker offers one",
                "\"nvidia\"": "write \"gpu\", and the job waits until a worker offers one",
                "\"mps\"": "write \"auto\"", "\"tpu\"": "write \"auto\"",
            ],
            "The kind of processor; a job no worker can serve waits in the queue."
        ),
        .init(
            "devices",
            .integer(1...1024),
            default: .number(1),
            pasted: ["\"auto\"": oneDevice, "-1": oneDevice, "\"-1\"": oneDevice],
            "Processes per node that train the model together (data parallel), each on its share of a step's "
                + "micro-batches: a step takes micro_batch_size × accumulate_grad_batches × devices × num_nodes "
                + "windows. Workers offer several where a launcher is configured."
        ),
        .init(
            "num_nodes",
            .integer(1...1024),
            default: .number(1),
            "Nodes with so many devices each."
        ),
        .init(
            "min_devices",
            .integer(1...1024),
            "Devices per node that do, too, where no worker has as many as devices says: the same windows are "
                + "dealt to fewer. Left out, all must be there."
        ),
        .init(
            "precision",
            .wordOrInteger([
                "32-true", "32", "bf16-mixed", "bf16-true", "bf16", "16-mixed", "16-true", "16",
            ]),
            default: .string("32-true"),
            pasted: [
                "\"fp32\"": "write \"32-true\"", "\"float32\"": "write \"32-true\"",
                "\"fp16\"": "write \"16-mixed\"", "\"float16\"": "write \"16-mixed\"",
                "\"bfloat16\"": "write \"bf16-mixed\"",
            ],
            "What linear layers multiply: FP32, or with bf16-mixed operands rounded to BF16 (sums, "
                + "weights and moments stay FP32) where the processor does that; the job's log says "
                + "if not. The others are computed as 32-true, with a warning."
        ),
        .init(
            "max_steps",
            .integer(steps),
            pasted: ["-1": "leave it out, and max_epochs ends the run"],
            "Optimizer steps; what ends first ends the run."
        ),
        .init(
            "max_epochs",
            .integer(1...1_000_000),
            pasted: ["-1": "leave it out, and max_steps ends the run"],
            "Passes over the training text; 1 when max_steps is missing, too."
        ),
        .init(
            "micro_batch_size",
            .integer(1...4096),
            default: .number(1),
            "Windows per forward pass."
        ),
        .init(
            "accumulate_grad_batches",
            .integer(1...65_536),
            default: .number(1),
            "Forward passes per optimizer step."
        ),
        .init(
            "activation_checkpointing",
            .boolean,
            default: .boolean(false),
            "Keep of each layer only its input and compute the rest again in the backward pass: the same "
                + "bits for less memory and about a third more time."
        ),
        .init(
            "ema",
            .number(.between(0, 1)),
            pasted: [
                "0": "leave it out for no average", "false": "leave it out for no average",
                "true": "write the decay, as 0.999",
            ],
            "The decay of a moving average of the weights, which is validated and exported in their place; "
                + "after n steps at most (1 + n) / (10 + n). Takes as much memory as the weights."
        ),
        .init(
            "val_check_interval",
            .extent,
            pasted: ["0": "leave it out for once per epoch, or write more steps than the run has"],
            "Steps between validations, or a fraction of an epoch: 1 is every step, 1.0 is once per "
                + "epoch, the default."
        ),
        .init(
            "limit_val_batches",
            .extent,
            pasted: ["0": "every run is validated before and after; write 1 for one window"],
            "Windows per validation, or a fraction of them: 1 is one window, 1.0 is all, the default."
        ),
        .init(
            "early_stopping",
            .object(RunControlSchema.earlyStopping),
            pasted: ["true": "write {} for the defaults", "false": "leave it out"],
            "Ends the run when validations between steps get no better, as a success; {} takes the "
                + "defaults. The best of them is exported then, see export_from."
        ),
        .init(
            "divergence_guard",
            .object(RunControlSchema.divergenceGuard),
            pasted: ["false": "write {\"enabled\": false}", "true": "leave it out"],
            "On unless enabled is false: when loss or gradient norm is not finite, or the loss stays far above "
                + "its level, training goes back to the newest good checkpoint and goes on from there at half "
                + "the learning rate, once; when it diverges again, the job fails (DIVERGED) and names the layer."
        ),
        .init(
            "gradient_clip_val",
            .number(.from(0)),
            default: .number(1),
            "Largest L2 norm of the gradient; 0 for no clipping; null means the default."
        ),
        .init(
            "checkpoint_every_steps",
            .integer(steps),
            default: .number(50),
            "Steps between checkpoints."
        ),
        .init(
            "log_every_n_steps",
            .integer(steps),
            default: .number(10),
            "Steps between logged metrics."
        ),
    ])

    static let optimizer = ObjectSchema([
        .init(
            "name",
            .words(OptimizerOptions.Name.self),
            default: .string("adamw"),
            pasted: Dictionary(
                uniqueKeysWithValues: [
                    "fused_adam", "distributed_fused_adam", "adam", "adamw_torch",
                    "adamw_torch_fused", "adamw_hf",
                ].map { ("\"\($0)\"", "write \"adamw\"") }
                    + ["paged_adamw_8bit", "adamw_8bit", "adamw_bnb_8bit"].map {
                        ("\"\($0)\"", "write \"adamw\", and \"moments\": \"int8\" beside it")
                    }
                    + ["lion_8bit", "paged_lion_8bit"].map {
                        ("\"\($0)\"", "write \"lion\", and \"moments\": \"int8\" beside it")
                    } + [
                        ("\"lion_32bit\"", "write \"lion\""),
                        ("\"paged_lion_32bit\"", "write \"lion\""),
                    ]
            ),
            "The optimizer: AdamW, or Lion, which moves every weight by the sign of its moment: lr a third "
                + "to a tenth of AdamW's, half of the memory."
        ),
        .init(
            "lr",
            .number(.above(0, through: 1)),
            default: .number(1e-5),
            "The learning rate after the warm-up."
        ),
        .init(
            "weight_decay",
            .number(.from(0)),
            default: .number(0.01),
            "Decoupled weight decay."
        ),
        .init(
            "betas",
            .array(.number(.from(0, below: 1)), count: 2...2),
            "Decay of the first and the second moment, 0.9 and 0.95 by default; of lion the moment's share "
                + "of the direction and its decay, 0.9 and 0.99."
        ),
        .init(
            "eps",
            .number(.above(0)),
            default: .number(1e-8),
            "Added to the root of the second moment; lion has none."
        ),
        .init(
            "moments",
            .words(OptimizerOptions.Moments.self),
            default: .string("float32"),
            pasted: [
                "\"8bit\"": "write \"int8\"", "\"fp8\"": "write \"int8\"",
                "\"float8\"": "write \"int8\"",
                "\"bf16\"": "write \"bfloat16\"", "\"fp32\"": "write \"float32\"",
            ],
            "What the optimizer's moments are kept as: bfloat16 takes half of the memory, int8 (codes of one "
                + "byte with a scale for each 256) a quarter; both are rounded at random, right in the mean."
        ),
        .init("sched", .object(schedule), "The course of the learning rate."),
        .init(
            "stage_change",
            .object(stageChange),
            "What happens where a schedule of quantization goes on to its next stage."
        ),
    ])

    private static let stageChange = ObjectSchema([
        .init(
            "moments",
            .words(OptimizerOptions.StageMoments.self),
            default: .string("reset"),
            "The optimizer's moments: begun anew, corrected for it, or kept as they are."
        ),
        .init(
            "warmup_steps",
            .integer(0...steps.upperBound),
            "Steps in which the rate climbs again in each stage after the first, from a share to all "
                + "of what sched says; a tenth of the stage by default, 10 at most."
        ),
    ])

    private static let schedule = ObjectSchema([
        .init(
            "name",
            .words(OptimizerOptions.ScheduleName.self),
            default: .string("constant"),
            pasted: [
                "\"cosine\"": "write \"CosineAnnealing\"",
                "\"cosine_with_min_lr\"": "write \"CosineAnnealing\"",
                "\"WarmupCosine\"": "write \"CosineAnnealing\"",
                "\"constant_with_warmup\"": "write \"constant\"; warmup_steps holds with it, too",
                "\"linear\"": "write \"CosineAnnealing\", which also falls to min_lr",
            ],
            "The course after a linear warm-up."
        ),
        .init(
            "warmup_steps",
            .integer(0...steps.upperBound),
            default: .number(0),
            "Steps of the warm-up; fewer than the run has, else the rate never reaches lr."
        ),
        .init(
            "constant_steps",
            .integer(0...steps.upperBound),
            default: .number(0),
            "Steps at the end that stay at min_lr; with CosineAnnealing."
        ),
        .init(
            "min_lr",
            .number(.from(0)),
            default: .number(0),
            "The learning rate at the end, at most lr; with CosineAnnealing."
        ),
    ])

    private static let teacherCache = ObjectSchema([
        .init(
            "top_k",
            .integer(1...1024),
            default: .number(64),
            "Tokens of each position that are told apart, at most the vocabulary; all others count as "
                + "one, and the divergence is that of top_k + 1 outcomes."
        )
    ])

    static let distillation = ObjectSchema([
        .init(
            "teacher",
            .input(.model, orWords: [TrainSpec.Distillation.baseModel]),
            default: .string("model"),
            "\"model\" for the unquantized base model, or another model."
        ),
        .init(
            "loss",
            .words(TrainSpec.Distillation.Loss.self),
            default: .string("kl"),
            pasted: [
                "\"forward_kl\"": "write \"kl\"", "\"fkl\"": "write \"kl\"",
                "\"kl_div\"": "write \"kl\"", "\"kld\"": "write \"kl\"",
                "\"kl_divergence\"": "write \"kl\"", "\"rkl\"": "write \"reverse_kl\"",
                "\"jsd\"": "write \"js\"", "\"jensen_shannon\"": "write \"js\"",
            ],
            "The divergence: KL(teacher || student), KL(student || teacher), or with js the "
                + "generalized Jensen-Shannon divergence, beta KL(teacher || m) + (1 - beta) "
                + "KL(student || m) with m = beta teacher + (1 - beta) student."
        ),
        .init(
            "beta",
            .number(.between(0, 1)),
            default: .number(0.5),
            pasted: [
                "0": "that is loss kl, which js divided by beta goes to",
                "1": "that is loss reverse_kl, which js divided by 1 - beta goes to",
            ],
            "The teacher's share of js's mixture."
        ),
        .init(
            "temperature",
            .number(.above(0, through: 1000)),
            default: .number(1),
            "The softmax temperature of teacher and student."
        ),
        .init(
            "cross_entropy",
            .number(.from(0, below: 1)),
            default: .number(0),
            pasted: ["1": "leave the distillation section out, which trains on the text alone"],
            "The share w of the text's next token: the loss is (1 - w) times the divergence plus w times "
                + "cross-entropy, which has no temperature; metrics have both."
        ),
        .init(
            "hidden",
            .number(.from(0)),
            default: .number(0),
            "The weight of hidden states: adds so much times the squared distance of the residual "
                + "stream after each layer from the teacher's, relative to the square length of the "
                + "teacher's at that position, averaged over positions and layers; for a teacher of "
                + "the same width and layer count."
        ),
        .init(
            "teacher_cache",
            .object(teacherCache),
            "Keeps the teacher's most likely tokens of each window on the worker's disk, beside the job's "
                + "checkpoints: windows that come again, and another attempt on that worker, need no "
                + "teacher. With \"sampling\": \"epoch\" in data, or \"dataloader_type\": \"cyclic\" of corpora, "
                + "windows come again in every epoch."
        ),
    ])
}
