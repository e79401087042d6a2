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

    private var configuration: ModelConfiguration { parameters.configuration }

    init(parameters: Parameters, layer: Int, team: ThreadTeam) {
        self.parameters = parameters
        self.layer = layer
        self.team = team
    }

    /// AWQ: of the candidates, the scales after which the rounding that follows changes the group's
    /// outputs least.
    ///
    /// `search`: How the scales of blocks will be found.
    ///
    /// - Throws: `QuantizationError` for weights and moments that are not finite.
    func activationAwareScales(
        _ group: LinearModule,
        format: QuantizationFormat,
        search: ScaleSearch,
        inputs: LayerwisePass.Inputs
    ) throws -> [Float] {
        let measure = RoundingMeasure(
            parameters: parameters,
            entries: members(of: group),
            format: format,
            search: search,
            inputs: inputs,
            team: team
        )
        let input = shared(measure.inputStrength, group)
        let weight = shared(measure.weightStrength, group)
        var best = (error: Double.infinity, scales: input.map { _ in Float(1) })
        for candidate in Self.candidates(input, weight) {
            let scales = Self.normalized(candidate)
            let error = try measure.outputError(scales)
            if error < best.error { best = (error, scales) }
        }
        return best.scales
    }

    /// Powers 0, 1/20, … 1 of what channels come in with; and the same by the rest of that power of what
    /// weights make of them, as AWQ's later versions have it ("duo scaling").
    private static func candidates(_ input: [Double], _ weight: [Double]) -> [[Double]] {
        let powers = (0...20).map { Double($0) / 20 }
        let single = powers.map { power in input.map { pow($0, power) } }
        let both = powers.map { power in
            zip(input, weight).map { pow($0, power) / (pow($1, 1 - power) + 1e-4) }
        }
        return single + both
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
