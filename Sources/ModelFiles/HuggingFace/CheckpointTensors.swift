/// The tensors of a folder by name, over all its shards.
struct CheckpointTensors {
    /// A tensor and the file it stands in.
    struct Located {
        let tensor: SafetensorsFile.Tensor
        /// Keeps the tensor's bytes mapped.
        let file: MappedFile

        var path: String { file.path }
    }

    let folder: String
    /// What the first shard says of its making.
    let metadata: [String: String]
    private let located: [String: Located]

    /// Reads the directories of all shards.
    init(folder: String) throws(ModelFileError) {
        self.folder = folder
        var located: [String: Located] = [:]
        var metadata: [String: String]?
        let names = try Self.shardNames(folder)
        let missing = names.filter { !FileSystem.exists("\(folder)/\($0)") }
        guard missing.isEmpty else {
            let shown = missing.prefix(4).joined(separator: ", ")
            let rest = missing.count > 4 ? " and \(missing.count - 4) more" : ""
            throw ModelFileError(
                .inputOutput,
                """
                \(folder): \(missing.count) of the \(names.count) shards that \
                \(Self.indexName) names are missing: \(shown)\(rest); copy them beside it
                """
            )
        }
        for name in names {
            let file = try SafetensorsFile(path: "\(folder)/\(name)")
            metadata = metadata ?? file.metadata
            for (key, tensor) in file.tensors {
                let place = Located(tensor: tensor, file: file.file)
                guard located.updateValue(place, forKey: key) == nil else {
                    throw ModelFileError(.malformed, "\(folder): tensor \(key) is in two shards")
                }
            }
        }
        self.located = located
        self.metadata = metadata ?? [:]
    }

    var byteCount: Int { located.values.reduce(0) { $0 + $1.tensor.bytes.count } }

    /// All tensors, in no order.
    var all: [Located] { Array(located.values) }

    /// Whether anything of a module is there.
    func hasTensor(of module: String) -> Bool {
        located.keys.contains { $0.hasPrefix(module + ".") }
    }

    /// A tensor, if it is there.
    subscript(name: String) -> Located? { located[name] }

    /// A tensor that must be there, of one of some types and shapes.
    ///
    /// `reason`: Who wants it so, as the end of a sentence.
    func required(
        _ name: String,
        types: [SafetensorsType],
        shapes: [[Int]],
        reason: String
    ) throws(ModelFileError) -> Located {
        guard let found = self[name] else {
            throw ModelFileError(
                .malformed,
                "\(folder): tensor \(name) is missing; \(reason)"
            )
        }
        let tensor = found.tensor
        guard types.contains(tensor.type), shapes.contains(tensor.shape) else {
            let names = types.map(\.rawValue).joined(separator: " or ")
            let sizes = shapes.map { "\($0)" }.joined(separator: " or ")
            throw ModelFileError(
                .malformed,
                """
                \(found.path): tensor \(name) is \(tensor.type.rawValue) of shape \
                \(tensor.shape), not \(names) of \(sizes); \(reason)
                """
            )
        }
        return found
    }

    static let indexName = "model.safetensors.index.json"

    /// The files that are read of a folder, there or not: what the index names, or without one
    /// model.safetensors.
    static func shardNames(_ folder: String) throws(ModelFileError) -> [String] {
        let path = "\(folder)/\(indexName)"
        guard FileSystem.exists(path) else {
            return ["model.safetensors"]
        }
        let index = try JSONValue.object(path: path, byteLimit: 64 << 20, limit: 1 << 20)
        guard let map = try index.object("weight_map") else {
            throw ModelFileError(.malformed, "\(path): no weight_map")
        }
        var names: Set<String> = []
        for key in map.members.keys {
            guard let name = try map.text(key) else {
                throw ModelFileError(.malformed, "\(path): tensor \(key) is in no shard")
            }
            guard !name.contains("/"), !name.hasPrefix("."), !name.contains("\0") else {
                throw ModelFileError(.malformed, "\(path): shard \(name) is outside the folder")
            }
            names.insert(name)
        }
        guard names.count <= 4096 else {
            throw ModelFileError(.malformed, "\(path): \(names.count) shards, more than 4096")
        }
        return names.sorted()
    }
}

extension CheckpointTensors.Located {
    /// The values of a float tensor, all finite.
    func finiteFloats() throws(ModelFileError) -> [Float] {
        let values = try floats()
        guard let index = values.firstIndex(where: { !$0.isFinite }) else { return values }
        throw ModelFileError(
            .malformed,
            "\(path): tensor \(tensor.name) holds \(values[index]) at \(index), no finite number"
        )
    }

    private func floats() throws(ModelFileError) -> [Float] {
        var values = [Float](repeating: 0, count: tensor.count)
        // Typed throws do not pass through withUnsafeMutableBufferPointer.
        let result = values.withUnsafeMutableBufferPointer { buffer in
            Result { () throws(ModelFileError) in
                try tensor.copyFloats(to: buffer, path: path)
            }
        }
        try result.get()
        return values
    }
}
