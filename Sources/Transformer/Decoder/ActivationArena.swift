internal import Devices

/// The activations of a pass over at most `rows` tokens, allocated once.
///
/// A training pass keeps one slot per layer for the backward pass; an inference pass uses one slot
/// for all layers. What an architecture does not have takes no room.
final class ActivationArena {
    /// What a norm's backward pass needs.
    struct Norm {
        /// What was normalized, `[rows, width]`.
        let input: DeviceTensor
        /// Of each row (of each head, for norms per head); two numbers per row where the norm is
        /// centered.
        let statistics: DeviceTensor
    }

    /// What the backward pass needs of one layer.
    ///
    /// Widths: C hidden, Q queries, K keys, F MLP.
    struct Layer {
        private(set) var input: DeviceTensor  // [rows, C]
        private(set) var attentionInput: DeviceTensor  // [rows, C], normalized
        let query: DeviceTensor  // [rows, Q], normalized and rotated
        let key: DeviceTensor  // [rows, K], normalized and rotated
        let value: DeviceTensor  // [rows, K]
        let attention: DeviceTensor  // [rows, Q]
        let middle: DeviceTensor  // [rows, C]
        let mlpInput: DeviceTensor  // [rows, C], normalized
        let gate: DeviceTensor  // [rows, F]; nothing where there is no gate
        let up: DeviceTensor  // [rows, F]
        /// By ``NormSite``'s raw value; nil where the architecture has none.
        private(set) var norms: [Norm?]

        func norm(_ site: NormSite) -> Norm? { norms[site.rawValue] }

        /// The same but for what comes in and, unless nil, the norms' statistics.
        func with(input: DeviceTensor, statistics: [DeviceTensor?]? = nil) -> Layer {
            var copy = self
            copy.input = input
            let first = NormSite.attentionInput.rawValue
            // Where nothing is normalized there, attention takes what comes in.
            if norms[first] == nil { copy.attentionInput = input }
            for (index, norm) in norms.enumerated() {
                guard let norm else { continue }
                copy.norms[index] = Norm(
                    input: index == first ? input : norm.input,
                    statistics: statistics?[index] ?? norm.statistics
                )
            }
            return copy
        }

        /// The first rows alone.
        func first(_ rows: Int) -> Layer {
            guard rows != input.rows else { return self }
            return Layer(
                input: input.first(rows),
                attentionInput: attentionInput.first(rows),
                query: query.first(rows),
                key: key.first(rows),
                value: value.first(rows),
                attention: attention.first(rows),
                middle: middle.first(rows),
                mlpInput: mlpInput.first(rows),
                gate: gate.first(rows),
                up: up.first(rows),
                norms: norms.map { norm in
                    norm.map {
                        Norm(input: $0.input.first(rows), statistics: $0.statistics.first(rows))
                    }
                }
            )
        }
    }

    let rows: Int
    let layers: [Layer]
    /// Of the layer in work, what ``halves`` keeps: all but what came in and statistics.
    private let kept: DeviceTensor?
    /// By layer, BF16; none where FP32 is kept, or nothing.
    private let halves: [DeviceTensor]
    /// The residual stream after the last layer, `[rows, C]`.
    let output: DeviceTensor
    /// The normalized output, which the head multiplies, `[rows, C]`.
    let finalNorm: DeviceTensor
    let finalStatistics: DeviceTensor
    /// What attention or MLP adds to the residual stream, `[rows, C]`.
    let projection: DeviceTensor
    /// The activated MLP, `[rows, F]`.
    let activated: DeviceTensor
    /// A linear layer's quantized input, `[rows, max(C, Q, F)]`.
    let quantizedInput: DeviceTensor

    init(
        configuration: ModelConfiguration,
        rows: Int,
        keeping kept: KeptActivations,
        device: any ComputeDevice
    ) {
        let widths = Widths(configuration)
        let count = Self.elementCount(configuration, rows: rows, keeping: kept)
        let memory = device.allocate(byteCount: count * ElementType.float32.byteCount)
        var carver = TensorCarver(memory, rows: rows)
        let layerCount = configuration.layerCount
        var region: DeviceTensor?
        switch kept {
        case .all: layers = (0..<layerCount).map { _ in Self.slot(widths, &carver) }
        case .none:
            let slot = Self.slot(widths, &carver)
            layers = (0..<layerCount).map { _ in slot }
        case .inputs, .halves:
            let slot = Self.slot(widths, &carver)
            // The slot's first tensor is its input, the last ones are statistics.
            region = DeviceTensor(
                memory,
                offset: rows * widths.hidden,
                columns: rows * widths.inner
            )
            layers = (0..<layerCount).map {
                guard $0 > 0 else { return slot }
                let input = carver.take(widths.hidden)
                guard kept == .halves else { return slot.with(input: input) }
                return slot.with(input: input, statistics: Self.statistics(widths, &carver))
            }
        }
        let isHalved = kept == .halves
        self.kept = isHalved ? region : nil
        // The last layer is in work until the backward pass takes it.
        halves = (0..<(isHalved ? layerCount - 1 : 0)).map { _ in
            device.tensor(columns: rows * widths.inner, type: .bfloat16)
        }
        self.rows = rows
        output = carver.take(widths.hidden)
        finalNorm = carver.take(widths.hidden)
        finalStatistics = carver.take(widths.statistics)
        projection = carver.take(widths.hidden)
        activated = carver.take(widths.mlp)
        quantizedInput = carver.take(widths.largest)
    }

    /// Keeps the layer in work, unless it is the last or kept as it is.
    func keep(layer: Int, device: any ComputeDevice) {
        guard let kept, layer < halves.count else { return }
        device.copy(kept, to: halves[layer])
    }

