/// Learned rounding: layer by layer, an offset moves the middle between the two values that each weight may
/// become, and a factor each block's scale, by steps against the signs of their gradients, so that the
/// layer's outputs on calibration windows change least.
///
/// - SeeAlso: Cheng et al., SignRound, arXiv 2309.05516; what AutoRound does.
public struct LearnedRounding: Sendable, Equatable {
    /// Steps per decoder layer, at least 1; their length falls linearly from 1 / iterations to 0.
    public var iterations: Int
    /// Calibration windows per step, at least 1.
    public var windows: Int
    /// How the scales are found from which learning begins.
    public var search: ScaleSearch

    /// A rounding.
    public init(iterations: Int = 200, windows: Int = 2, search: ScaleSearch = .mse) {
        self.iterations = iterations
        self.windows = windows
        self.search = search
    }
}
