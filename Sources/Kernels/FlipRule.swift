internal import CKernels

/// When a weight flips too often.
public struct FlipRule: Sendable, Equatable {
    /// The share of the latest step in the running means of flips and of rounded values; above 0, below 1.
    public var momentum: Float
    /// How often a weight may flip, as a running mean.
    public var threshold: Float

    /// The state of a frozen weight.
    public static let frozenState = UInt8(QAT_FLIP_FROZEN)

    /// A rule.
    public init(momentum: Float, threshold: Float) {
        self.momentum = momentum
        self.threshold = threshold
    }
}

/// Weights and what is known of their flips, of as many elements each.
public struct FlipPointers: @unchecked Sendable {
    // Threads write disjoint elements.

    /// Updated.
    public let weights: UnsafeMutablePointer<Float>
    /// What the weights are rounded to.
    public let rounded: UnsafePointer<Float>
    /// What they were rounded to before, updated.
    public let previous: UnsafeMutablePointer<Float>
    /// The running mean of that, updated.
    public let mean: UnsafeMutablePointer<Float>
    /// The running mean of flips, updated.
    public let frequency: UnsafeMutablePointer<Float>
    /// What is known, updated.
    public let state: UnsafeMutablePointer<UInt8>

    /// Pointers to as many elements each.
    public init(
        weights: UnsafeMutablePointer<Float>,
        rounded: UnsafePointer<Float>,
        previous: UnsafeMutablePointer<Float>,
        mean: UnsafeMutablePointer<Float>,
        frequency: UnsafeMutablePointer<Float>,
        state: UnsafeMutablePointer<UInt8>
    ) {
        self.weights = weights
        self.rounded = rounded
        self.previous = previous
        self.mean = mean
        self.frequency = frequency
        self.state = state
    }

    /// Those from an element on.
    public func from(_ start: Int) -> FlipPointers {
        FlipPointers(
            weights: weights + start,
            rounded: rounded + start,
            previous: previous + start,
            mean: mean + start,
            frequency: frequency + start,
            state: state + start
        )
    }
}
