internal import Formats
public import Quantization
public import Transformer

/// Writes a model weight by weight, so that no more than one need be in memory.
///
/// Not for concurrent use.
public protocol ModelWriter: AnyObject {
    /// Writes one parameter; each of the layout once, in its order.
    ///
    /// `values`: What it dequantizes to. `packed`: What is stored of it, if it is quantized.
    ///
    /// - Throws: ``ModelFileError``.
    func write(
        _ entry: ParameterLayout.Entry,
        values: UnsafeBufferPointer<Float>,
        packed: PackedTensor?
    ) throws

    /// Writes some rows of a parameter that is not quantized; the rows in order, without gaps.
    ///
    /// Not for linear modules of the decoder, whose rows a format may store in another order.
    ///
    /// - Throws: ``ModelFileError``.
    func write(
        _ entry: ParameterLayout.Entry,
        rows: Range<Int>,
        values: UnsafeBufferPointer<Float>
    ) throws

    /// Completes the files; before, the folder is no whole model.
    ///
    /// - Throws: ``ModelFileError``.
    func finish() throws -> ModelWriterSummary
}

/// What was written.
public struct ModelWriterSummary: Sendable, Equatable {
    /// File names in the folder.
    public var files: [String]
    /// Bytes of all tensors.
    public var tensorByteCount: Int
    /// What the format could not hold, and what was done instead.
    public var notes: [String] = []
}
