internal import Formats
public import Quantization
public import Transformer

/// Writes a model as one GGUF file, `model.gguf`, which llama.cpp loads.
///
/// MXFP4 by 32 and NVFP4 by 16 are stored as such, MXINT8 by 32 as Q8_0. All other weights are BF16,
/// which holds the values of formats with power-of-two scales exactly, or FP32, where it does not;
/// vectors are FP32.
/// - SeeAlso: ggml, `docs/gguf.md`; llama.cpp, `conversion/llama.py`.
public final class GGUFWriter: ModelWriter {
    /// A tensor of the directory.
    struct Entry {
        let name: String
        /// Slowest first.
        let shape: [Int]
        let type: GGUFTensorType
        let offset: Int
    }

    static let alignment = 32
    private static let fileName = "model.gguf"

    private let description: ExportDescription
    private let layout: GGUFLayout
    private let export: GGUFExport
    private var keys: GGUFHeaderKeys
    private let file: AtomicFile
    private let headerByteCount: Int
    private var directory: [Entry] = []
    private var dataByteCount = 0
    private var tensorByteCount = 0
    private var notes: [String]
    /// The parts of a fused tensor that were written so far.
    private var pending: [GGUFTensorEncoder.Tensor] = []

    /// Begins a file in a folder.
    ///
    /// - Throws: ``ModelFileError``; `unsupported` for models and tokenizers that llama.cpp would compute
    ///   otherwise, and for formats that differ within one of its tensors.
    public init(_ description: ExportDescription, folder: String) throws {
        let plan = try GGUFFilePlan(description)
        self.description = description
        export = plan.export
        layout = plan.layout
        keys = plan.keys
        headerByteCount = plan.headerByteCount
        notes = plan.notes
        try FileSystem.makeFolder(folder)
        file = try AtomicFile(path: "\(folder)/\(Self.fileName)")
        for tensor in export.tensors {
            let bytes = tensor.values.withUnsafeBytes { Array($0) }
            try append(tensor.name, [tensor.values.count], .f32, bytes)
        }
    }

    /// Writes one parameter.
    public func write(
        _ entry: ParameterLayout.Entry,
        values: UnsafeBufferPointer<Float>,
        packed: PackedTensor?
    ) throws {
        let encoder = GGUFTensorEncoder(
            entry,
            values: values,
            place: layout.place(of: entry),
            packed: packed
        )
        let place = layout.place(of: entry)
        guard place.shape == entry.shape else {
            return try appendPart(place, encoder.tensors)
        }
        for tensor in encoder.tensors {
            try append(tensor.name, tensor.shape, tensor.type, tensor.bytes)
        }
    }

    private func append(
        _ name: String,
        _ shape: [Int],
        _ type: GGUFTensorType,
        _ bytes: [UInt8]
    ) throws {
        try file.write(bytes, at: headerByteCount + dataByteCount)
        directory.append(Entry(name: name, shape: shape, type: type, offset: dataByteCount))
        tensorByteCount += bytes.count
        dataByteCount += Self.padded(bytes.count)
    }

    /// Keeps rows of a fused tensor and writes it with the last of them.
    private func appendPart(
        _ place: GGUFLayout.Place,
        _ tensors: [GGUFTensorEncoder.Tensor]
    ) throws {
        if pending.isEmpty {
            pending = tensors
        } else {
            // NVFP4's scale beside the tensor is one for all of it.
            let isSame = zip(pending.dropFirst(), tensors.dropFirst()).allSatisfy {
                $0.bytes == $1.bytes
            }
            guard pending[0].type == tensors[0].type, isSame else {
                throw ModelFileError(
                    .unsupported,
                    """
                    gguf: tensor \(place.name) is \(pending[0].type) of one scale, which does not hold \
                    all of its parts
                    """
                )
            }
            pending[0].bytes += tensors[0].bytes
        }
        let type = pending[0].type
        let count = place.shape.reduce(1, *) / type.blockSize * type.blockByteCount
        guard pending[0].bytes.count == count else { return }
        pending[0].shape = place.shape
        for tensor in pending { try append(tensor.name, tensor.shape, tensor.type, tensor.bytes) }
        pending = []
    }

    /// Writes some rows of a parameter that is not quantized.
    public func write(
        _ entry: ParameterLayout.Entry,
        rows: Range<Int>,
        values: UnsafeBufferPointer<Float>
    ) throws {
        if rows == 0..<entry.rows { return try write(entry, values: values, packed: nil) }
        let place = layout.place(of: entry)
        precondition(place.permutedHeads == nil, "\(entry.name) is written whole")
        let bytes = HalfPrecision.bfloats(values)
        guard place.shape == entry.shape else {
            let part = GGUFTensorEncoder.Tensor(
                name: place.name,
                shape: place.shape,
                type: .bf16,
                bytes: bytes
            )
            return try appendPart(place, [part])
        }
        if rows.lowerBound == 0 {
            directory.append(
                Entry(
                    name: place.name,
                    shape: place.shape,
                    type: .bf16,
                    offset: dataByteCount
                )
            )
        }
        let start = headerByteCount + dataByteCount + rows.lowerBound * bytes.count / rows.count
        try file.write(bytes, at: start)
        tensorByteCount += bytes.count
        if rows.upperBound == entry.rows {
            dataByteCount += Self.padded(entry.rows * (bytes.count / rows.count))
        }
    }

    /// Writes the header and completes the file.
    public func finish() throws -> ModelWriterSummary {
        keys.setTypes(Set(directory.map(\.type)))
        let header = Self.header(directory, keys.pairs)
        precondition(
            header.count == headerByteCount,
            "gguf: a header of \(header.count) bytes, planned \(headerByteCount)"
        )
        try file.write(header, at: 0)
        // The last tensor is padded, too.
        let end = headerByteCount + dataByteCount
        if dataByteCount > 0 { try file.extend(to: end) }
        try file.commit()
        return ModelWriterSummary(
            files: [Self.fileName],
            tensorByteCount: tensorByteCount,
            notes: notes
        )
    }

    static func header(
        _ directory: [Entry],
        _ metadata: [(key: String, value: ByteWriter.Value)]
    ) -> [UInt8] {
        var header = ByteWriter()
        header.integer(UInt32(0x4655_4747))
        header.integer(UInt32(3))
        header.integer(UInt64(directory.count))
        header.integer(UInt64(metadata.count))
        for (key, value) in metadata { header.pair(key, value) }
        for tensor in directory {
            header.text(tensor.name)
            header.integer(UInt32(tensor.shape.count))
            for extent in tensor.shape.reversed() { header.integer(UInt64(extent)) }
            header.integer(tensor.type.rawValue)
            header.integer(UInt64(tensor.offset))
        }
        header.pad(to: alignment)
        return header.bytes
    }

    static func padded(_ count: Int) -> Int {
        (count + alignment - 1) / alignment * alignment
    }
}
