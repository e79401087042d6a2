internal import Foundation

/// Checks files of weights against each other and their index.
struct ShardLint {
    private let folder: CheckpointFolder

    init(_ folder: CheckpointFolder) {
        self.folder = folder
    }

    func lint(_ log: inout LintLog) {
        for (name, shard) in folder.shards.sorted(by: { $0.key < $1.key })
        where shard.metadata["format"] != "pt" {
            let format = shard.metadata["format"].map { "\"\($0)\"" } ?? "missing"
            log.warning(name, "__metadata__.format is \(format); Transformers expects \"pt\"")
        }
        guard let index = folder.index else {
            if folder.shards.keys.contains(where: { $0 != "model.safetensors" }) {
                let count = folder.shards.count
                log.error(CheckpointFolder.indexName, "is missing beside \(count) files of weights")
            }
            return
        }
        lint(index, &log)
    }

    private func lint(_ index: [String: Any], _ log: inout LintLog) {
        let place = CheckpointFolder.indexName
        guard let map = index["weight_map"] as? [String: String] else {
            log.error(place, "weight_map is missing, or not an object of file names")
            return
        }
        for (tensor, file) in map.sorted(by: { $0.key < $1.key }) {
            guard let shard = folder.shards[file] else {
                log.error(place, "weight_map: \(tensor) is in \(file), which is outside the folder")
                continue
            }
            if shard.tensors[tensor] == nil {
                log.error(place, "weight_map: \(tensor) is said to be in \(file), but is not")
            }
        }
        for (file, shard) in folder.shards.sorted(by: { $0.key < $1.key }) {
            for tensor in shard.tensors.keys.sorted() where map[tensor] == nil {
                log.error(place, "weight_map lacks \(tensor), which is in \(file)")
            }
        }
        let total = folder.tensors.values.reduce(0) { $0 + $1.bytes.count }
        let metadata = index["metadata"] as? [String: Any]
        guard let stated = (metadata?["total_size"] as? NSNumber)?.intValue else {
            log.error(place, "metadata.total_size is missing; the tensors take \(total) bytes")
            return
        }
        if stated != total {
            log.error(place, "metadata.total_size is \(stated); the tensors take \(total) bytes")
        }
    }
}
