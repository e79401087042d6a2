internal import Formats
internal import Kernels
internal import Quantization

/// Rounds single weights by a method, and says what that did.
struct WeightByWeight {
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
        let (members, amax) = members(of: group, layer: layer)
        return try members.map { try round($0, amax: amax, inputs: inputs) }
    }

    /// The weights of a group that are quantized, and what stands for their largest magnitude where they
    /// share a scale per tensor.
    func members(
        of group: LinearModule,
        layer: Int
    ) -> (entries: [ParameterLayout.Entry], amax: Float?) {
        let members = parameters.layout.entries(sharingInputOf: group, layer: layer)
            .filter { formats[$0.name] != nil }
        let isShared = members.contains { formats[$0.name]?.scaleKind.hasTensorScale == true }
        return (members, isShared ? parameters.sharedAmax(group, layer: layer, team: team) : nil)
    }

    func round(
        _ entry: ParameterLayout.Entry,
        amax: Float?,
        inputs: LayerwisePass.Inputs?
    ) throws -> PostTrainingQuantizer.Result {
        guard let format = formats[entry.name] else {
            preconditionFailure("\(entry.name) is not quantized")
        }
        return try rounding(entry) { values in
            guard case .gptq(let gptq) = method.rounding, let inputs else {
                return try nearest(values, entry, format, amax: amax, inputs: inputs)
            }
            return try gptq.round(
                values,
                rows: entry.rows,
                columns: entry.columns,
                format: format,
                moments: UnsafeBufferPointer(inputs.moments.host.elements),
                amax: amax,
                team: team
            )
        }
    }

    /// Rounds values to nearest under searched scales, in place.
    func nearest(
        _ values: UnsafeMutableBufferPointer<Float>,
        _ entry: ParameterLayout.Entry,
        _ format: QuantizationFormat,
        amax: Float?,
        inputs: LayerwisePass.Inputs?
    ) throws -> PackedTensor {
        try WeightRounding.round(
            values,
            columns: entry.columns,
            format: format,
            search: method.search,
            importance: inputs.map { inputs in
                (0..<entry.columns).map {
                    inputs.moments.host.pointer[$0 * entry.columns + $0]
                }
            },
            amax: amax,
            team: team
        )
    }

    /// What a weight becomes by `body`, which replaces its values, and what that does to it.
    private func rounding(
        _ entry: ParameterLayout.Entry,
        _ body: (UnsafeMutableBufferPointer<Float>) throws -> PackedTensor
    ) rethrows -> PostTrainingQuantizer.Result {
        original.pointer.update(from: parameters.storage.pointer + entry.offset, count: entry.count)
        return result(entry, try body(parameters.elements(of: entry)), of: original.pointer)
    }

    /// A weight that became `packed`, and whose values are that already.
    func result(
        _ entry: ParameterLayout.Entry,
        _ packed: PackedTensor,
        of original: UnsafePointer<Float>
    ) -> PostTrainingQuantizer.Result {
        let statistics = QuantizationStatistics(
            values: original,
            quantized: parameters.storage.pointer + entry.offset,
            packed: packed,
            team: team
        )
        return .init(entry: entry, packed: packed, statistics: statistics)
    }
}
