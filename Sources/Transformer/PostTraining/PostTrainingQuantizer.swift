public import Kernels
public import Quantization

/// How weights are rounded after training.
public enum PostTrainingMethod: Sendable, Equatable {
    /// To nearest, each block under the scale that its largest magnitude asks for.
    case max
    /// To nearest, each block under the neighbouring scale with the least squared error; weighted by
    /// the inputs' mean squares if there is calibration text.
    case mse
    /// Column by column, errors made good by later columns.
    case gptq(GPTQ)

    var usesMoments: Bool { self != .max }
}

extension GPTQ: Equatable {
    /// Whether both round alike.
    public static func == (left: GPTQ, right: GPTQ) -> Bool {
        left.damping == right.damping && left.search == right.search
            && left.usesActivationOrder == right.usesActivationOrder
    }
}

/// Tokens to calibrate on, cut into windows.
public struct CalibrationWindows: Sendable {
    /// The tokens, window after window.
    public let tokens: [Int32]
    /// Tokens per window.
    public let length: Int

    /// The number of windows.
    public var count: Int { tokens.count / length }

    /// At most `limit` windows of a text, drawn without repetition and in order, by a seed.
    ///
    /// - Throws: ``TransformerError`` (`invalidTokens`) if the text is shorter than a window.
    public init(text: [Int32], length: Int, limit: Int, seed: UInt64) throws {
        let available = length > 0 ? text.count / length : 0
        guard available > 0, limit > 0 else {
            throw TransformerError(
                .invalidTokens,
                "the calibration text has \(text.count) tokens; one window takes \(length)"
            )
        }
        // Reservoir sampling keeps a uniform choice of `limit` windows.
        var chosen = Array(0..<min(limit, available))
        var generator = SplitMix64(seed: seed)
        for window in chosen.count..<max(available, chosen.count) {
            let place = Int.random(in: 0...window, using: &generator)
            if place < chosen.count { chosen[place] = window }
        }
        tokens = chosen.sorted().flatMap { text[$0 * length..<($0 + 1) * length] }
        self.length = length
    }
}

/// Rounds a model's weights after training.
public struct PostTrainingQuantizer {
    private let recipe: QuantizationRecipe
    private let method: PostTrainingMethod
    private let team: ThreadTeam

    /// A quantizer to a recipe's final formats.
    public init(recipe: QuantizationRecipe, method: PostTrainingMethod, team: ThreadTeam) {
        self.recipe = recipe
        self.method = method
        self.team = team
    }

    /// One rounded weight.
    public struct Result: Sendable {
        /// The parameter.
        public let entry: ParameterLayout.Entry
        /// What is stored.
        public let packed: PackedTensor
        /// What rounding did to it.
        public let statistics: QuantizationStatistics
    }

    /// Rounds in place.
    ///
    /// `onResult`: Told each rounded weight, and how many there are; throwing stops.
    ///
    /// - Throws: ``TransformerError``, `QuantizationError`.
    public func quantize(
        _ parameters: Parameters,
        calibration: CalibrationWindows?,
        onResult: (Result, Int) throws -> Void
    ) throws {
        let entries = try parameters.quantizedEntries(of: recipe, progress: 1)
        let original = AlignedBuffer<Float>(count: entries.map { $0.0.count }.max() ?? 0)
        var pending = Dictionary(uniqueKeysWithValues: entries.map { ($0.0.name, $0) })
        func take(_ name: String, moments: AlignedBuffer<Float>?) throws {
            guard let (entry, format) = pending.removeValue(forKey: name) else { return }
            let values = parameters.storage.pointer + entry.offset
            original.pointer.update(from: values, count: entry.count)
            let packed = try round(entry, format, parameters, moments)
            let statistics = QuantizationStatistics(
                values: original.pointer,
                quantized: values,
                count: entry.count,
                team: team
            )
            let result = Result(entry: entry, packed: packed, statistics: statistics)
            try onResult(result, entries.count)
        }
        if let calibration, method.usesMoments {
            try checkVocabulary(calibration, parameters)
            let pass = try LayerwisePass(
                parameters: parameters,
                tokens: calibration.tokens,
                windowCount: calibration.count,
                length: calibration.length,
                team: team
            )
            for layer in 0..<parameters.configuration.layerCount {
                let moments = pass.observe(layer: layer)
                for module in LinearModule.allCases {
                    try take(
                        module.name(layer: layer) + ".weight",
                        moments: moments[module.inputGroup]
                    )
                }
                pass.advance(layer: layer)
            }
        } else if case .gptq = method {
            throw TransformerError(.invalidRecipe, "gptq needs calibration text")
        }
        // What has no observed input, such as the embedding, is rounded to nearest.
        for (entry, _) in entries { try take(entry.name, moments: nil) }
    }

    private func round(
        _ entry: ParameterLayout.Entry,
        _ format: QuantizationFormat,
        _ parameters: Parameters,
        _ moments: AlignedBuffer<Float>?
    ) throws -> PackedTensor {
        let values = parameters.elements(of: entry)
        if case .gptq(let gptq) = method, let moments {
            return try gptq.round(
                values,
                rows: entry.rows,
                columns: entry.columns,
                format: format,
                moments: UnsafeBufferPointer(start: moments.pointer, count: moments.count),
                team: team
            )
        }
        let importance = moments.map { moments in
            (0..<entry.columns).map { moments.pointer[$0 * entry.columns + $0] }
        }
        return try WeightRounding.round(
            values,
            rows: entry.rows,
            columns: entry.columns,
            format: format,
            search: method == .max ? .max : .mse,
            importance: importance,
            team: team
        )
    }

    private func checkVocabulary(_ windows: CalibrationWindows, _ parameters: Parameters) throws {
        let limit = Int32(parameters.configuration.vocabularySize)
        guard windows.tokens.allSatisfy({ $0 >= 0 && $0 < limit }) else {
            throw TransformerError(.invalidTokens, "a token is outside the vocabulary of \(limit)")
        }
    }
}
