public import Formats
public import Kernels

/// What the engine computes with: coarse operations on whole tensors.
///
/// The engine describes a step as a sequence of these calls and never touches an element, so that what
/// runs it may be threads on a CPU or a queue on a GPU. Operations are ordered: each sees what those
/// before it wrote, and only ``download(_:into:)-(_,UnsafeMutablePointer<Float>)`` and its like wait.
/// Sums have an order that the shapes alone decide on; no operation allocates once it has run with the
/// largest shapes. Tensors of an operation are single precision unless it says otherwise. Shapes that do
/// not fit are a mistake of the caller: a precondition.
///
/// Not for concurrent use.
public protocol ComputeDevice: AnyObject, Sendable {
    /// What activations are kept as for the backward pass: ``ElementType/float32``, or
    /// ``ElementType/bfloat16``.
    var activationType: ElementType { get }

    // MARK: Memory

    /// Zeroed memory.
    func allocate(byteCount: Int) -> any DeviceMemory
    /// Memory that holds what `host` does. A device that computes in the host's memory uses it as it
    /// is; others hold a copy until ``settle(_:)``.
    func adopt(_ host: AlignedBuffer<Float>) -> any DeviceMemory
    /// A packed weight for products and ``embed(_:packed:into:)``. A device that computes in the host's
    /// memory reads it where it is.
    func adopt(_ host: PackedWeight) -> PackedOperand
    /// Takes what the host changed in a buffer since it was adopted.
    func refresh(_ memory: any DeviceMemory)
    /// Brings adopted memory's content back into the host's buffer.
    func settle(_ memory: any DeviceMemory)
    /// Copies `tensor.count` elements to the device.
    func upload(_ values: UnsafePointer<Int32>, to tensor: DeviceTensor)
    /// Copies `tensor.count` elements to the device.
    func upload(_ values: UnsafePointer<UInt8>, to tensor: DeviceTensor)
    /// Copies `tensor.count` elements to the device.
    func upload(_ values: UnsafePointer<Float>, to tensor: DeviceTensor)
    /// Copies all elements to the host, once they are computed.
    func download(_ tensor: DeviceTensor, into values: UnsafeMutablePointer<Float>)
    /// The same of whole numbers.
    func download(_ tensor: DeviceTensor, into values: UnsafeMutablePointer<Int32>)
    /// The same in double precision.
    func download(_ tensor: DeviceTensor, into values: UnsafeMutablePointer<Double>)

    // MARK: Elements

    /// Sets all elements to zero.
    func clear(_ tensor: DeviceTensor)
    /// `target = source`, of as many elements; nothing if they are the same. Either may be bfloat16 where
    /// the other is float32: rounded to nearest, ties to even.
    func copy(_ source: DeviceTensor, to target: DeviceTensor)
    /// Multiplies in place; by 1, does nothing.
    func scale(_ tensor: DeviceTensor, by factor: Float)
    /// `target += source`, element by element.
    func add(_ source: DeviceTensor, to target: DeviceTensor)
    /// `target = base + source`, element by element; `target` may be `base`.
    func add(_ source: DeviceTensor, and base: DeviceTensor, into target: DeviceTensor)
    /// Adds a bias to each row.
    func addBias(_ bias: DeviceTensor, to target: DeviceTensor)
    /// `sums += Σ rows of source`, each column's rows in order.
    func addColumnSums(of source: DeviceTensor, to sums: DeviceTensor)
    /// `scalar = max |x|`; NaN or infinity if any element is. `accumulating`: Not less than `scalar` was.
    func maximumMagnitude(of source: DeviceTensor, into scalar: DeviceTensor, accumulating: Bool)
    /// `scalar = max |x|` by column, not less than `maxima` was.
    func addColumnMaxima(of source: DeviceTensor, to maxima: DeviceTensor)
    /// The root of the sum of squares, in double precision.
    func norm(of source: DeviceTensor) -> Double

    // MARK: Linear layers

    /// Bytes of a weight in the form that products read best; 0 where they read it as it is.
    func preparedByteCount(rows: Int, columns: Int) -> Int
    /// Puts a weight into that form, once for many products; `memory` (uint8) has
    /// ``preparedByteCount(rows:columns:)`` bytes. Products of it are those of the weight, to the bit.
    func prepare(_ weight: DeviceTensor, in memory: DeviceTensor) -> WeightOperand
    /// A matrix product of a linear layer, forward or backward.
    func multiply(_ product: LinearProduct)

