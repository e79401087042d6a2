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
            _ = try weight(entry)
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
        try weight(entry).read(rows: rows, of: entry, into: output, team: team)
    }

    private func weight(_ entry: ParameterLayout.Entry) throws -> StoredWeight {
        try StoredWeight(
            entry,
            tensors: tensors,
            quarkFormat: root.quarkFormat(of: entry.module),
            folder: folder
        )
    }

    var keyValueScales: KeyValueScales? {
        // compressed-tensors' names, then ModelOpt's.
        let names = [("k_scale", "v_scale"), ("k_proj.k_scale", "v_proj.v_scale")]
        for (keyName, valueName) in names {
            let scales = [keyName, valueName].map { name in
                (0..<configuration.layerCount).compactMap { layer -> Float? in
                    let key = "model.layers.\(layer).self_attn.\(name)"
                    return tensors[key].flatMap {
                        try? StoredWeight.floats($0.0, path: $0.path, count: 1).first
                    }
                }
            }
            if scales.allSatisfy({ $0.count == configuration.layerCount }) {
                return KeyValueScales(keys: scales[0], values: scales[1])
            }
        }
        return nil
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
