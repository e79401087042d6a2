internal import Foundation
internal import Kernels
internal import Quantization
internal import Transformer

/// A Llama model in a Hugging Face folder: safetensors, sharded or not, plain or quantized.
struct HuggingFaceReader: ModelSource {
    private let folder: String
    private let root: HuggingFaceConfiguration
    private let files: [SafetensorsFile]
    private let tensors: [String: (SafetensorsFile.Tensor, path: String)]

    /// Reads the directories of all shards and checks that they hold the whole model.
    init(folder: String) throws {
        self.folder = folder
        root = try HuggingFaceConfiguration(path: folder + "/config.json")
        var tensors: [String: (SafetensorsFile.Tensor, path: String)] = [:]
        var files: [SafetensorsFile] = []
        for name in try Self.shardNames(folder) {
            let file = try SafetensorsFile(path: "\(folder)/\(name)")
            for (key, tensor) in file.tensors {
                guard tensors.updateValue((tensor, file.file.path), forKey: key) == nil else {
                    throw ModelFileError(.malformed, "\(folder): tensor \(key) is in two shards")
                }
            }
            files.append(file)
        }
        self.files = files
        self.tensors = tensors
        try Self.checkQuantization(root.quantization, folder: folder)
        for entry in ParameterLayout(configuration: root.model).entries {
            let module = entry.module
            if try stored(module, rows: entry.rows, columns: entry.columns) == nil {
                _ = try plain(entry)
            }
        }
    }

    var path: String { folder }
    var configuration: ModelConfiguration { root.model }
    var kind: LoadedModel.Source { .huggingFace }
    var storedByteCount: Int { tensors.values.reduce(0) { $0 + $1.0.bytes.count } }
    var tokenizerJSON: [UInt8]? { try? readTokenizer() }

    func tokenizer() throws -> Tokenizer {
        try Tokenizer(tokenizerJSON: try readTokenizer(), path: folder + "/tokenizer.json")
    }

    private func readTokenizer() throws(ModelFileError) -> [UInt8] {
        try FileSystem.read(folder + "/tokenizer.json", limit: 256 << 20)
    }

    func read(
        _ entry: ParameterLayout.Entry,
        rows: Range<Int>,
        into output: UnsafeMutableBufferPointer<Float>,
        team: ThreadTeam
    ) throws {
        let module = entry.module
        if let stored = try stored(module, rows: entry.rows, columns: entry.columns) {
            try BlockQuantizer.dequantize(try packed(stored, rows: rows), into: output, team: team)
            MappedFile.dropPages(of: stored.codes.bytes)
            return MappedFile.dropPages(of: stored.scales.bytes)
        }
        let (tensor, path) = try plain(entry)
        try tensor.copyFloats(rows: rows, columns: entry.columns, to: output, path: path)
        MappedFile.dropPages(of: tensor.bytes)
    }

    /// The float tensor of a parameter, whose shape fits.
    private func plain(
        _ entry: ParameterLayout.Entry
    ) throws(ModelFileError) -> (SafetensorsFile.Tensor, path: String) {
        guard let (tensor, path) = tensors[entry.name] else {
            throw ModelFileError(.malformed, "\(folder): tensor \(entry.name) is missing")
        }
        guard tensor.shape == entry.shape else {
            throw ModelFileError(
                .malformed,
                "\(path): tensor \(entry.name) has the shape \(tensor.shape), not \(entry.shape)"
            )
        }
        guard [.f32, .f16, .bf16].contains(tensor.type) else {
            throw ModelFileError(
                .unsupported,
                "\(path): tensor \(entry.name) has the type \(tensor.type.rawValue), not a float"
            )
        }
        return (tensor, path)
    }

    /// The tensors of a quantized module.
    private struct Stored {
        let format: QuantizationFormat
        let rows: Int
        let columns: Int
        let codes: SafetensorsFile.Tensor
        let scales: SafetensorsFile.Tensor
        let globalScale: [Float]
    }

