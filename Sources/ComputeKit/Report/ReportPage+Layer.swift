extension ReportPage {
    /// What quantization did to one layer's weight.
    public struct Layer: Sendable {
        /// The module's name in the model, as `model.layers.0.self_attn.q_proj`.
        public var module: String
        /// The weight's shape, `[out, in]`.
        public var shape: [Int]
        /// The format's name.
        public var format: String
        /// Elements per scale; 0 if there are no blocks.
        public var blockSize: Int
        /// Stored bits per weight, scales included.
        public var bitsPerWeight: Double
        /// Stored bytes, scales included.
        public var byteCount: Int
        /// The mean of the weight's values.
        public var mean: Double
        /// The standard deviation of the weight's values.
        public var standardDeviation: Double
        /// The least value.
        public var minimum: Double
        /// The greatest value.
        public var maximum: Double
        /// The greatest absolute value.
        public var amax: Double
        /// The mean of `|x - q|`.
        public var meanAbsoluteError: Double
        /// The mean of `(x - q)²`.
        public var meanSquaredError: Double
        /// Signal to quantization noise in decibels; infinite without error.
        public var sqnrDecibels: Double
        /// The share of values beyond the format's range, 0 to 1.
        public var saturatedShare: Double
        /// What a user should look at.
        public var warnings: [String]

        /// A layer of what is given.
        public init(
            module: String,
            shape: [Int],
            format: String,
            blockSize: Int,
            bitsPerWeight: Double,
            byteCount: Int,
            mean: Double,
            standardDeviation: Double,
            minimum: Double,
            maximum: Double,
            amax: Double,
            meanAbsoluteError: Double,
            meanSquaredError: Double,
            sqnrDecibels: Double,
            saturatedShare: Double,
            warnings: [String] = []
        ) {
            self.module = module
            self.shape = shape
            self.format = format
            self.blockSize = blockSize
            self.bitsPerWeight = bitsPerWeight
            self.byteCount = byteCount
            self.mean = mean
            self.standardDeviation = standardDeviation
            self.minimum = minimum
            self.maximum = maximum
            self.amax = amax
            self.meanAbsoluteError = meanAbsoluteError
            self.meanSquaredError = meanSquaredError
            self.sqnrDecibels = sqnrDecibels
            self.saturatedShare = saturatedShare
            self.warnings = warnings
        }
    }
}

extension ReportPage.Layer {
    /// How many weights the shape holds, as a weight in means.
    var elementCount: Double { shape.reduce(1) { $0 * Double($1) } }
}
