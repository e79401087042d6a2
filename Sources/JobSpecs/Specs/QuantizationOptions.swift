/// The `quantization` section of a job: what is rounded, to what, and when.
public struct QuantizationOptions: Sendable, Equatable {
    /// A rule for the modules a pattern names; the last rule that matches wins.
    public struct LayerRule: Sendable, Equatable {
        /// A glob over module names, or a regular expression after `re:`.
        public var pattern: String
        /// Their format.
        public var format: FormatName
        /// Elements per scale.
        public var blockSize: Int
    }

    /// A stretch of a training run.
    public struct Stage: Sendable, Equatable {
        /// The stage holds while progress, from 0 to 1, is below this.
        public var until: Double
        /// The default format meanwhile.
        public var format: FormatName
        /// Elements per scale.
        public var blockSize: Int
    }

    /// How the power-of-two scale of a block is chosen.
    public enum ScaleMode: String, Sendable, CaseIterable {
        /// Rounded down, as the OCP specification has it.
        case floor
        /// Rounded to nearest even.
        case even
        /// As compressed-tensors rounds.
        case evenCT = "even_ct"
        /// Rounded up.
        case ceil
        /// As NVIDIA's conversion instruction rounds up.
        case rceil
    }

    /// Where a value halfway between two codes goes.
    public enum TieRule: String, Sendable, CaseIterable {
        /// To the even code.
        case even
        /// Away from zero.
        case away
        /// Towards zero.
        case zero
    }

    /// How gradients pass through the rounding.
    public enum StraightThrough: String, Sendable, CaseIterable {
        /// Unchanged.
        case identity
        /// Zero where the value saturated.
        case clip
    }

    /// The format of the linear layers that no rule names.
    public var format: FormatName
    /// The format of the inputs of linear layers.
    public var activations: FormatName
    /// Elements per scale.
    public var blockSize: Int
    /// Formats without blocks beside which `scaling_granularity` stands, by place in the section.
    let granularitiesWithoutBlocks: [String: FormatName]
    /// How scales are chosen.
    public var scaleMode: ScaleMode
    /// Where ties go.
    public var tieRule: TieRule
    /// How gradients pass; training only.
    public var straightThrough: StraightThrough
    /// Rules by module name.
    public var layers: [LayerRule]
    /// Progressive stages, ascending; training only.
    public var stages: [Stage]
    /// Whether keys and values are quantized.
    public var quantizesKeyValueCache: Bool
    /// Whether every block has its own scale; otherwise every tensor has one.
    public var usesBlockScales: Bool
    /// Calibration samples.
    public var calibrationSize: Int
    /// How a trained model is rounded; of a training job, its method only.
    public var postTraining: PostTrainingOptions?
    /// The method that is asked for.
    public var method: PostTrainingOptions.Method

    init(_ reader: ObjectReader, isTraining: Bool) {
        let format = reader.format("algorithm")
        self.format = format
        activations = reader.format("activations")
        let written = reader.optionalInteger("scaling_granularity")
        blockSize = written ?? format.usualBlockSize
        scaleMode = reader.choice("scale_mode")
        tieRule = reader.choice("tie_rule")
        straightThrough = isTraining ? reader.choice("ste") : .identity
        layers = reader.objects("layers").map {
            let format = $0.format("algorithm")
            return LayerRule(
                pattern: $0.text("pattern"),
                format: format,
                blockSize: $0.optionalInteger("scaling_granularity")
                    ?? Self.inherited(written, format)
            )
        }
        stages =
            isTraining
            ? reader.object("schedule").objects("stages").map {
                let format = $0.format("algorithm")
                return Stage(
                    until: $0.number("until"),
                    format: format,
                    blockSize: Self.inherited(written, format)
                )
            } : []
        quantizesKeyValueCache = reader.boolean("enable_kv_cache")
        usesBlockScales = reader.boolean("enable_micro_tensor_scaling")
        calibrationSize = reader.integer("calibration_size")
        method = reader.choice("method")
        let places =
            [("", reader)]
            + reader.objects("layers").enumerated().map {
                (".layers[\($0)]", $1)
            }
        granularitiesWithoutBlocks = places.reduce(into: [:]) { found, place in
            let format = place.1.format("algorithm")
            if format.scales?.hasBlocks == false, place.1.contains("scaling_granularity") {
                found[place.0] = format
            }
        }
        postTraining = isTraining ? nil : PostTrainingOptions(reader, format: format)
    }

    /// A rule's block size where it gives none: its section's, but two-level scales keep their own.
    private static func inherited(_ written: Int?, _ format: FormatName) -> Int {
        format.scales == .twoLevel ? format.usualBlockSize : written ?? format.usualBlockSize
    }

    /// What this section asks for and the engines do not carry yet.
    var unsupported: [String] {
        var features: [String] = []
        if quantizesKeyValueCache, postTraining == nil {
            features.append("quantization.enable_kv_cache (quantized keys and values)")
        }
        return features
    }
}

extension ObjectReader {
    func format(_ key: String) -> FormatName {
        FormatName(algorithm: text(key)) ?? .unquantized
    }
}
