/// What is learned of how a weight is rounded, `[rows, columns]` in blocks along the columns.
///
/// - SeeAlso: Cheng et al., SignRound, arXiv 2309.05516.
public struct LearnedRoundingTensors: Sendable {
    /// How far the middle between the two values that each element may become is moved, in the grid's own
    /// steps there, -0.5 … 0.5; `[rows, columns]`.
    public let offsets: DeviceTensor
    /// What multiplies each block's step; nil where scales stay.
    public let factors: DeviceTensor?
    /// What one code counts under a factor of 1, by block; nil where scales stay.
    public let steps: DeviceTensor?
    /// The scales that follow from both, in the form in which they are stored.
    public let scales: Rounding.StoredScales

    /// Tensors of one weight.
    ///
    /// - Precondition: There are as many factors as steps.
    public init(
        offsets: DeviceTensor,
        factors: DeviceTensor?,
        steps: DeviceTensor?,
        scales: Rounding.StoredScales
    ) {
        precondition(factors?.count == steps?.count, "factors of other blocks than steps")
        self.offsets = offsets
        self.factors = factors
        self.steps = steps
        self.scales = scales
    }
}
