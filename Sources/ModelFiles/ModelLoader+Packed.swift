public import Kernels
internal import Quantization
public import Transformer

extension ModelLoader {
    /// Reads an opened model for inference: weights stay as packed as they are stored.
    ///
    /// Weights in one of the suite's formats keep their codes and scales; others, and formats whose blocks
    /// tiles do not hold, are kept in the least of BF16, FP16 and FP32 that has their values exactly.
    /// Matrices are read a few megabytes at a time.
    ///
    /// - Throws: ``ModelFileError``, naming the file and the place; also of a weight that holds a NaN or
    ///   an infinity.
    public static func loadPacked(_ source: any ModelSource, team: ThreadTeam) throws -> LoadedModel
    {
        let tokenizer = try source.tokenizer()
        return LoadedModel(
            parameters: try packedParameters(of: source, team: team),
            tokenizer: tokenizer,
            source: source.kind,
            storedByteCount: source.storedByteCount,
            files: source.files,
            keyValueScales: source.keyValueScales,
            activations: source.activations
        )
    }

    /// The weights alone; see ``loadPacked(_:team:)``.
    ///
    /// - Throws: ``ModelFileError``.
    public static func packedParameters(
        of source: any ModelSource,
        team: ThreadTeam
    ) throws -> Parameters {
        let parameters = try Parameters(configuration: source.configuration)
        for entry in parameters.layout.entries {
            guard entry.shape.count > 1 else {
                try source.readFinite(entry, into: parameters.elements(of: entry), team: team)
                continue
            }
            parameters.hold(try packedWeight(entry, of: source, team: team), as: entry)
        }
        return parameters
    }

    private static func packedWeight(
        _ entry: ParameterLayout.Entry,
        of source: any ModelSource,
        team: ThreadTeam
    ) throws -> PackedWeight {
        if let tensor = try source.packed(entry) {
            do {
                if let weight = try PackedWeight(tensor, team: team) { return weight }
            } catch let error as QuantizationError {
                throw ModelFileError(
                    .malformed,
                    "\(source.path): tensor \(entry.name): \(error.message)"
                )
            }
        }
        let element = try leastElement(entry, of: source, team: team)
        return try PackedWeight(element, rows: entry.rows, columns: entry.columns) { rows, output in
            try source.readFinite(entry, rows: rows, into: output, team: team)
        }
    }

    /// The least of BF16, FP16 and FP32 that has all values of a matrix.
    private static func leastElement(
        _ entry: ParameterLayout.Entry,
        of source: any ModelSource,
        team: ThreadTeam
    ) throws -> PackedLayout.Element {
        var left: [PackedLayout.Element] = [.bfloat16, .float16]
        let step = max(1, (1 << 20) / entry.columns)
        let room = AlignedBuffer<Float>(count: min(step, entry.rows) * entry.columns)
        for first in stride(from: 0, to: entry.rows, by: step) where !left.isEmpty {
            let rows = first..<min(first + step, entry.rows)
            let count = rows.count * entry.columns
            let values = UnsafeMutableBufferPointer(start: room.pointer, count: count)
            try source.readFinite(entry, rows: rows, into: values, team: team)
            left.removeAll { !PackedWeight.isExact(room.pointer, count: count, as: $0) }
        }
        return left.first ?? .float32
    }
}
