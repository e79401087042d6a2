internal import Formats
internal import Kernels
internal import Quantization

/// What rounding does to the outputs of the linear modules that share an input, if the input's channels
/// are scaled before.
struct RoundingMeasure {
    private let parameters: Parameters
    private let entries: [ParameterLayout.Entry]
    private let format: QuantizationFormat
    private let search: ScaleSearch
    private let inputs: LayerwisePass.Inputs
    private let team: ThreadTeam
    private let product: MatrixProduct
    /// Of the largest module: its weight, rounded, and what the difference spreads to.
    private let room: AlignedBuffer<Float>
    private let width: Int

    /// Measures weights as they are now.
    ///
    /// `search`: How the scales of blocks are found. `inputs`: What comes in unscaled.
    init(
        parameters: Parameters,
        entries: [ParameterLayout.Entry],
        format: QuantizationFormat,
        search: ScaleSearch,
        inputs: LayerwisePass.Inputs,
        team: ThreadTeam
    ) {
        self.parameters = parameters
        self.entries = entries
        self.format = format
        self.search = search
        self.inputs = inputs
        self.team = team
        product = MatrixProduct(team: team)
        room = AlignedBuffer(count: 2 * (entries.map(\.count).max() ?? 0))
        width = entries.first?.columns ?? 0
    }

    /// The mean square of each channel of the inputs, times their number.
    private func moment(_ channel: Int) -> Float {
        inputs.moments.host.pointer[channel * width + channel]
    }

    /// The root mean square of each channel of the inputs.
    var inputStrength: [Double] {
        (0..<width).map { (Double(moment($0)) / Double(max(inputs.count, 1))).squareRoot() }
    }

    /// The mean magnitude of each channel's weights, relative to the largest of its block.
    var weightStrength: [Double] {
        var sums = [Double](repeating: 0, count: width)
        let span = format.span(columns: width)
        for entry in entries {
            let values = parameters.elements(of: entry)
            for start in stride(from: 0, to: entry.count, by: span) {
                let largest = (start..<start + span).reduce(Float(0)) { max($0, abs(values[$1])) }
                guard largest > 0 else { continue }
                for index in start..<start + span {
                    sums[index % width] += Double(abs(values[index]) / largest)
                }
            }
        }
        let rows = entries.reduce(0) { $0 + $1.rows }
        return sums.map { $0 / Double(max(rows, 1)) }
    }

    /// `Σ d · M · dᵀ` over the rows of all modules, of `d = w - round(w · s) / s`.
    ///
    /// - Throws: `QuantizationError` for weights that are not finite.
    func outputError(_ scales: [Float]) throws -> Double {
        // Modules that servers fuse share one scale per tensor.
        let amax = format.scaleKind.hasTensorScale ? sharedAmax(scales) : nil
        let importance = scales.indices.map { moment($0) / (scales[$0] * scales[$0]) }
        return try entries.reduce(0) { sum, entry in
            scale(entry, scales)
            try WeightRounding.replace(
                UnsafeMutableBufferPointer(start: room.pointer, count: entry.count),
                columns: width,
                format: format,
                search: search,
                importance: importance,
                amax: amax,
                team: team
            )
            return sum + error(of: entry, scales)
        }
    }

    private func sharedAmax(_ scales: [Float]) -> Float {
        entries.reduce(0) { largest, entry in
            scale(entry, scales)
            return max(largest, BlockQuantizer.amax(room.pointer, count: entry.count, team: team))
        }
    }

    /// Puts a module's weight, its columns scaled, into the room.
    private func scale(_ entry: ParameterLayout.Entry, _ scales: [Float]) {
        let (values, scaled) = (parameters.storage.pointer + entry.offset, room.pointer)
        team.parallelFor(count: entry.rows) { range in
            for row in range {
                for column in 0..<width {
                    scaled[row * width + column] = values[row * width + column] * scales[column]
                }
            }
        }
    }

    private func error(of entry: ParameterLayout.Entry, _ scales: [Float]) -> Double {
        let (values, difference) = (parameters.storage.pointer + entry.offset, room.pointer)
        let spread = room.pointer + entry.count
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
}
