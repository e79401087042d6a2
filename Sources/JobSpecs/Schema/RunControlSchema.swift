/// Schemas of what ends, guards and judges a run: sections of `trainer`.
enum RunControlSchema {
    /// Keys as Lightning's `EarlyStopping` has them.
    static let earlyStopping = ObjectSchema([
        .init(
            "patience",
            .integer(1...1_000_000),
            default: .number(3),
            "Validations in a row without a better loss after which the run ends."
        ),
        .init(
            "min_delta",
            .number(.from(0)),
            default: .number(0),
            "By how much a validation's loss (nats per token) must be lower than the best before to count "
                + "as better."
        ),
        .init(
            "stopping_threshold",
            .number(.above(0)),
            "A validation loss (nats per token) below which the run ends at once."
        ),
    ])

    static let divergenceGuard = ObjectSchema([
        .init(
            "enabled",
            .boolean,
            default: .boolean(true),
            "false: a loss or gradient that is not finite fails the job at once, and no other loss does."
        ),
        .init(
            "loss_factor",
            .number(.above(1)),
            default: .number(2),
            "How many times its running level the loss must be, patience steps in a row, to count as "
                + "diverged."
        ),
        .init(
            "patience",
            .integer(1...10_000),
            default: .number(10),
            "Steps in a row above that; of several formats, of the steps that take one."
        ),
    ])
}