    /// `target = base + scale · b · a`, whatever linear layers multiply: products and sums of FP32 in
    /// order, and `base` as it is, to the bit, where the product is zero. `target` may be `base`.
    func addLowRank(_ factors: LowRankFactors, to base: DeviceTensor, into target: DeviceTensor)

    // MARK: Layers of a decoder

    /// Copies the rows of `table` that `tokens` (int32, one per row of `output`) name.
    func embed(_ tokens: DeviceTensor, table: DeviceTensor, into output: DeviceTensor)
    /// The same of a packed table: its rows' FP32 values.
    func embed(_ tokens: DeviceTensor, packed table: PackedOperand, into output: DeviceTensor)
    /// Adds each row's gradient to its token's row of `tableGradient`.
    func embedGradient(
        _ tokens: DeviceTensor,
        outputGradient: DeviceTensor,
        into tableGradient: DeviceTensor
    )
    /// Normalizes each row of the norm's width; `statistics` receives what the gradient needs.
    func normalize(
        _ input: DeviceTensor,
        _ norm: NormOperation,
        statistics: DeviceTensor,
        into output: DeviceTensor
    )
    /// Adds to the gradients of a norm's input and, unless nil, of its parameters.
    func normGradient(_ norm: NormOperation, _ gradient: NormGradientOperation)
    /// Turns the heads of each row, or turns them back.
    func rotate(_ values: DeviceTensor, _ rotation: RotationOperation, isInverse: Bool)
    /// Causal attention among the rows of whole sequences.
    func attend(_ attention: SequenceAttention, _ tensors: AttentionTensors)
    /// Overwrites the gradients of ``attend(_:_:)``'s queries, keys and values.
    func attendGradient(
        _ attention: SequenceAttention,
        _ tensors: AttentionTensors,
        gradients: AttentionTensors
    )
    /// Attention of one sequence's latest rows over all its keys and values.
    func attend(_ attention: CachedAttentionOperation, _ tensors: AttentionTensors)
    /// Puts each row's keys, or values, `[rows, heads · dimension]`, into its place in its sequence's pages.
    func store(_ source: DeviceTensor, of batch: PagedBatch, in pages: PagedRows)
    /// Attention of rows of several sequences over what their pages hold. What a row gets depends on its
    /// query and its sequence alone, to the bit: not on the rows beside it, nor on the number of threads.
    func attend(
        _ attention: PagedAttentionOperation,
        query: DeviceTensor,
        keys: PagedRows,
        values: PagedRows,
        into output: DeviceTensor
    )
    /// `output = f(gate) · up`, or `f(up)` without a gate.
    func activate(_ activation: DecoderKernels.Activation, _ tensors: GatedTensors)
    /// Overwrites the gradients of gate (if there is one) and up.
    func activateGradient(
        _ activation: DecoderKernels.Activation,
        _ tensors: GatedTensors,
        gradients: GatedTensors
    )
    /// `x = cap · tanh(scale · x / cap)` in place.
    func softCap(_ values: DeviceTensor, scale: Float, cap: Float)
    /// Turns the gradient of capped values into that of the uncapped, in place.
    func softCapGradient(_ gradient: DeviceTensor, capped: DeviceTensor, scale: Float, cap: Float)
    /// Softmax of `scale · x` in place, of one row.
    func softmax(_ values: DeviceTensor, scale: Float)

    // MARK: Losses

    /// Cross-entropy of each row against its target (int32; below 0: none). Logits become the gradient
    /// times `gradientScale`; the loss, the rows that counted and the hits are added to `sums`,
    /// float64 `[1, 3]`.
    func crossEntropy(
        _ logits: DeviceTensor,
        targets: DeviceTensor,
        gradientScale: Float,
        sums: DeviceTensor
    )
    /// A divergence of each row of logits. `student` becomes its gradient times `gradientScale`,
    /// `teacher` is overwritten; `sums` as for cross-entropy, hits being those of the teacher's most
    /// likely token.
    func divergence(
        _ divergence: Divergence,
        student: DeviceTensor,
        teacher: DeviceTensor,
        temperature: Float,
        gradientScale: Float,
        sums: DeviceTensor
    )

