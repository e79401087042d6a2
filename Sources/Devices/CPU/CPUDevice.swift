public import Kernels
internal import Quantization

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// The CPU: a team of threads, OpenBLAS or BF16 products, and the kernels of this suite.
///
/// It computes in the host's memory, at once: when an operation returns, it is done. Results do not
/// depend on the number of threads.
public final class CPUDevice: ComputeDevice, @unchecked Sendable {
    let team: ThreadTeam
    let product: MatrixProduct
    private let packedProduct: PackedProduct
    // One caller at a time, as the team has it.
    var scores = Scratch<Float>()
    var scoreGradients = Scratch<Float>()
    var cappedScores = Scratch<Float>()
    var pageFloats = Scratch<Float>()
    var pageCodes = Scratch<UInt8>()
    var pageRuns = Scratch<Int32>()
    var normWeight = Scratch<Float>()
    var normPartials = Scratch<Float>()
    var lossSums = Scratch<LossSum>()
    private var partialSums = Scratch<Double>()

    /// A device of `team`'s threads.
    ///
    /// `operands`: What linear layers multiply; rounded to BF16 where the processor multiplies that
    /// itself, as they are where not.
    public init(team: ThreadTeam, operands: OperandPrecision = .float32) {
        self.team = team
        product = MatrixProduct(team: team, operands: operands)
        packedProduct = PackedProduct(team: team)
    }

    /// BF16 where products have such operands: what a weight's gradient multiplies is rounded to that
    /// anyway.
    public var activationType: ElementType {
        Self.activationType(operands: product.operands)
    }

    /// The same of devices whose linear layers multiply `operands`.
    public static func activationType(operands: OperandPrecision) -> ElementType {
        operands == .bfloat16 && operands.isSupported ? .bfloat16 : .float32
    }

    /// Memory of the host, on a 64-byte boundary.
    public func allocate(byteCount: Int) -> any DeviceMemory { HostMemory(byteCount: byteCount) }

    /// The buffer itself: the CPU computes in the host's memory.
    public func adopt(_ host: AlignedBuffer<Float>) -> any DeviceMemory { HostMemory(lent: host) }

    /// The weight itself.
    public func adopt(_ host: PackedWeight) -> PackedOperand {
        let memory = HostMemory(lent: host.memory)
        let bytes = DeviceTensor(memory, columns: host.layout.byteCount, type: .uint8)
        return PackedOperand(memory: bytes, layout: host.layout)
    }

    /// Nothing: what the host wrote is there.
    public func refresh(_ memory: any DeviceMemory) {}

    /// Nothing: what was computed is there.
    public func settle(_ memory: any DeviceMemory) {}

    /// Copies on the calling thread.
    public func upload(_ values: UnsafePointer<Int32>, to tensor: DeviceTensor) {
        tensor.tokens.update(from: values, count: tensor.count)
    }

    /// Copies on the calling thread.
    public func upload(_ values: UnsafePointer<UInt8>, to tensor: DeviceTensor) {
        tensor.bytes.update(from: values, count: tensor.count)
    }

    /// Copies on the calling thread.
    public func upload(_ values: UnsafePointer<Float>, to tensor: DeviceTensor) {
        tensor.floats.update(from: values, count: tensor.count)
    }

    /// Copies on the calling thread.
    public func download(_ tensor: DeviceTensor, into values: UnsafeMutablePointer<Float>) {
        values.update(from: tensor.floats, count: tensor.count)
    }

    /// Copies on the calling thread.
    public func download(_ tensor: DeviceTensor, into values: UnsafeMutablePointer<Int32>) {
        values.update(from: tensor.tokens, count: tensor.count)
    }

    /// Copies on the calling thread.
    public func download(_ tensor: DeviceTensor, into values: UnsafeMutablePointer<Double>) {
        values.update(from: tensor.doubles, count: tensor.count)
    }
}

// MARK: - Elements

extension CPUDevice {
    /// Elements per thread come in multiples of this, so that kernels split them alike.
    static let grain = 16
    /// Elements per partial sum of squares, however many threads there are.
    private static let chunk = 1 << 16

    /// Split over the team by elements.
    public func clear(_ tensor: DeviceTensor) {
        switch tensor.type {
        case .float32:
            let start = tensor.floats
            team.parallelFor(count: tensor.count, grain: Self.grain) { range in
                (start + range.lowerBound).update(repeating: 0, count: range.count)
            }
        case .float64: tensor.doubles.update(repeating: 0, count: tensor.count)
        case .int32: tensor.tokens.update(repeating: 0, count: tensor.count)
        case .bfloat16: tensor.halves.update(repeating: 0, count: tensor.count)
        case .uint8: tensor.bytes.update(repeating: 0, count: tensor.count)
        }
    }

    /// Split over the team by elements.
    public func copy(_ source: DeviceTensor, to target: DeviceTensor) {
        precondition(source.count == target.count, "copy: tensors of two sizes")
        switch (source.type, target.type) {
        case (.float32, .bfloat16): return narrow(source.floats, into: target.halves, source.count)
        case (.bfloat16, .float32): return widen(source.halves, into: target.floats, source.count)
        default: break
        }
        let (from, into) = (source.floats, target.floats)
        guard from != into else { return }
        team.parallelFor(count: source.count, grain: Self.grain) { range in
            (into + range.lowerBound).update(from: from + range.lowerBound, count: range.count)
        }
    }

