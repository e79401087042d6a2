internal import Formats
internal import Kernels
internal import Quantization

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// Scales the input channels of a layer's linear modules, and what puts them out inversely, so that
/// the model computes the same until it is rounded.
///
/// A group's inputs come from a norm (whose weight and bias take the inverse), from the value
/// projection (attention averages its rows' outputs, so its rows take it) or from the up projection
/// (likewise, where a gate multiplies it or the nonlinearity is homogeneous). A group whose inputs come
/// straight from the residual stream, or through a nonlinearity that lets no scale pass, is left as it
/// is.
struct ChannelSmoothing {
    private let parameters: Parameters
    private let layer: Int
    private let team: ThreadTeam
    private let product: MatrixProduct

    private var configuration: ModelConfiguration { parameters.configuration }

    init(parameters: Parameters, layer: Int, team: ThreadTeam) {
        self.parameters = parameters
        self.layer = layer
        self.team = team
        product = MatrixProduct(team: team)
    }

    /// AWQ: of the powers 0, 1/20, … 1 of the inputs' root mean square, the one after which rounding
    /// changes the group's outputs least; by the inputs' second moments.
    func activationAwareScales(
        _ group: LinearModule,
        format: QuantizationFormat,
        inputs: LayerwisePass.Inputs
    ) -> [Float] {
        let width = group.inputWidth(configuration)
        let strength = shared(
            (0..<width).map { channel in
                let square = Double(inputs.moments.host.pointer[channel * width + channel])
                return (square / Double(max(inputs.count, 1))).squareRoot()
            },
            group
        )
        let entries = members(of: group)
        let room = AlignedBuffer<Float>(count: 2 * (entries.map(\.count).max() ?? 0))
        var best = (error: Double.infinity, scales: [Float](repeating: 1, count: width))
        for step in 0...20 {
            let scales = Self.normalized(strength.map { pow($0, Double(step) / 20) })
            let error = entries.reduce(0) { sum, entry in
                sum + outputError(entry, scales, format, inputs, room)
            }
            if error < best.error { best = (error, scales) }
        }
        return best.scales
    }

    /// SmoothQuant's scales.
    func smoothQuantScales(
        _ group: LinearModule,
        inputs: LayerwisePass.Inputs,
        migration: Double
    ) -> [Float] {
        let width = group.inputWidth(configuration)
        var weightAmax = [Float](repeating: 0, count: width)
        for entry in members(of: group) {
            let values = parameters.elements(of: entry)
            for index in 0..<entry.count {
                weightAmax[index % width] = max(weightAmax[index % width], abs(values[index]))
            }
        }
        let strength = (0..<width).map { channel in
            let input = Double(max(inputs.amax.host.pointer[channel], 1e-5))
            let weight = Double(max(weightAmax[channel], 1e-5))
            return pow(input, migration) / pow(weight, 1 - migration)
        }
        return Self.normalized(shared(strength, group))
    }

    /// Multiplies the group's columns by `scales`, divides what puts its inputs out, and brings the
    /// second moments up to date.
    func fold(_ scales: [Float], into group: LinearModule, inputs: LayerwisePass.Inputs) {
        let width = scales.count
        for entry in members(of: group) {
            let values = parameters.elements(of: entry)
            for row in 0..<entry.rows {
                for column in 0..<width { values[row * width + column] *= scales[column] }
            }
        }
        switch group {
        case .output:
            let head = configuration.headDimension
            let perKeyHead = configuration.headCount / configuration.keyValueHeadCount
            divideRows(of: .value) { scales[$0 / head * perKeyHead * head + $0 % head] }
        case .down:
            let power =
                configuration.architecture.hasGate
                ? 1 : Float(configuration.architecture.activation.homogeneity ?? 1)
            divideRows(of: .up) { power == 1 ? scales[$0] : pow(scales[$0], 1 / power) }
        case .query, .key, .value: divideNorm(.attentionInput, by: scales)
        case .gate, .up: divideNorm(.mlpInput, by: scales)
        }
        for row in 0..<width {
            for column in 0..<width {
                inputs.moments.host.pointer[row * width + column] /= scales[row] * scales[column]
            }
            inputs.amax.host.pointer[row] /= scales[row]
        }
    }

