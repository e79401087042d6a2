/// How a model's weights are rounded after training.
public struct PostTrainingMethod: Sendable, Equatable {
    /// How codes are found.
    public enum Rounding: Sendable, Equatable {
        /// The words that job files have for the ways to round.
        public enum Name: String, Sendable, CaseIterable {
            /// ``Rounding/nearest(_:)``.
            case nearest
            /// ``Rounding/gptq(_:)``.
            case gptq
            /// ``Rounding/learned(_:)``.
            case autoround
        }

        /// The nearest ones under searched scales. With calibration text, errors count by the
        /// inputs' mean squares.
        case nearest(ScaleSearch)
        /// Column by column, later columns making up for errors.
        case gptq(GPTQ)
        /// Layer by layer, learned from what the layer puts out.
        case learned(LearnedRounding)
    }

    /// How the channels of a layer's inputs are scaled before, and its weights inversely.
    public enum Smoothing: Sendable, Equatable {
        /// Not at all.
        case none
        /// By the power of the inputs' root mean square that loses least in the layer's outputs.
        ///
        /// - SeeAlso: Lin et al., AWQ, arXiv 2306.00978.
        case activationAware
        /// By `amax(x)^m / amax(w)^(1 - m)`, which moves outliers of the inputs into the weights.
        ///
        /// - SeeAlso: Xiao et al., SmoothQuant, arXiv 2211.10438.
        case smoothQuant(migration: Double)
    }

    /// The words that job files and exported files have for a method as a whole.
    public enum Name: String, Sendable, CaseIterable {
        /// Scales from the largest magnitude, codes to nearest.
        case max
        /// As max, outliers above a percentile saturating.
        case percentile
        /// Scales by least squared error.
        case mse
        /// The same over every E4M3 scale there is.
        case sweep
        /// Column by column, later columns making up for errors.
        case gptq
        /// Up or down, and under which scale, learned layer by layer.
        case autoround
        /// Channels scaled by what their inputs matter.
        case awq
        /// Outliers of inputs moved into weights.
        case smoothquant

        /// Whether it scales channels, and so changes weights beyond rounding.
        public var scalesChannels: Bool {
            switch self {
            case .awq, .smoothquant: true
            case .max, .percentile, .mse, .sweep, .gptq, .autoround: false
            }
        }
    }

    /// The words for what is rotated before.
    public enum Rotation: String, Sendable, CaseIterable {
        /// Nothing.
        case none
        /// The residual stream and attention values, by Hadamard blocks.
        case hadamard
    }

    /// How codes are found.
    public var rounding: Rounding
    /// How channels are scaled before.
    public var smoothing: Smoothing

    /// A method.
    public init(rounding: Rounding, smoothing: Smoothing = .none) {
        self.rounding = rounding
        self.smoothing = smoothing
    }

    /// To nearest, each block under the scale that its largest magnitude asks for.
    public static let max = PostTrainingMethod(rounding: .nearest(.max))

    /// Whether the method cannot do without calibration text.
    public var needsCalibration: Bool {
        switch rounding {
        case .gptq, .learned: true
        case .nearest: smoothing != .none
        }
    }

    /// Whether second moments of the inputs are of use.
    public var usesMoments: Bool {
        switch rounding {
        case .gptq: true
        case .nearest, .learned: smoothing != .none || search == .mse || search == .sweep
        }
    }

    /// How the scales of blocks are found.
    public var search: ScaleSearch {
        switch rounding {
        case .nearest(let search): search
        case .gptq(let gptq): gptq.search
        case .learned(let learned): learned.search
        }
    }

    /// How rounding is learned, where it is.
    public var learned: LearnedRounding? {
        if case .learned(let learned) = rounding { return learned }
        return nil
    }
}
