/// Which model is validated, and when; raw values are the phases of progress.
enum Validation: String {
    /// The model as it came, before the first step.
    case baseline = "validating baseline"
    /// The model rounded without training.
    case rounded = "validating PTQ"
    /// The weights that training starts from, as the recipe rounds them.
    case start = "validating start"
    /// The model in training, every so many steps.
    case interval = "validating"
    /// The export, read back.
    case exported = "validating QAT"
}
