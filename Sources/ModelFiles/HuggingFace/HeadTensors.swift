internal import Transformer

/// Whether a folder's head is its embedding: what config.json says, unless the tensors say otherwise.
///
/// Transformers 5 ties them where config.json says so, unless both stand in the file with other
/// values; where one is missing, it takes the other.
/// - SeeAlso: Hugging Face Transformers, `modeling_utils.py`, `tie_weights`.
struct HeadTensors {
    static let name = ParameterLayout.headModule + ".weight"
    private static let embedding = ParameterLayout.embeddingModule + ".weight"
    private static let chunk = 1 << 20

    /// Whether the head is the embedding.
    let isTied: Bool
    /// Whether the head is there and the embedding is not.
    let standsForEmbedding: Bool

    init(
        _ tensors: CheckpointTensors,
        _ model: ModelConfiguration
    ) throws(ModelFileError) {
        let hasHead = tensors.hasTensor(of: ParameterLayout.headModule)
        guard model.tiedEmbeddings, hasHead else {
            (isTied, standsForEmbedding) = (model.tiedEmbeddings, false)
            return
        }
        let hasEmbedding = tensors.hasTensor(of: ParameterLayout.embeddingModule)
        standsForEmbedding = !hasEmbedding
        isTied = hasEmbedding ? try Self.areEqual(tensors) : true
    }

    /// Whether both are there in floats, with the same values.
    private static func areEqual(_ tensors: CheckpointTensors) throws(ModelFileError) -> Bool {
        guard let head = tensors[name], let embedding = tensors[embedding],
            head.tensor.shape == embedding.tensor.shape
        else { return false }
        let (a, b) = (head.tensor, embedding.tensor)
        defer {
            MappedFile.dropPages(of: a.bytes)
            MappedFile.dropPages(of: b.bytes)
        }
        if a.type == b.type { return a.bytes.elementsEqual(b.bytes) }
        guard SafetensorsType.floats.contains(a.type), SafetensorsType.floats.contains(b.type),
            a.shape.count == 2, a.shape[1] > 0
        else { return false }
        let columns = a.shape[1]
        let rows = max(1, chunk / columns)
        for first in stride(from: 0, to: a.shape[0], by: rows) {
            let range = first..<min(first + rows, a.shape[0])
            guard try values(head, range, columns) == values(embedding, range, columns) else {
                return false
            }
        }
        return true
    }

    private static func values(
        _ located: CheckpointTensors.Located,
        _ rows: Range<Int>,
        _ columns: Int
    ) throws(ModelFileError) -> [Float] {
        var values = [Float](repeating: 0, count: rows.count * columns)
        // Typed throws do not pass through withUnsafeMutableBufferPointer.
        let result = values.withUnsafeMutableBufferPointer { buffer in
            Result { () throws(ModelFileError) in
                try located.tensor.copyFloats(
                    rows: rows,
                    columns: columns,
                    to: buffer,
                    path: located.path
                )
            }
        }
        try result.get()
        return values
    }
}