    private func narrow(
        _ values: UnsafePointer<Float>,
        into halves: UnsafeMutablePointer<UInt16>,
        _ count: Int
    ) {
        team.parallelFor(count: count, grain: Self.grain) { range in
            let start = range.lowerBound
            HalfConversion.narrow(values + start, into: halves + start, count: range.count)
        }
    }

    private func widen(
        _ halves: UnsafePointer<UInt16>,
        into values: UnsafeMutablePointer<Float>,
        _ count: Int
    ) {
        team.parallelFor(count: count, grain: Self.grain) { range in
            let start = range.lowerBound
            HalfConversion.widen(halves + start, into: values + start, count: range.count)
        }
    }

    /// Split over the team by elements.
    public func scale(_ tensor: DeviceTensor, by factor: Float) {
        guard factor != 1 else { return }
        let values = tensor.floats
        team.parallelFor(count: tensor.count, grain: Self.grain) { range in
            DecoderKernels.scale(values + range.lowerBound, by: factor, count: range.count)
        }
    }

    /// Split over the team by elements.
    public func add(_ source: DeviceTensor, to target: DeviceTensor) {
        add(source, and: target, into: target)
    }

    /// Split over the team by elements.
    public func add(_ source: DeviceTensor, and base: DeviceTensor, into target: DeviceTensor) {
        precondition(
            source.count == target.count && base.count == target.count,
            "add: tensors of several sizes"
        )
        let (update, from, into) = (source.floats, base.floats, target.floats)
        team.parallelFor(count: target.count, grain: Self.grain) { range in
            let start = into + range.lowerBound
            if into != from { start.update(from: from + range.lowerBound, count: range.count) }
            DecoderKernels.add(start, update + range.lowerBound, count: range.count)
        }
    }

    /// Split over the team by rows.
    public func addBias(_ bias: DeviceTensor, to target: DeviceTensor) {
        precondition(bias.count == target.columns, "addBias: a bias of another width")
        let (values, output, width) = (bias.floats, target.floats, target.columns)
        team.parallelFor(count: target.rows) { range in
            for row in range { DecoderKernels.add(output + row * width, values, count: width) }
        }
    }

    /// Split over the team by columns.
    public func addColumnSums(of source: DeviceTensor, to sums: DeviceTensor) {
        precondition(sums.count == source.columns, "addColumnSums: sums of another width")
        let (values, output, width) = (source.floats, sums.floats, source.columns)
        team.parallelFor(count: width, grain: Self.grain) { range in
            for row in 0..<source.rows {
                DecoderKernels.add(
                    output + range.lowerBound,
                    values + row * width + range.lowerBound,
                    count: range.count
                )
            }
        }
    }

    /// Each thread finds that of its part.
    public func maximumMagnitude(
        of source: DeviceTensor,
        into scalar: DeviceTensor,
        accumulating: Bool
    ) {
        let found = BlockQuantizer.amax(source.floats, count: source.count, team: team)
        scalar.floats.pointee = accumulating ? max(scalar.floats.pointee, found) : found
    }

    /// Split over the team by columns.
    public func addColumnMaxima(of source: DeviceTensor, to maxima: DeviceTensor) {
        precondition(maxima.count == source.columns, "addColumnMaxima: maxima of another width")
        let (values, output, width) = (source.floats, maxima.floats, source.columns)
        team.parallelFor(count: width, grain: Self.grain) { range in
            for row in 0..<source.rows {
                let start = values + row * width
                for column in range { output[column] = max(output[column], abs(start[column])) }
            }
        }
    }

    /// Summed by parts of a fixed size, which are added in order.
    public func norm(of source: DeviceTensor) -> Double {
        let values = source.floats
        return sum(ofParts: source.count) { start, count in
            OptimizerKernels.sumOfSquares(values + start, count: count)
        }.squareRoot()
    }

    /// Adds what `part` makes of parts of a fixed size, by start and count, in order.
    private func sum(
        ofParts count: Int,
        _ part: (_ start: Int, _ count: Int) -> Double
    ) -> Double {
        let chunks = (count + Self.chunk - 1) / Self.chunk
        let partialSums = self.partialSums.reserve(chunks)
        team.parallelFor(count: chunks) { range in
            for index in range {
                let start = index * Self.chunk
                partialSums[index] = part(start, min(Self.chunk, count - start))
            }
        }
        return UnsafeBufferPointer(start: partialSums, count: chunks).reduce(0, +)
    }
}

extension CPUDevice {
    /// Summed by parts of a fixed size, which are added in order.
    public func clipGradient(
        _ gradient: DeviceTensor,
        source: DeviceTensor,
        limit: Float,
        limitGradient: DeviceTensor
    ) {
        precondition(
            gradient.count == source.count && limitGradient.count == 1,
            "clipGradient: \(gradient.count) of \(source.count), \(limitGradient.count) limits"
        )
        let (gradients, values) = (gradient.floats, source.floats)
        limitGradient.doubles.pointee += sum(ofParts: source.count) { start, count in
            DecoderKernels.clipGradient(
                gradients + start,
                values + start,
                count: count,
                limit: limit
            )
        }
    }
}

