public import Transformer

/// Whether windows fit the positions that a model was made for.
public enum ContextLength {
    /// The key that lets longer windows pass.
    public static let key = "allow_long_context"

    /// Checks a length.
    ///
    /// Rotary embeddings have a rotation for every position, so longer windows can be computed; what
    /// comes of them is another matter.
    ///
    /// - Parameters:
    ///   - length: Positions that a window takes.
    ///   - name: What the length is called, as in `seq_length 1024`.
    ///   - configuration: The model's.
    ///   - allowsLong: Whether longer windows are asked for.
    /// - Returns: What a user should know of a longer window; nil of one that fits.
    /// - Throws: ``ModelFileError`` (`unsupported`) with both numbers.
    public static func check(
        _ length: Int,
        name: String,
        _ configuration: ModelConfiguration,
        allowsLong: Bool
    ) throws(ModelFileError) -> String? {
        let limit = configuration.maximumPositions
        guard length > limit else { return nil }
        let excess = "\(name) is beyond the model's context of \(limit) positions"
        guard allowsLong else {
            throw ModelFileError(
                .unsupported,
                """
                \(excess) (max_position_embeddings); write at most \(limit), or "\(key)": true: \
                its rotary embedding\(scaling(configuration.rotary)) is defined beyond them, but \
                was not trained there
                """
            )
        }
        return "\(excess): results there are the rotary embedding's extrapolation"
    }

    private static func scaling(_ rotary: RotaryEmbedding) -> String {
        switch rotary.scaling {
        case nil: ""
        case .linear: " (linear scaling)"
        case .dynamic: " (dynamic NTK scaling)"
        case .llama3: " (llama3 scaling)"
        case .yarn: " (YaRN)"
        case .longRope: " (LongRoPE)"
        }
    }
}
