/// The files in which a Hugging Face folder keeps its weights.
public enum WeightFiles {
    /// The shards' index.
    public static let indexName = CheckpointTensors.indexName

    /// The files that are read of a folder, by name and in order.
    ///
    /// Those that the index names, or `model.safetensors` without one; no other `.safetensors` file in it
    /// is ever opened.
    ///
    /// - Returns: Names, whether the files are there or not; the index is none of them.
    /// - Throws: ``ModelFileError`` if there is an index that is none.
    public static func names(in folder: String) throws(ModelFileError) -> [String] {
        try CheckpointTensors.shardNames(folder)
    }
}