    /// What is stored of a quantized module; nil if it is not quantized.
    private func stored(_ module: String, rows: Int, columns: Int) throws -> Stored? {
        guard let (scales, path) = tensors[module + ".weight_scale"] else {
            return nil
        }
        guard let codes = (tensors[module + ".weight_packed"] ?? tensors[module + ".weight"])?.0,
            let format = format(module, codes: codes.type, scales: scales.type),
            codes.shape == [rows, columns * format.element.bitWidth / 8],
            scales.shape == [rows, columns / format.blockSize]
        else {
            throw ModelFileError(
                .malformed,
                "\(path): \(module): codes and scales \(scales.shape) do not fit [\(rows), \(columns)]"
            )
        }
        return Stored(
            format: format,
            rows: rows,
            columns: columns,
            codes: codes,
            scales: scales,
            globalScale: format.scaleKind == .e4m3TwoLevel ? [try globalScale(module)] : []
        )
    }

    private func packed(_ stored: Stored, rows: Range<Int>) throws -> PackedTensor {
        func slice(_ tensor: SafetensorsFile.Tensor) -> [UInt8] {
            let rowBytes = tensor.bytes.count / stored.rows
            return [UInt8](tensor.bytes[rows.lowerBound * rowBytes..<rows.upperBound * rowBytes])
        }
        return try PackedTensor(
            format: stored.format,
            rows: rows.count,
            columns: stored.columns,
            codes: slice(stored.codes),
            scales: slice(stored.scales),
            floatScales: stored.globalScale
        )
    }

    private func format(
        _ module: String,
        codes: SafetensorsType,
        scales: SafetensorsType
    ) -> QuantizationFormat? {
        switch (codes, scales) {
        case (.u8, .f8E4M3): .nvfp4
        case (.f8E4M3, .u8): .mxfp8
        case (.u8, .u8): root.quarkFormat(of: module) ?? .mxfp4
        default: nil
        }
    }

    /// NVFP4's scale of the tensor; compressed-tensors stores its reciprocal.
    private func globalScale(_ module: String) throws -> Float {
        var value: Float = 0
        func read(_ name: String) throws -> Bool {
            guard let (tensor, path) = tensors["\(module).\(name)"] else { return false }
            guard tensor.type == .f32, tensor.bytes.count == 4 else {
                throw ModelFileError(.malformed, "\(path): \(module).\(name) is no FP32 number")
            }
            try withUnsafeMutablePointer(to: &value) {
                try tensor.copyFloats(
                    rows: 0..<1,
                    columns: 1,
                    to: UnsafeMutableBufferPointer(start: $0, count: 1),
                    path: path
                )
            }
            return true
        }
        if try read("weight_scale_2") { return value }
        guard try read("weight_global_scale") else {
            throw ModelFileError(.malformed, "\(folder): \(module) has no global scale")
        }
        return 1 / value
    }

    var chatTemplate: String? {
        guard let bytes = try? FileSystem.read(folder + "/tokenizer_config.json", limit: 16 << 20),
            let value = try? JSONSerialization.jsonObject(with: Data(bytes)),
            let root = value as? [String: Any]
        else {
            return nil
        }
        return root["chat_template"] as? String
    }

    private static func shardNames(_ folder: String) throws(ModelFileError) -> [String] {
        let index = folder + "/model.safetensors.index.json"
        guard FileSystem.exists(index) else {
            return ["model.safetensors"]
        }
        let bytes = try FileSystem.read(index, limit: 64 << 20)
        guard let value = try? JSONSerialization.jsonObject(with: Data(bytes)),
            let map = (value as? [String: Any])?["weight_map"] as? [String: String]
        else {
            throw ModelFileError(.malformed, "\(index): no weight_map")
        }
        let names = Set(map.values).sorted()
        for name in names where name.contains("/") || name.hasPrefix(".") {
            throw ModelFileError(.malformed, "\(index): shard \(name) is outside the folder")
        }
        return names
    }

    private static func checkQuantization(
        _ quantization: [String: Any]?,
        folder: String
    ) throws(ModelFileError) {
        guard let quantization else {
            return
        }
        let method = quantization["quant_method"] as? String ?? "?"
        guard ["compressed-tensors", "modelopt", "quark"].contains(method) else {
            throw ModelFileError(
                .unsupported,
                """
                \(folder): quantization by \(method) is not read in this version; \
                compressed-tensors, modelopt and quark are
                """
            )
        }
    }
}
