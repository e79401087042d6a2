/// The `early_stopping` section of a training job.
public struct EarlyStoppingOptions: Sendable, Equatable {
    /// Validations in a row without a better loss after which the run ends; at least 1.
    public var patience: Int
    /// What a loss must be lower by to count as better, in nats per token; 0 or more.
    public var minimumDelta: Double
    /// A loss below which the run ends at once, in nats per token; nil for none.
    public var threshold: Double?

    init(_ reader: ObjectReader) {
        patience = reader.integer("patience")
        minimumDelta = reader.number("min_delta")
        threshold = reader.optionalNumber("stopping_threshold")
    }
}

/// The `divergence_guard` section of a training job.
public struct DivergenceGuardOptions: Sendable, Equatable {
    /// How many times its running level a loss must be to be suspicious; above 1.
    public var lossFactor: Double
    /// Suspicious steps in a row that are a divergence; at least 1.
    public var patience: Int

    /// Nil where the job wants no guard.
    init?(_ reader: ObjectReader) {
        guard reader.boolean("enabled") else { return nil }
        lossFactor = reader.number("loss_factor")
        patience = reader.integer("patience")
    }
}
