/// How the forward pass of a training rounds weights; what is validated and exported is rounded to nearest.
public enum TrainingRounding: String, Sendable, CaseIterable {
    /// To the nearest value of the grid.
    case nearest
    /// To one of the two around at random, to either as often as it is near: right in the mean.
    case stochastic
}
