/// GPTQ: rounds a weight column by column; the columns that follow make up for each error, in the
/// measure of the inputs' second moments.
///
/// - SeeAlso: Frantar et al., arXiv 2210.17323.
public struct GPTQ: Sendable, Equatable {
    /// Share of the mean diagonal that is added to the diagonal, in (0, 1].
    public var damping: Double
    /// Whether columns are taken in order of falling second moment; scales are then those of the
    /// unrounded weight.
    public var usesActivationOrder: Bool
    /// How block scales are chosen.
    public var search: ScaleSearch

    /// A rounding.
    public init(
        damping: Double = 0.01,
        usesActivationOrder: Bool = false,
        search: ScaleSearch = .mse
    ) {
        self.damping = damping
        self.usesActivationOrder = usesActivationOrder
        self.search = search
    }
}
