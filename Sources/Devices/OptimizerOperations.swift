/// A moment of a parameter, of as many elements as that.
public struct MomentTensor: Sendable {
    /// Single precision, BF16, or codes (uint8).
    public let values: DeviceTensor
    /// Of codes, one scale for each 256 of them, the last block being what is left.
    public let scales: DeviceTensor?

    /// A moment.
    public init(_ values: DeviceTensor, scales: DeviceTensor? = nil) {
        self.values = values
        self.scales = scales
    }
}

/// A parameter, its gradient and its moments, of as many elements each; both moments are kept alike.
public struct AdamWTensors: Sendable {
    /// Updated.
    public let weight: DeviceTensor
    /// Read.
    public let gradient: DeviceTensor
    /// Running mean of gradients, updated.
    public let firstMoment: MomentTensor
    /// Running mean of squared gradients, updated.
    public let secondMoment: MomentTensor
    /// Elements of other parameters before these, which tells moments' random bits apart.
    public let place: Int

    /// The tensors of one parameter.
    public init(
        weight: DeviceTensor,
        gradient: DeviceTensor,
        firstMoment: MomentTensor,
        secondMoment: MomentTensor,
        place: Int
    ) {
        self.place = place
        self.weight = weight
        self.gradient = gradient
        self.firstMoment = firstMoment
        self.secondMoment = secondMoment
    }
}

/// A parameter, its gradient and its only moment, of as many elements each.
public struct LionTensors: Sendable {
    /// Updated.
    public let weight: DeviceTensor
    /// Read.
    public let gradient: DeviceTensor
    /// Running mean of gradients, updated.
    public let moment: MomentTensor
    /// As of ``AdamWTensors``.
    public let place: Int

    /// The tensors of one parameter.
    public init(
        weight: DeviceTensor,
        gradient: DeviceTensor,
        moment: MomentTensor,
        place: Int
    ) {
        self.weight = weight
        self.gradient = gradient
        self.moment = moment
        self.place = place
    }
}

/// Weights, what they are rounded to, and what is known of their flips, of as many elements each.
public struct FlipTensors: Sendable {
    /// Updated.
    public let weight: DeviceTensor
    /// Read.
    public let rounded: DeviceTensor
    /// What weights were rounded to before, updated.
    public let previous: DeviceTensor
    /// The running mean of that, updated.
    public let mean: DeviceTensor
    /// The running mean of flips, updated.
    public let frequency: DeviceTensor
    /// uint8, updated; zeros at first.
    public let state: DeviceTensor

    /// The tensors of one parameter.
    public init(
        weight: DeviceTensor,
        rounded: DeviceTensor,
        previous: DeviceTensor,
        mean: DeviceTensor,
        frequency: DeviceTensor,
        state: DeviceTensor
    ) {
        self.weight = weight
        self.rounded = rounded
        self.previous = previous
        self.mean = mean
        self.frequency = frequency
        self.state = state
    }
}