    /// Whether something before the group's inputs can take the inverse of a scale.
    func isPossible(_ group: LinearModule) -> Bool {
        let architecture = configuration.architecture
        switch group {
        case .output: return true
        case .down: return architecture.hasGate || architecture.activation.homogeneity != nil
        case .query, .key, .value: return NormSite.attentionInput.isPresent(in: architecture)
        case .gate, .up: return NormSite.mlpInput.isPresent(in: architecture)
        }
    }

    private func members(of group: LinearModule) -> [ParameterLayout.Entry] {
        parameters.layout.entries(sharingInputOf: group, layer: layer)
    }

    /// Query heads that read the same values must scale them alike: their mean square decides.
    private func shared(_ strength: [Double], _ group: LinearModule) -> [Double] {
        guard group == .output else { return strength }
        let head = configuration.headDimension
        let perKeyHead = configuration.headCount / configuration.keyValueHeadCount
        return strength.indices.map { channel in
            let first = channel / (head * perKeyHead) * perKeyHead
            let squares = (first..<first + perKeyHead).map { query in
                strength[query * head + channel % head] * strength[query * head + channel % head]
            }
            return (squares.reduce(0, +) / Double(perKeyHead)).squareRoot()
        }
    }

    /// Scales around 1, within what BF16 norms take without trouble.
    private static func normalized(_ strength: [Double]) -> [Float] {
        let positive = strength.map { max($0, 1e-4) }
        let middle = ((positive.max() ?? 1) * (positive.min() ?? 1)).squareRoot()
        return positive.map { Float(min(max($0 / middle, 1e-3), 1e3)) }
    }

    /// `Σ d · M · dᵀ` over rows of `d = w - round(w · s) / s`.
    private func outputError(
        _ entry: ParameterLayout.Entry,
        _ scales: [Float],
        _ format: QuantizationFormat,
        _ inputs: LayerwisePass.Inputs,
        _ room: AlignedBuffer<Float>
    ) -> Double {
        let width = entry.columns
        let values = parameters.storage.pointer + entry.offset
        let difference = room.pointer
        let spread = room.pointer + entry.count
        team.parallelFor(count: entry.rows) { range in
            for row in range {
                for column in 0..<width {
                    difference[row * width + column] =
                        values[row * width + column] * scales[column]
                }
            }
        }
        BlockQuantizer.fakeQuantize(
            difference,
            into: difference,
            rows: entry.rows,
            columns: width,
            format: format,
            team: team
        )
        team.parallelFor(count: entry.rows) { range in
            for row in range {
                for column in 0..<width {
                    let index = row * width + column
                    difference[index] = values[index] - difference[index] / scales[column]
                }
            }
        }
        product.linear(
            output: spread,
            input: difference,
            weight: .rows(inputs.moments.host.pointer),
            rows: entry.rows,
            inputWidth: width,
            outputWidth: width
        )
        return MatrixProduct.dot(difference, spread, count: entry.count)
    }

    private func divideNorm(_ site: NormSite, by scales: [Float]) {
        guard let norm = parameters.layout.norm(site, layer: layer) else {
            preconditionFailure("layer \(layer) has no norm there: \(site)")
        }
        let offset = configuration.architecture.norm.weightOffset
        let weight = parameters.elements(of: norm.weight)
        for channel in scales.indices {
            weight[channel] = (weight[channel] + offset) / scales[channel] - offset
        }
        guard let bias = norm.bias.map({ parameters.elements(of: $0) }) else { return }
        for channel in scales.indices { bias[channel] /= scales[channel] }
    }

    private func divideRows(of module: LinearModule, _ scale: (Int) -> Float) {
        let entry = parameters.layout.entry(of: module, layer: layer)
        let values = parameters.elements(of: entry)
        let bias = parameters.layout.bias(of: module, layer: layer).map {
            parameters.elements(of: $0)
        }
        for row in 0..<entry.rows {
            let divisor = scale(row)
            for column in 0..<entry.columns { values[row * entry.columns + column] /= divisor }
            bias?[row] /= divisor
        }
    }
}
