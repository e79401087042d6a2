internal import Formats
internal import Kernels
internal import Quantization
internal import Transformer

/// A model in a GGUF file.
struct GGUFReader: ModelSource {
    let configuration: ModelConfiguration
    let files: SourceFiles
    private let gguf: GGUFFile
    private let layout: GGUFLayout

    /// Reads the directory and checks that it holds the whole model and nothing else.
    init(path: String) throws {
        gguf = try GGUFFile(path: path)
        configuration = try GGUFConfiguration(gguf).model
        layout = GGUFLayout(configuration)
        files = SourceFiles(gguf)
        var claimed = Set(GGUFLayout.factorTensors)
        for stored in layout.stored {
            let tensor = try tensor(layout.place(of: stored.parts[0]))
            claimed.insert(tensor.name)
            if tensor.type == .nvfp4 {
                let stem = tensor.name.dropLast(".weight".count)
                claimed.formUnion(["\(stem).scale", "\(stem).input_scale"])
            }
        }
        let strays = gguf.tensors.keys.filter { !claimed.contains($0) && !Self.isKnown($0) }
        if let name = strays.min() {
            throw ModelFileError(
                .unsupported,
                """
                \(path): tensor \(name) belongs to nothing that \(configuration.architecture.family) \
                models compute; use the Hugging Face folder
                """
            )
        }
    }

    /// Tensors of llama.cpp's first files that its readers skip: what `rope.freq_base` says.
    private static func isKnown(_ name: String) -> Bool {
        name.hasSuffix(".attn_rot_embd") || name.hasSuffix(".attn_rot_embd.weight")
    }

    var path: String { gguf.file.path }
    var kind: LoadedModel.Source { .gguf }
    var storedByteCount: Int { gguf.tensors.values.reduce(0) { $0 + $1.bytes.count } }

    var notes: FileNotes {
        FileNotes(
            gguf.metadata.compactMapValues { value in
                if case .text(let text) = value { text } else { nil }
            }
        )
    }

    func bitWidth(of entry: ParameterLayout.Entry) -> Int {
        guard let type = gguf.tensors[layout.place(of: entry).name]?.type else {
            preconditionFailure("\(entry.name) is no parameter of the model")
        }
        // A block's scales take less than a bit of an element.
        return 8 * type.blockByteCount / type.blockSize
    }

    // llama.cpp's files have none.
    var keyValueScales: KeyValueScales? { nil }

    func tokenizer() throws -> Tokenizer { try Tokenizer(gguf: gguf) }

    func read(
        _ entry: ParameterLayout.Entry,
        rows: Range<Int>,
        into output: UnsafeMutableBufferPointer<Float>,
        team: ThreadTeam
    ) throws {
        let place = layout.place(of: entry)
        let tensor = try tensor(place)
        guard output.count == rows.count * entry.columns, let target = output.baseAddress else {
            preconditionFailure("read: \(output.count) elements for rows \(rows)")
        }
        let scale = try tensorScale(tensor)
        let columns = entry.columns
        let rowBytes = columns / tensor.type.blockSize * tensor.type.blockByteCount
        func dequantize(_ source: Range<Int>, to row: Int) {
            let bytes = tensor.bytes[source.lowerBound * rowBytes..<source.upperBound * rowBytes]
            tensor.type.dequantize(
                UnsafeRawBufferPointer(rebasing: bytes),
                into: target + row * columns,
                tensorScale: scale
            )
        }
        // A vector counts as one row, but a bias has one for each of its module's.
        if entry.shape.count == 1 {
            let values = try vector(entry, place, tensor)
            for (index, value) in values.enumerated() { target[index] = value }
            return MappedFile.dropPages(of: tensor.bytes)
        }
        let heads = place.permutedHeads
        let first = place.firstRow + rows.lowerBound
        team.parallelFor(count: rows.count) { range in
            guard let heads else {
                return dequantize(
                    first + range.lowerBound..<first + range.upperBound,
                    to: range.lowerBound
                )
            }
            for row in range {
                let source =
                    place.firstRow
                    + GGUFLayout.fileRow(rows.lowerBound + row, rows: entry.rows, heads: heads)
                dequantize(source..<source + 1, to: row)
            }
        }
        MappedFile.dropPages(of: tensor.bytes)
    }

    func packed(_ entry: ParameterLayout.Entry) throws -> PackedTensor? {
        let place = layout.place(of: entry)
        let tensor = try tensor(place)
        guard entry.shape.count > 1, let format = tensor.type.format else { return nil }
        let rowBytes = entry.columns / tensor.type.blockSize * tensor.type.blockByteCount
        var codes: [UInt8] = []
        var scales: [UInt8] = []
        codes.reserveCapacity(entry.count * format.element.bitWidth / 8)
        scales.reserveCapacity(format.blockScaleCount(rows: entry.rows, columns: entry.columns))
        for row in 0..<entry.rows {
            let source =
                place.permutedHeads.map {
                    GGUFLayout.fileRow(row, rows: entry.rows, heads: $0)
                } ?? row
            let first = (place.firstRow + source) * rowBytes
            let bytes = tensor.bytes[first..<first + rowBytes]
            guard
                tensor.type.unpack(
                    UnsafeRawBufferPointer(rebasing: bytes),
                    codes: &codes,
                    scales: &scales
                )
            else { return nil }
        }
        MappedFile.dropPages(of: tensor.bytes)
        return try PackedTensor(
            format: format,
            rows: entry.rows,
            columns: entry.columns,
            codes: codes,
            scales: scales,
            floatScales: format.scaleKind.hasTensorScale ? [try tensorScale(tensor)] : []
        )
    }

    /// The tensor of a parameter, whose shape fits.
    private func tensor(_ place: GGUFLayout.Place) throws -> GGUFFile.Tensor {
        let name = place.name
        guard let tensor = gguf.tensors[name] else {
            throw ModelFileError(.malformed, "\(path): tensor \(name) is missing")
        }
        guard tensor.shape == place.shape else {
            throw ModelFileError(
                .malformed,
                "\(path): tensor \(name) has the shape \(tensor.shape), the model \(place.shape)"
            )
        }
        return tensor
    }

    /// The values of a norm or a bias, without what the converter adds, in the model's order.
    private func vector(
        _ entry: ParameterLayout.Entry,
        _ place: GGUFLayout.Place,
        _ tensor: GGUFFile.Tensor
    ) throws -> [Float] {
        let all = [Float](unsafeUninitializedCapacity: place.shape[0]) { buffer, count in
            if let start = buffer.baseAddress { tensor.type.dequantize(tensor.bytes, into: start) }
            count = place.shape[0]
        }
        return (0..<entry.count).map { row in
            let source =
                place.permutedHeads.map {
                    GGUFLayout.fileRow(row, rows: entry.count, heads: $0)
                } ?? row
            return all[place.firstRow + source] - place.offset
        }
    }

    /// NVFP4's scale of the tensor, a tensor beside it; 1 of other types.
    private func tensorScale(_ tensor: GGUFFile.Tensor) throws -> Float {
        let key = tensor.name.dropLast(".weight".count) + ".scale"
        guard tensor.type == .nvfp4, let scale = gguf.tensors[String(key)] else {
            return 1
        }
        guard scale.type == .f32, scale.shape == [1] else {
            throw ModelFileError(.malformed, "\(path): tensor \(key) is no FP32 number")
        }
        var value: Float = 0
        scale.type.dequantize(scale.bytes, into: &value)
        return value
    }
}
