internal import Foundation
internal import Kernels
internal import Quantization
internal import Transformer

/// Builds a model from a Hugging Face folder: safetensors, sharded or not, plain floats or
/// compressed-tensors' `mxfp4-pack-quantized`.
struct HuggingFaceReader {
    private let folder: String
    private let configuration: HuggingFaceConfiguration
    private let files: [SafetensorsFile]
    private let tensors: [String: (SafetensorsFile.Tensor, path: String)]

    init(folder: String) throws(ModelFileError) {
        self.folder = folder
        configuration = try HuggingFaceConfiguration(path: folder + "/config.json")
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
        try Self.checkQuantization(configuration.quantization, folder: folder)
    }

    func load(team: ThreadTeam) throws -> LoadedModel {
        let json = try FileSystem.read(folder + "/tokenizer.json", limit: 256 << 20)
        let tokenizer = try Tokenizer(
            tokenizerJSON: json,
            path: folder + "/tokenizer.json"
        )
        let parameters = try Parameters(configuration: configuration.model)
        for entry in parameters.layout.entries {
            try load(entry, into: parameters.elements(of: entry), team: team)
        }
        return LoadedModel(
            parameters: parameters,
            tokenizer: tokenizer,
            source: .huggingFace,
            storedByteCount: tensors.values.reduce(0) { $0 + $1.0.bytes.count },
            tokenizerJSON: json,
            chatTemplate: chatTemplate()
        )
    }

    private func load(
        _ entry: ParameterLayout.Entry,
        into output: UnsafeMutableBufferPointer<Float>,
        team: ThreadTeam
    ) throws {
        if let (tensor, path) = tensors[entry.name] {
            guard tensor.shape == entry.shape else {
                throw ModelFileError(
                    .malformed,
                    "\(path): tensor \(entry.name) has the shape \(tensor.shape), not \(entry.shape)"
                )
            }
            try tensor.copyFloats(to: output, path: path)
            return
        }
        let module = entry.name.dropLast(".weight".count)
        guard let (codes, path) = tensors["\(module).weight_packed"],
            let (scales, _) = tensors["\(module).weight_scale"]
        else {
            throw ModelFileError(.malformed, "\(folder): tensor \(entry.name) is missing")
        }
        let format = QuantizationFormat.mxfp4
        guard entry.shape.count == 2, codes.type == .u8, scales.type == .u8,
            codes.shape == [entry.rows, entry.columns / 2],
            scales.shape == [entry.rows, entry.columns / format.blockSize]
        else {
            throw ModelFileError(
                .malformed,
                "\(path): \(module): packed shapes \(codes.shape), \(scales.shape) do not fit"
            )
        }
        let packed = try PackedTensor(
            format: format,
            rows: entry.rows,
            columns: entry.columns,
            codes: [UInt8](codes.bytes),
            scales: [UInt8](scales.bytes),
            globalScale: nil
        )
        try BlockQuantizer.dequantize(packed, into: output, team: team)
    }

    private func chatTemplate() -> String? {
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
        let format = quantization["format"] as? String ?? "?"
        guard method == "compressed-tensors", format == "mxfp4-pack-quantized" else {
            throw ModelFileError(
                .unsupported,
                """
                \(folder): quantization \(method)/\(format) is not read in this version; \
                compressed-tensors/mxfp4-pack-quantized is
                """
            )
        }
    }
}
