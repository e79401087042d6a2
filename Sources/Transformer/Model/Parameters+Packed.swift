public import Formats
public import Kernels
internal import Quantization

extension Parameters {
    /// The same model for inference: matrices packed, norms and biases as they are.
    ///
    /// What a recipe's final stage quantizes is packed in its format, where tiles hold that
    /// (``PackedLayout/init(_:rows:columns:)``). Every other weight, and what tiles do not hold, rounded, is
    /// kept in the least of BF16, FP16 and FP32 that has its values exactly.
    ///
    /// - Throws: ``TransformerError`` (`invalidRecipe`), `QuantizationError` of values that are not finite.
    public func packed(by recipe: QuantizationRecipe, team: ThreadTeam) throws -> Parameters {
        let twin = try Parameters(configuration: configuration)
        let weights = try quantizations(by: recipe, team: team)
        let quantized = Dictionary(uniqueKeysWithValues: weights.map { ($0.entry.offset, $0) })
        let room = AlignedBuffer<Float>(count: weights.map(\.entry.count).max() ?? 0)
        for entry in layout.entries {
            guard entry.shape.count > 1 else {
                _ = twin.elements(of: entry).update(fromContentsOf: elements(of: entry))
                continue
            }
            var values = UnsafePointer(storage.pointer + entry.offset)
            if let weight = quantized[entry.offset] {
                if let packed = try PackedWeight(try weight.quantize(), team: team) {
                    twin.hold(packed, as: entry)
                    continue
                }
                weight.fakeQuantize(into: room.pointer)
                values = UnsafePointer(room.pointer)
            }
            twin.hold(PackedWeight(exactly: values, of: entry), as: entry)
        }
        return twin
    }
}

extension PackedWeight {
    /// A matrix in the least of BF16, FP16 and FP32 that has its values exactly.
    fileprivate convenience init(
        exactly values: UnsafePointer<Float>,
        of entry: ParameterLayout.Entry
    ) {
        let halves: [PackedLayout.Element] = [.bfloat16, .float16]
        let element = halves.first { Self.isExact(values, count: entry.count, as: $0) } ?? .float32
        self.init(element, rows: entry.rows, columns: entry.columns) { rows, output in
            let start = values + rows.lowerBound * entry.columns
            output.baseAddress?.update(from: start, count: output.count)
        }
    }
}
