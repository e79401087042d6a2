/// How a weight's scales are chosen after training.
public enum ScaleSearch: Sendable, Equatable {
    /// The words that job files have for the searches.
    public enum Name: String, Sendable, CaseIterable {
        /// ``ScaleSearch/max``.
        case max
        /// ``ScaleSearch/percentile(_:)``.
        case percentile
        /// ``ScaleSearch/mse``.
        case mse
        /// ``ScaleSearch/sweep``.
        case sweep
    }

    /// From the largest magnitude, by the format's scale mode.
    case max
    /// As max, magnitudes above this percentile of the tensor (of the row, for per-channel scales)
    /// counting as the percentile.
    case percentile(Double)
    /// The neighbour of max's scale with the least squared error.
    case mse
    /// The E4M3 scale with the least squared error among all there are; else as mse.
    case sweep

    /// The search of a name; `percentile`, in (0, 100], is that of ``Name/percentile``.
    public init(_ name: Name, percentile: Double) {
        switch name {
        case .max: self = .max
        case .percentile: self = .percentile(percentile)
        case .mse: self = .mse
        case .sweep: self = .sweep
        }
    }
}
