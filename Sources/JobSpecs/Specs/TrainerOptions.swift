public import Jobs

/// A whole number of something, or a fraction of all of it.
public enum Extent: Sendable, Equatable {
    /// So many; at least 1.
    case count(Int)
    /// A share, above 0 and at most 1.
    case fraction(Double)

    /// The number this makes out of `total`; at least 1.
    public func count(of total: Int) -> Int {
        switch self {
        case .count(let count): count
        case .fraction(let fraction): max(1, Int((Double(total) * fraction).rounded()))
        }
    }
}

extension Resources {
    /// What a job wants that not every worker offers, in words that follow "the job"; nil if any will do.
    public var waitReason: String? {
        let wants = description
        guard !wants.isEmpty else { return nil }
        guard !runsCode else {
            return "waits for \(wants), which eval workers with --allow-code-execution offer"
        }
        return accelerator == .gpu
            ? "waits for \(wants); the workers offer \(Offer(kinds: []).description)"
            : "takes \(wants), which workers with a launcher offer; while none does, it waits, and status says so"
    }
}

/// The `trainer` section of a training job.
public struct TrainerOptions: Sendable, Equatable {
    /// The machines that a worker must offer at least; see ``devices``.
    public var resources: Resources
    /// Processors per node that are asked for: as many ranks compute a step there, or as few as a worker has
    /// beyond `resources.devices`.
    public var devices: Int
    /// The precision asked for.
    public var precision: String
    /// What ``maximumEpochs`` is where the steps alone end a run.
    public static let unlimitedEpochs = Int(Int32.max)
    /// Passes over the training text; what comes first of this and ``maximumSteps`` ends the run.
    public var maximumEpochs: Int
    /// Optimizer steps; nil leaves the end to ``maximumEpochs``.
    public var maximumSteps: Int?
    /// Windows per forward pass.
    public var microBatchSize: Int
    /// Forward passes per optimizer step, of all devices of all nodes that are asked for.
    public var accumulatedBatches: Int
    /// Whether of each layer only its input is kept for the backward pass.
    public var checkpointsActivations: Bool
    /// The decay of the weights' moving average, above 0 and below 1; nil for none.
    public var averageDecay: Double?
    /// Steps between validations, or a fraction of an epoch; nil for once per epoch.
    public var validationInterval: Extent?
    /// Windows per validation, or a fraction of them; nil for all.
    public var validationBatches: Extent?
    /// When validations end the run; nil for never.
    public var earlyStopping: EarlyStoppingOptions?
    /// When a step's loss counts as diverged, and training goes back; nil without a guard.
    public var divergenceGuard: DivergenceGuardOptions?
    /// Largest L2 norm of the gradient; nil for no clipping.
    public var gradientClip: Double?
    /// Steps between checkpoints.
    public var checkpointInterval: Int
    /// Steps between logged metrics.
    public var logInterval: Int

    /// The words for FP32, and for FP32 with BF16 operands; the others are for GPUs.
    static let singlePrecisions = ["32", "32-true"]
    static let mixedPrecisions = ["bf16", "bf16-mixed"]

    /// Whether the products of linear layers take BF16 operands.
    public var hasMixedPrecision: Bool { Self.mixedPrecisions.contains(precision) }

    init(_ reader: ObjectReader) {
        devices = reader.integer("devices")
        resources = Resources(
            accelerator: reader.choice("accelerator"),
            devices: reader.optionalInteger("min_devices") ?? devices,
            nodes: reader.integer("num_nodes")
        )
        precision = reader.word("precision")
        maximumSteps = reader.optionalInteger("max_steps")
        // With max_steps alone the steps decide; a default of one epoch would end such runs early.
        let epochs = reader.optionalInteger("max_epochs")
        maximumEpochs = epochs ?? (maximumSteps == nil ? 1 : Self.unlimitedEpochs)
        microBatchSize = reader.integer("micro_batch_size")
        // Dealt to whatever ranks there are: a step is the same on fewer of them.
        accumulatedBatches =
            reader.integer("accumulate_grad_batches") * devices * resources.nodes
        checkpointsActivations = reader.boolean("activation_checkpointing")
        averageDecay = reader.optionalNumber("ema")
        validationInterval = reader.extent("val_check_interval")
        validationBatches = reader.extent("limit_val_batches")
        earlyStopping =
            reader.contains("early_stopping")
            ? EarlyStoppingOptions(reader.object("early_stopping")) : nil
        divergenceGuard = DivergenceGuardOptions(reader.object("divergence_guard"))
        let clip = reader.number("gradient_clip_val")
        gradientClip = clip > 0 ? clip : nil
        checkpointInterval = reader.integer("checkpoint_every_steps")
        logInterval = reader.integer("log_every_n_steps")
    }
}
