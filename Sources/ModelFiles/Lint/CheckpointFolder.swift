internal import Foundation
internal import Transformer

/// What a Hugging Face folder holds, opened as far as it can be.
struct CheckpointFolder {
    /// The name of the list of shards.
    static let indexName = "model.safetensors.index.json"

    let path: String
    /// config.json.
    let root: [String: Any]
    /// The same, with its places.
    let configuration: JSONObject
    let model: ModelConfiguration
    /// `model.safetensors.index.json`, if any.
    let index: [String: Any]?
    /// Files of weights by name.
    let shards: [String: SafetensorsFile]
    let tensors: [String: SafetensorsFile.Tensor]

    /// Opens a folder; nil, and an error in the log, if there is nothing to go on with.
    init?(path: String, _ log: inout LintLog) {
        self.path = path
        guard FileSystem.exists(path + "/config.json") else {
            log.error("config.json", "is missing; the folder is not complete: export it again")
            return nil
        }
        do {
            root = try Self.json("\(path)/config.json")
            let read = try HuggingFaceConfiguration(path: path + "/config.json")
            (configuration, model) = (read.object, read.model)
            index = try Self.optional(Self.indexName, in: path)
        } catch {
            log.error(Self.file(of: error, in: path) ?? "config.json", error.message)
            return nil
        }
        let names = Self.shardNames(path, index: index)
        guard !names.isEmpty else {
            log.error("model.safetensors", "is missing, and there is no \(Self.indexName)")
            return nil
        }
        var shards: [String: SafetensorsFile] = [:]
        var tensors: [String: SafetensorsFile.Tensor] = [:]
        for name in names {
            do {
                let shard = try SafetensorsFile(path: "\(path)/\(name)")
                shards[name] = shard
                for tensor in shard.tensors.values {
                    if tensors.updateValue(tensor, forKey: tensor.name) != nil {
                        log.error(tensor.name, "stands in two files, the second is \(name)")
                    }
                }
            } catch {
                log.error(name, error.message)
            }
        }
        // Of half the tensors nothing can be said but that the others are missing.
        guard shards.count == names.count else { return nil }
        self.shards = shards
        self.tensors = tensors
    }

    /// The model's modules, by the names that the files have for them.
    var modules: [StoredModule] {
        StoredModule.modules(of: ParameterLayout(configuration: model))
    }

    private static func shardNames(_ path: String, index: [String: Any]?) -> [String] {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        let present = files.filter { $0.hasPrefix("model") && $0.hasSuffix(".safetensors") }
        let map = index?["weight_map"] as? [String: String] ?? [:]
        // Names with a slash would lead out of the folder.
        let listed = map.values.filter { !$0.contains("/") && !$0.hasPrefix(".") }
        return Set(present).union(listed).sorted()
    }

    private static func optional(
        _ name: String,
        in path: String
    ) throws(ModelFileError) -> [String: Any]? {
        FileSystem.exists("\(path)/\(name)") ? try json("\(path)/\(name)") : nil
    }

    private static func json(_ path: String) throws(ModelFileError) -> [String: Any] {
        let bytes = try FileSystem.read(path, limit: 64 << 20)
        guard let value = try? JSONSerialization.jsonObject(with: Data(bytes)),
            let root = value as? [String: Any]
        else {
            throw ModelFileError(.malformed, "\(path): not a JSON object")
        }
        return root
    }

    /// The file that an error's message begins with.
    private static func file(of error: ModelFileError, in path: String) -> String? {
        ["config.json", indexName].first {
            error.message.hasPrefix("\(path)/\($0)")
        }
    }
}
