internal import Devices
public import Formats
public import Kernels
public import Quantization

/// Rounds a model's weights after training, in place.
public struct PostTrainingQuantizer {
    /// One rounded weight.
    public struct Result: Sendable {
        /// The parameter.
        public let entry: ParameterLayout.Entry
        /// What is stored.
        public let packed: PackedTensor
        /// What rounding did to it.
        public let statistics: QuantizationStatistics
    }

    private let recipe: QuantizationRecipe
    private let method: PostTrainingMethod
    private let team: ThreadTeam

    /// A quantizer to a recipe's final formats.
    public init(recipe: QuantizationRecipe, method: PostTrainingMethod, team: ThreadTeam) {
        self.recipe = recipe
        self.method = method
        self.team = team
    }

    /// Rounds in place; with calibration text, layer by layer, each on what the rounded layers
    /// before it put out.
    ///
    /// `onResult`: Told each rounded weight, and how many there are; throwing stops.
    ///
    /// - Returns: The ranges of activations, if there is calibration text.
    /// - Throws: ``TransformerError`` (`invalidRecipe` for what does not fit or lacks calibration,
    ///   `invalidTokens` for text of another vocabulary), `QuantizationError` for weights and moments that
    ///   are not finite.
    public func quantize(
        _ parameters: Parameters,
        calibration: CalibrationWindows?,
        onResult: (Result, Int) throws -> Void
    ) throws -> ActivationRanges? {
        let entries = try parameters.quantizedEntries(of: recipe, progress: 1)
        let rounding = WeightByWeight(
            parameters: parameters,
            formats: Dictionary(uniqueKeysWithValues: entries.map { ($0.0.name, $0.1) }),
            method: method,
            team: team
        )
        var left = Set(entries.map(\.0.name))
        func report(_ results: [Result]) throws {
            for result in results {
                left.remove(result.entry.name)
                try onResult(result, entries.count)
            }
        }
        var ranges: ActivationRanges?
        if let calibration {
            try Self.checkVocabulary(calibration, parameters)
            let pass = try LayerwisePass(
                parameters: parameters,
                windows: calibration,
                device: CPUDevice(team: team)
            )
            for layer in 0..<parameters.configuration.layerCount {
                let inputs = method.usesMoments ? pass.observe(layer: layer) : [:]
                if method.smoothing != .none {
                    try smooth(layer, parameters, rounding.formats, inputs)
                }
                for group in parameters.configuration.inputGroups {
                    try report(try rounding.round(group, layer: layer, inputs: inputs[group]))
                }
                pass.advance(layer: layer)
            }
            ranges = pass.ranges
        } else if method.needsCalibration {
            throw TransformerError(.invalidRecipe, "this method needs calibration text")
        } else {
            for layer in 0..<parameters.configuration.layerCount {
                for group in parameters.configuration.inputGroups {
                    try report(try rounding.round(group, layer: layer, inputs: nil))
                }
            }
        }
        // What has no observed input: the embedding and the head.
        for (entry, _) in entries where left.contains(entry.name) {
            try report([try rounding.round(entry, amax: nil, inputs: nil)])
        }
        return ranges
    }

    private func smooth(
        _ layer: Int,
        _ parameters: Parameters,
        _ formats: [String: QuantizationFormat],
        _ inputs: [LinearModule: LayerwisePass.Inputs]
    ) throws {
        let smoothing = ChannelSmoothing(parameters: parameters, layer: layer, team: team)
        for group in parameters.configuration.inputGroups {
            guard smoothing.isPossible(group), let inputs = inputs[group],
                let format = formats[group.name(layer: layer) + ".weight"]
            else { continue }
            let scales =
                switch method.smoothing {
                case .none: [Float]()
                case .activationAware:
                    try smoothing.activationAwareScales(
                        group,
                        format: format,
                        search: method.scaleSearch,
                        inputs: inputs
                    )
                case .smoothQuant(let migration):
                    smoothing.smoothQuantScales(group, inputs: inputs, migration: migration)
                }
            smoothing.fold(scales, into: group, inputs: inputs)
        }
    }

    private static func checkVocabulary(
        _ windows: CalibrationWindows,
        _ parameters: Parameters
    ) throws {
        let limit = Int32(parameters.configuration.vocabularySize)
        guard windows.tokens.allSatisfy({ $0 >= 0 && $0 < limit }) else {
            throw TransformerError(.invalidTokens, "a token is outside the vocabulary of \(limit)")
        }
    }
}

/// Rounds single weights by a method, and says what that did.
private struct WeightByWeight {
    let parameters: Parameters
    let formats: [String: QuantizationFormat]
    let method: PostTrainingMethod
    let team: ThreadTeam
    private let original: AlignedBuffer<Float>

    init(
        parameters: Parameters,
        formats: [String: QuantizationFormat],
        method: PostTrainingMethod,
        team: ThreadTeam
    ) {
        self.parameters = parameters
        self.formats = formats
        self.method = method
        self.team = team
        let counts = formats.keys.compactMap { parameters.layout[$0]?.count }
        original = AlignedBuffer(count: counts.max() ?? 0)
    }

    /// Rounds the modules that share an input, and a scale per tensor.
    func round(
        _ group: LinearModule,
        layer: Int,
        inputs: LayerwisePass.Inputs?
    ) throws -> [PostTrainingQuantizer.Result] {
        let members = parameters.layout.entries(sharingInputOf: group, layer: layer)
            .filter { formats[$0.name] != nil }
        let isShared = members.contains { formats[$0.name]?.scaleKind.hasTensorScale == true }
        let amax = isShared ? parameters.sharedAmax(group, layer: layer, team: team) : nil
        return try members.map { try round($0, amax: amax, inputs: inputs) }
    }

    func round(
        _ entry: ParameterLayout.Entry,
        amax: Float?,
        inputs: LayerwisePass.Inputs?
    ) throws -> PostTrainingQuantizer.Result {
        guard let format = formats[entry.name] else {
            preconditionFailure("\(entry.name) is not quantized")
        }
        let values = parameters.elements(of: entry)
        original.pointer.update(from: parameters.storage.pointer + entry.offset, count: entry.count)
        let packed =
            switch (method.rounding, inputs) {
            case (.gptq(let gptq), let inputs?):
                try gptq.round(
                    values,
                    rows: entry.rows,
                    columns: entry.columns,
                    format: format,
                    moments: UnsafeBufferPointer(inputs.moments.host.elements),
                    amax: amax,
                    team: team
                )
            default:
                try WeightRounding.round(
                    values,
                    columns: entry.columns,
                    format: format,
                    search: method.scaleSearch,
                    importance: inputs.map { inputs in
                        (0..<entry.columns).map {
                            inputs.moments.host.pointer[$0 * entry.columns + $0]
                        }
                    },
                    amax: amax,
                    team: team
                )
            }
        let statistics = QuantizationStatistics(
            values: original.pointer,
            quantized: parameters.storage.pointer + entry.offset,
            packed: packed,
            team: team
        )
        return .init(entry: entry, packed: packed, statistics: statistics)
    }
}

extension PostTrainingMethod {
    /// How the scales of blocks are found.
    fileprivate var scaleSearch: ScaleSearch {
        switch rounding {
        case .nearest(let search): search
        case .gptq(let gptq): gptq.search
        }
    }
}
