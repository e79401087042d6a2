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
    private struct Entry {
        let name: String
        /// Slowest first.
        let shape: [Int]
        let type: GGUFTensorType
        let offset: Int
    }

    private static let alignment = 32
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
        self.description = description
        export = try GGUFExport(description.configuration)
        notes = export.notes
        let layout = GGUFLayout(description.configuration)
        self.layout = layout
        try Self.checkFusedFormats(layout, description.formats)
        keys = try GGUFHeaderKeys(description, export.metadata, alignment: Self.alignment)
        notes += keys.notes
        try FileSystem.makeFolder(folder)
        file = try AtomicFile(path: "\(folder)/\(Self.fileName)")
        // Types and offsets come to be known as weights are written, but the header's size does not
        // depend on them.
        let planned =
            export.tensors.map { (name: $0.name, shape: [$0.values.count]) }
            + layout.stored.flatMap { stored in
                GGUFTensorEncoder.tensors(
                    of: layout.place(of: stored.parts[0]),
                    format: description.formats[stored.parts[0].module]
                ).map { (name: $0.name, shape: $0.shape) }
            }
        headerByteCount =
            Self.header(
                planned.map { Entry(name: $0.name, shape: $0.shape, type: .f32, offset: 0) },
                keys.pairs
            ).count
        if !description.keyAmax.isEmpty {
            notes.append("llama.cpp takes no scales of the key-value cache; they are left out")
        }
        for tensor in export.tensors {
            let bytes = tensor.values.withUnsafeBytes { Array($0) }
            try append(tensor.name, [tensor.values.count], .f32, bytes)
        }
    }

    /// Parts of one tensor have one format.
    static func checkFusedFormats(
        _ layout: GGUFLayout,
        _ formats: [String: QuantizationFormat]
    ) throws(ModelFileError) {
        for stored in layout.stored where stored.parts.count > 1 {
            let parts = stored.parts.map { formats[$0.module] }
            let name = layout.place(of: stored.parts[0]).name
            let modules = stored.parts.map(\.module).joined(separator: ", ")
            guard parts.allSatisfy({ $0 == parts[0] }) else {
                throw ModelFileError(
                    .unsupported,
                    "gguf: tensor \(name) holds \(modules): give them one format"
                )
            }
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

    private static func header(
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

    private static func padded(_ count: Int) -> Int {
        (count + alignment - 1) / alignment * alignment
    }
}

/// Appends little-endian values as GGUF stores them.
struct ByteWriter {
    /// A metadata value.
    enum Value {
        case unsigned(UInt32)
        case float(Float)
        case boolean(Bool)
        case text(String)
        case texts([String])
        case integers([Int32])
        case flags([Bool])
        case floats([Float])
        /// A type and a value as another file has them.
        case stored([UInt8])
    }

    private(set) var bytes: [UInt8] = []

    mutating func integer(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func text(_ text: String) {
        integer(UInt64(text.utf8.count))
        bytes.append(contentsOf: text.utf8)
    }

    mutating func pair(_ key: String, _ value: Value) {
        text(key)
        switch value {
        case .unsigned(let number):
            integer(UInt32(4))
            integer(number)
        case .float(let number):
            integer(UInt32(6))
            integer(number.bitPattern)
        case .boolean(let flag):
            integer(UInt32(7))
            integer(UInt8(flag ? 1 : 0))
        case .text(let value):
            integer(UInt32(8))
            text(value)
        case .texts(let values):
            integer(UInt32(9))
            integer(UInt32(8))
            integer(UInt64(values.count))
            for value in values { text(value) }
        case .integers(let values):
            integer(UInt32(9))
            integer(UInt32(5))
            integer(UInt64(values.count))
            for value in values { integer(value) }
        case .flags(let values):
            integer(UInt32(9))
            integer(UInt32(7))
            integer(UInt64(values.count))
            for value in values { integer(UInt8(value ? 1 : 0)) }
        case .floats(let values):
            integer(UInt32(9))
            integer(UInt32(6))
            integer(UInt64(values.count))
            for value in values { integer(value.bitPattern) }
        case .stored(let pair): bytes += pair
        }
    }

    /// The only element of a list, or a text, without what stands before it.
    mutating func element(_ value: Value) {
        var writer = ByteWriter()
        writer.pair("", value)
        // The key's length and the type; of a list also the type of the elements and their number.
        let isText = if case .text = value { true } else { false }
        bytes += writer.bytes.dropFirst(isText ? 12 : 24)
    }

    mutating func pad(to alignment: Int) {
        bytes.append(
            contentsOf: repeatElement(0, count: (alignment - bytes.count % alignment) % alignment)
        )
    }
}