    /// Brings back what ``keep(layer:device:)`` kept.
    func bringBack(layer: Int, device: any ComputeDevice) {
        guard let kept, layer < halves.count else { return }
        device.copy(halves[layer], to: kept)
    }

    /// FP32 elements that an arena takes, beside ``halfCount(_:rows:keeping:)``.
    static func elementCount(
        _ configuration: ModelConfiguration,
        rows: Int,
        keeping kept: KeptActivations
    ) -> Int {
        let widths = Widths(configuration)
        let layerCount = configuration.layerCount
        let layers =
            switch kept {
            case .all: widths.perLayer * layerCount
            case .none: widths.perLayer
            case .inputs: widths.perLayer + widths.hidden * (layerCount - 1)
            case .halves:
                widths.perLayer + (widths.hidden + widths.statisticsPerLayer) * (layerCount - 1)
            }
        return rows * (layers + widths.shared)
    }

    /// BF16 elements that an arena takes.
    static func halfCount(
        _ configuration: ModelConfiguration,
        rows: Int,
        keeping kept: KeptActivations
    ) -> Int {
        guard kept == .halves else { return 0 }
        return rows * Widths(configuration).inner * (configuration.layerCount - 1)
    }

    /// By ``NormSite``'s raw value.
    private static func statistics(
        _ widths: Widths,
        _ carver: inout TensorCarver
    ) -> [DeviceTensor?] {
        NormSite.allCases.map { site in widths.statistics(site).map { carver.take($0) } }
    }

    private static func slot(_ widths: Widths, _ carver: inout TensorCarver) -> Layer {
        let (c, q, k, f) = (widths.hidden, widths.query, widths.key, widths.mlp)
        let input = carver.take(c)
        let attentionInput = widths.hasInputNorms ? carver.take(c) : input
        let (query, key, value) = (carver.take(q), carver.take(k), carver.take(k))
        let attention = carver.take(q)
        let middle = carver.take(c)
        let mlpInput = widths.hasInputNorms ? carver.take(c) : middle
        let (gate, up) = (carver.take(widths.gate), carver.take(f))
        let normInputs = NormSite.allCases.map { site -> DeviceTensor? in
            guard widths.statistics(site) != nil else { return nil }
            return switch site {
            case .attentionInput: input
            case .mlpInput: middle
            case .query: carver.take(q)
            case .key: carver.take(k)
            case .attentionOutput, .mlpOutput: carver.take(c)
            }
        }
        let norms = zip(normInputs, statistics(widths, &carver)).map { input, statistics in
            input.flatMap { input in statistics.map { Norm(input: input, statistics: $0) } }
        }
        return Layer(
            input: input,
            attentionInput: attentionInput,
            query: query,
            key: key,
            value: value,
            attention: attention,
            middle: middle,
            mlpInput: mlpInput,
            gate: gate,
            up: up,
            norms: norms
        )
    }
}

/// What a pass keeps of its layers.
enum KeptActivations: Sendable {
    /// All that the backward pass needs.
    case all
    /// What came into each; the backward pass computes the rest of a layer again.
    case inputs
    /// All of it, but only what came into each and norms' statistics as they are, the rest as BF16.
    case halves
    /// Nothing of one when the next is computed: for inference.
    case none
}

/// Elements per token of what a pass keeps.
private struct Widths {
    let hidden: Int
    let query: Int
    let key: Int
    let mlp: Int
    let gate: Int
    /// Numbers that a norm over the hidden width keeps per row.
    let statistics: Int
    let hasInputNorms: Bool
    private let configuration: ModelConfiguration

    init(_ configuration: ModelConfiguration) {
        self.configuration = configuration
        hidden = configuration.hiddenSize
        query = configuration.queryWidth
        key = configuration.keyValueWidth
        mlp = configuration.intermediateSize
        gate = configuration.architecture.hasGate ? mlp : 0
        statistics = configuration.architecture.norm.isCentered ? 2 : 1
        hasInputNorms = NormSite.attentionInput.isPresent(in: configuration.architecture)
    }

    /// Numbers per row that a layer's norm keeps; nil where there is none.
    func statistics(_ site: NormSite) -> Int? {
        guard site.isPresent(in: configuration.architecture) else { return nil }
        let heads =
            switch site {
            case .query: configuration.headCount
            case .key: configuration.keyValueHeadCount
            case .attentionInput, .attentionOutput, .mlpInput, .mlpOutput: 1
            }
        switch configuration.architecture.queryKeyNorm {
        case .perHead: return heads * statistics
        case .none, .fullWidth: return statistics
        }
    }

    /// Numbers per row that a layer's norms keep.
    var statisticsPerLayer: Int { NormSite.allCases.reduce(0) { $0 + (statistics($1) ?? 0) } }

    /// What a layer keeps beside its input and statistics.
    var inner: Int { perLayer - hidden - statisticsPerLayer }

    var perLayer: Int {
        let kept = NormSite.allCases.reduce(0) { sum, site in
            guard let statistics = statistics(site) else { return sum }
            switch site {
            case .attentionInput, .mlpInput: return sum + statistics
            case .query: return sum + query + statistics
            case .key: return sum + key + statistics
            case .attentionOutput, .mlpOutput: return sum + hidden + statistics
            }
        }
        return (hasInputNorms ? 4 : 2) * hidden + 2 * query + 2 * key + mlp + gate + kept
    }

    var largest: Int { max(hidden, query, mlp) }
    var shared: Int { 3 * hidden + statistics + mlp + largest }
}