// MARK: - Linear layers and the optimizer

extension CPUDevice {
    /// Panels of BF16, where products have such operands.
    public func preparedByteCount(rows: Int, columns: Int) -> Int {
        Self.preparedByteCount(rows: rows, columns: columns, operands: product.operands)
    }

    /// The same of devices whose linear layers multiply `operands`.
    public static func preparedByteCount(
        rows: Int,
        columns: Int,
        operands: OperandPrecision
    ) -> Int {
        MatrixProduct.packedCount(rows: rows, columns: columns, operands: operands)
            * MemoryLayout<UInt32>.stride
    }

    /// Bytes of memory of their own that products of such a prepared weight take beside their operands.
    public static func transposedByteCount(
        rows: Int,
        columns: Int,
        operands: OperandPrecision,
        threads: Int
    ) -> Int {
        MatrixProduct.transposedCount(
            rows: rows,
            columns: columns,
            operands: operands,
            threads: threads
        ) * MemoryLayout<UInt32>.stride
    }

    /// Split over the team by rows.
    public func prepare(_ weight: DeviceTensor, in memory: DeviceTensor) -> WeightOperand {
        let size = preparedByteCount(rows: weight.rows, columns: weight.columns)
        precondition(size > 0 && memory.count >= size, "prepare: \(memory.count) of \(size) bytes")
        product.pack(weight.floats, rows: weight.rows, columns: weight.columns, into: memory.words)
        return .prepared(memory, rows: weight.rows, columns: weight.columns)
    }

    private static func source(of weight: WeightOperand) -> MatrixProduct.Weight {
        switch weight {
        case .tensor(let tensor): .rows(tensor.floats)
        case .prepared(let memory, _, _): .packed(memory.words)
        case .packed: preconditionFailure("a packed weight is multiplied forward only")
        }
    }

    /// By OpenBLAS, sliced over the team, or with operands rounded to BF16; packed weights by kernels of
    /// their own.
    public func multiply(_ product: LinearProduct) {
        switch product {
        case .forward(let input, .packed(let weight), let output):
            let shape = shape(of: .packed(weight), rows: output, input: input)
            packedProduct.multiply(
                weight.layout,
                at: weight.memory.bytes,
                input: input.floats,
                rows: shape.rows,
                output: output.floats
            )
        case .forward(let input, let weight, let output):
            let shape = shape(of: weight, rows: output, input: input)
            self.product.linear(
                output: output.floats,
                input: input.floats,
                weight: Self.source(of: weight),
                rows: shape.rows,
                inputWidth: shape.input,
                outputWidth: shape.output
            )
        case .inputGradient(let outputGradient, let weight, let inputGradient, let isAccumulating):
            let shape = shape(of: weight, rows: outputGradient, input: inputGradient)
            self.product.linearInputGradient(
                inputGradient.floats,
                accumulating: isAccumulating ? 1 : 0,
                outputGradient: outputGradient.floats,
                weight: Self.source(of: weight),
                rows: shape.rows,
                inputWidth: shape.input,
                outputWidth: shape.output
            )
        case .weightGradient(let outputGradient, let input, let weightGradient):
            let shape = shape(of: .tensor(weightGradient), rows: outputGradient, input: input)
            self.product.linearWeightGradient(
                weightGradient.floats,
                outputGradient: outputGradient.floats,
                input: input.floats,
                rows: shape.rows,
                inputWidth: shape.input,
                outputWidth: shape.output
            )
        }
    }

    /// Split over the team by rows.
    public func addLowRank(
        _ factors: LowRankFactors,
        to base: DeviceTensor,
        into target: DeviceTensor
    ) {
        let (a, b, columns) = (factors.a, factors.b, target.columns)
        precondition(
            base.count == target.count && b.rows == target.rows && a.columns == columns,
            "addLowRank: [\(b.rows), \(a.columns)] to [\(target.rows), \(columns)]"
        )
        let (rank, scale) = (a.rows, factors.scale)
        let (first, second) = (a.floats, b.floats)
        let (from, into) = (base.floats, target.floats)
        team.parallelFor(count: target.rows, grain: 2) { range in
            let start = range.lowerBound * columns
            DecoderKernels.addLowRank(
                into + start,
                base: from + start,
                b: second + range.lowerBound * rank,
                a: first,
                shape: (range.count, rank, columns),
                scale: scale
            )
        }
    }

    private func shape(
        of weight: WeightOperand,
        rows output: DeviceTensor,
        input: DeviceTensor
    ) -> (rows: Int, input: Int, output: Int) {
        precondition(
            input.rows == output.rows && weight.rows == output.columns
                && weight.columns == input.columns,
            """
            a product of [\(input.rows), \(input.columns)], [\(weight.rows), \(weight.columns)] and \
            [\(output.rows), \(output.columns)]
            """
        )
        return (output.rows, weight.columns, weight.rows)
    }
}
