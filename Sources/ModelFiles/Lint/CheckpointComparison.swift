internal import Formats
public import Kernels
internal import Quantization
internal import Transformer

/// Compares a checkpoint with the model it was made from, parameter by parameter.
public enum CheckpointComparison {
    /// Dequantizes each parameter of both and measures the noise between them.
    ///
    /// One parameter is in memory at a time. A parameter counts as rounded if its signal to noise
    /// ratio is at least 6 dB stored in 4 bits, 15 in 6, 18 in 8 and 40 in more: what GPTQ leaves, which
    /// trades noise in weights for less in outputs, and far above what another weight would have.
    ///
    /// - Parameters:
    ///   - path: A Hugging Face folder, a GGUF file or a folder with a `model.gguf`.
    ///   - source: The model it was made from.
    ///   - team: Threads for dequantizing and comparing.
    ///   - onTensor: Called after each parameter.
    /// - Returns: A comparison for each parameter of either, in the order of the layout.
    /// - Throws: ``ModelFileError`` if either cannot be read.
    public static func compare(
        path: String,
        source: String,
        team: ThreadTeam,
        onTensor: (TensorComparison) -> Void = { _ in }
    ) throws -> [TensorComparison] {
        let checkpoint = try ModelLoader.open(path: path)
        let original = try ModelLoader.open(path: source)
        let widths = StoredWidths(checkpoint)
        let ours = ParameterLayout(configuration: checkpoint.configuration)
        let theirs = ParameterLayout(configuration: original.configuration)
        var comparisons: [TensorComparison] = []
        for name in names(ours, theirs) {
            let comparison: TensorComparison
            if let entry = ours[name] ?? head(name, in: ours),
                let other = theirs[name] ?? head(name, in: theirs)
            {
                if entry.shape == other.shape {
                    comparison = try compare(
                        name,
                        (checkpoint, entry),
                        (original, other),
                        widths,
                        team
                    )
                } else {
                    comparison = .incomparable(
                        name,
                        "has the shape \(entry.shape), in the source \(other.shape)"
                    )
                }
            } else {
                let place = ours[name] == nil ? "the source alone" : "the checkpoint alone"
                comparison = .incomparable(name, "is in \(place): it is another model")
            }
            comparisons.append(comparison)
            onTensor(comparison)
        }
        return comparisons
    }

    /// The names of all parameters, those of the source alone last.
    private static func names(_ ours: ParameterLayout, _ theirs: ParameterLayout) -> [String] {
        let own = ours.entries.map(\.name)
        return own + theirs.entries.map(\.name).filter { ours[$0] == nil }
    }

    /// A head that is tied is the embedding.
    private static func head(_ name: String, in layout: ParameterLayout) -> ParameterLayout.Entry? {
        name == HeadTensors.name ? layout.head : nil
    }

    private static func compare(
        _ name: String,
        _ ours: (model: any ModelSource, entry: ParameterLayout.Entry),
        _ theirs: (model: any ModelSource, entry: ParameterLayout.Entry),
        _ widths: StoredWidths,
        _ team: ThreadTeam
    ) throws -> TensorComparison {
        let count = ours.entry.count
        let stored = UnsafeMutableBufferPointer<Float>.allocate(capacity: count)
        defer { stored.deallocate() }
        let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: count)
        defer { values.deallocate() }
        stored.initialize(repeating: 0)
        values.initialize(repeating: 0)
        try ours.model.read(ours.entry, into: stored, team: team)
        try theirs.model.read(theirs.entry, into: values, team: team)
        guard let first = stored.baseAddress, let second = values.baseAddress else {
            return .incomparable(name, "has no values")
        }
        let statistics = QuantizationStatistics(
            values: second,
            quantized: first,
            count: count,
            team: team
        )
        let difference = maximumDifference(stored, values)
        let sqnr = statistics.sqnrDecibels
        let bits = widths.bits(of: ours.entry)
        let floor = floor(bits: bits)
        let verdict: TensorComparison.Verdict =
            difference == 0
            ? .exact
            : sqnr >= floor && difference.isFinite
                ? .rounded : widths.changesWeights && difference.isFinite ? .changed : .differs
        let decibels = (sqnr * 10).rounded() / 10
        return TensorComparison(
            name: name,
            verdict: verdict,
            maximumDifference: difference,
            sqnrDecibels: sqnr,
            message: [.differs, .changed].contains(verdict)
                ? """
                \(decibels) dB, below \(Int(floor)) dB for \(widths.words(of: ours.entry)); \
                \(widths.excuse)
                """ : ""
        )
    }

    /// The least signal to noise ratio, in dB, that rounding to so many bits leaves.
    private static func floor(bits: Int) -> Double {
        switch bits {
        case ...5: 6
        case 6, 7: 15
        case 8...15: 18
        default: 40
        }
    }

    /// Infinite if a value is NaN.
    private static func maximumDifference(
        _ first: UnsafeMutableBufferPointer<Float>,
        _ second: UnsafeMutableBufferPointer<Float>
    ) -> Float {
        var maximum: Float = 0
        for index in 0..<first.count {
            let difference = abs(first[index] - second[index])
            maximum = difference.isNaN ? .infinity : max(maximum, difference)
        }
        return maximum
    }
}