    /// The most likely tokens of each row of logits, and their log-probabilities; `logits` are
    /// overwritten.
    func findTopOutcomes(
        of logits: DeviceTensor,
        temperature: Float,
        into outcomes: TopOutcomeTensors
    )
    /// A divergence of each row from a teacher of which ``findTopOutcomes(of:temperature:into:)`` kept
    /// the most likely tokens: all others are one outcome. `student` and `sums` as for
    /// ``divergence(_:student:teacher:temperature:gradientScale:sums:)``.
    func topDivergence(
        _ divergence: Divergence,
        student: DeviceTensor,
        teacher: TopOutcomeTensors,
        temperature: Float,
        gradientScale: Float,
        sums: DeviceTensor
    )
    /// The squared distance of each row from the teacher's, relative to the square length of the
    /// teacher's (rows of zeros count as no distance). `gradient` is overwritten with `student`'s, times
    /// `gradientScale`; the sum and the rows are added to `sums`, as for cross-entropy.
    func hiddenError(
        student: DeviceTensor,
        teacher: DeviceTensor,
        gradientScale: Float,
        gradient: DeviceTensor,
        sums: DeviceTensor
    )

    // MARK: Rounding

    /// Rounds to a format's values; `target` may be `source`.
    func fakeQuantize(_ source: DeviceTensor, _ rounding: Rounding, into target: DeviceTensor)
    /// Passes the gradient of `source` clipped to ± `limit` on: zeroes it where `source` reaches the limit,
    /// and adds the limit's own, the sum there of gradients by the sign of `source`, to `limitGradient`,
    /// float64 and of one element.
    func clipGradient(
        _ gradient: DeviceTensor,
        source: DeviceTensor,
        limit: Float,
        limitGradient: DeviceTensor
    )
    /// Zeroes `gradient` where `source` lies beyond what its block's scale can hold.
    ///
    /// Scales found from the values themselves hold them, but for powers of two; those are the ones that
    /// matter unless scales were found beforehand.
    func maskSaturated(_ gradient: DeviceTensor, source: DeviceTensor, _ rounding: Rounding)

    /// The gradient of each block's step, times `factor`, from that of the values that `rounding` gives of
    /// `source`, straight through the rounding; see `qat_scale_gradient_f32`. `rounding` is one of stored
    /// block scales.
    func scaleGradient(
        _ gradient: DeviceTensor,
        ofRounded roundedGradient: DeviceTensor,
        source: DeviceTensor,
        _ rounding: Rounding,
        factor: Float
    )
    /// Makes stored block scales those nearest to `steps`, which are put within what scales can say.
    func encodeSteps(
        _ steps: DeviceTensor,
        _ format: QuantizationFormat,
        into scales: Rounding.StoredScales
    )

    /// Moves what is learned of a weight's rounding a step against the signs of its gradients, straight
    /// through the rounding; see `qat_learn_rounding_f32`. `gradient`: Of the rounded values of `source`.
    func learnRounding(
        _ tensors: LearnedRoundingTensors,
        gradient: DeviceTensor,
        source: DeviceTensor,
        _ format: QuantizationFormat,
        step: LearnedRoundingStep
    )

    // MARK: Optimizer

    /// One update of a parameter and its moments.
    func adamW(_ tensors: AdamWTensors, step: AdamWStep)
    /// One update of a parameter and its moment.
    func lion(_ tensors: LionTensors, step: LionStep)
    /// Compares what weights are rounded to with what they were before: those that flip more often than the
    /// rule allows become their rounded values' mean, and those frozen before what they were frozen to.
    func trackFlips(_ tensors: FlipTensors, rule: FlipRule)
    /// Freezes weights that ``trackFlips(_:rule:)`` made their mean to what they are rounded to now.
    func freezeFlips(_ tensors: FlipTensors)
    /// `average += share · (values - average)`, element by element.
    func average(_ average: DeviceTensor, toward values: DeviceTensor, share: Float)
}

extension ComputeDevice {
    /// Zeroed single-precision memory seen as one tensor.
    public func tensor(rows: Int = 1, columns: Int, type: ElementType = .float32) -> DeviceTensor {
        DeviceTensor(
            allocate(byteCount: rows * columns * type.byteCount),
            rows: rows,
            columns: columns,
            type: type
        )
    }

    /// The value of a scalar, once it is computed.
    public func value(of scalar: DeviceTensor) -> Float {
        var value: Float = 0
        download(scalar, into: &value)
        return value
    }
}
