internal import Formats
internal import Transformer

/// Which tensors a folder has, and in which files they stand.
struct ShardPlan {
    /// A tensor of the folder.
    struct Tensor {
        let stored: StoredTensor
        /// Whether it holds the parameter's values rather than a part of a packed weight.
        let isPlain: Bool

        var name: String { stored.name }
    }

    /// File names, in the order of the layout.
    let fileNames: [String]
    /// The scales of the key-value cache.
    let cacheTensors: [StoredTensor]
    /// Bytes of all tensors.
    let tensorByteCount: Int

    private let shards: [[SafetensorsWriter.Tensor]]
    private let places: [String: Int]
    /// The tensors that hold a parameter and its place among those that share them, by its name.
    private let parameters: [String: (tensors: [Tensor], part: Int)]

    /// `shardByteCount`: Bytes after which a new file begins.
    init(
        _ contents: ExportContents,
        format: HuggingFaceWriter.Format,
        shardByteCount: Int
    ) {
        cacheTensors = format.dialect?.cacheTensors(contents) ?? []
        var parameters: [String: (tensors: [Tensor], part: Int)] = [:]
        var shards: [[SafetensorsWriter.Tensor]] = [[]]
        var places: [String: Int] = [:]
        var byteCount = 0
        var total = 0
        func place(_ tensors: [StoredTensor]) {
            let count = tensors.reduce(0) { $0 + $1.byteCount }
            // A module's tensors stay together.
            if byteCount + count > shardByteCount, shards.last?.isEmpty == false {
                shards.append([])
                byteCount = 0
            }
            for tensor in tensors {
                places[tensor.name] = shards.count - 1
                shards[shards.count - 1].append(
                    .init(name: tensor.name, type: tensor.type, shape: tensor.shape)
                )
            }
            byteCount += count
            total += count
        }
        for module in contents.modules {
            let tensors = Self.tensors(of: module, contents, format)
            place(tensors.map(\.stored))
            for (part, entry) in module.parts.enumerated() {
                parameters[entry.name] = (tensors, part)
            }
        }
        for tensor in cacheTensors { place([tensor]) }
        self.shards = shards
        self.places = places
        self.parameters = parameters
        tensorByteCount = total
        func padded(_ number: Int) -> String {
            String(repeating: "0", count: max(0, 5 - "\(number)".count)) + "\(number)"
        }
        fileNames =
            shards.count == 1
            ? ["model.safetensors"]
            : shards.indices.map {
                "model-\(padded($0 + 1))-of-\(padded(shards.count)).safetensors"
            }
    }

    /// The tensors that hold a parameter, and its position among the parts of its module.
    func place(of entry: ParameterLayout.Entry) -> (tensors: [Tensor], part: Int) {
        guard let place = parameters[entry.name] else {
            preconditionFailure("\(entry.name) is not in the plan")
        }
        return place
    }

    /// The position of the file that holds a tensor.
    func shard(of tensor: String) -> Int {
        guard let place = places[tensor] else {
            preconditionFailure("\(tensor) is not in the plan")
        }
        return place
    }

    func directory(of shard: Int) -> [SafetensorsWriter.Tensor] { shards[shard] }

    /// `model.safetensors.index.json`; nil of a single file.
    var index: [String: Any]? {
        guard shards.count > 1 else { return nil }
        let metadata: [String: Any] = ["total_size": tensorByteCount]
        return ["metadata": metadata, "weight_map": places.mapValues { fileNames[$0] }]
    }

    private static func tensors(
        of module: StoredModule,
        _ contents: ExportContents,
        _ format: HuggingFaceWriter.Format
    ) -> [Tensor] {
        if let dialect = format.dialect, let weight = contents.format(of: module) {
            return dialect.tensors(of: module, format: weight, in: contents)
                .map { Tensor(stored: $0, isPlain: false) }
        }
        let stored = StoredTensor(
            name: module.plainName,
            type: format.plainType,
            shape: module.shape,
            content: .codes
        )
        return [Tensor(stored: stored, isPlain: true)]
    }
}
