public import Transformer

/// Whether token tables fit a model and each other.
public enum Vocabulary {
    /// Checks that every token that text can come to has a row in the embedding.
    ///
    /// Rows beyond the tokenizer's tokens are padding. Added tokens beyond the rows are let pass, as
    /// some models of text keep those of pictures; ``TextTokens`` refuses texts that hold one.
    ///
    /// - Throws: ``ModelFileError`` (`malformed`) with the first token without a row.
    public static func requireFit(
        of tokenizer: Tokenizer,
        _ configuration: ModelConfiguration
    ) throws(ModelFileError) {
        let rows = configuration.vocabularySize
        let added = Set(tokenizer.addedTokens.map { Int($0.id) })
        let used = [configuration.bosToken].compactMap(\.self) + configuration.eosTokens
        if let token = used.first(where: { $0 >= rows || $0 < 0 }) {
            throw ModelFileError(
                .malformed,
                """
                the token \(token) that begins or ends texts has no row in the model's embedding of \
                \(rows) rows (vocab_size)
                """
            )
        }
        guard rows < tokenizer.vocabularySize,
            let token = (rows..<tokenizer.vocabularySize).first(where: { !added.contains($0) })
        else { return }
        throw ModelFileError(
            .malformed,
            """
            the tokenizer has \(tokenizer.vocabularySize) tokens, the model's embedding \(rows) rows \
            (vocab_size): token \(token), \(tokenizer.vocabulary[token].debugDescription), has no \
            row; is it another model's tokenizer?
            """
        )
    }

    /// The added tokens without a row in the embedding.
    public static func addedBeyondRows(
        of tokenizer: Tokenizer,
        _ configuration: ModelConfiguration
    ) -> [Tokenizer.AddedToken] {
        tokenizer.addedTokens.filter { Int($0.id) >= configuration.vocabularySize }
    }

    /// Checks that a teacher's tokens are its student's: the same up to the shorter table's end.
    ///
    /// - Throws: ``ModelFileError`` (`unsupported`) with the first token that differs.
    public static func requireSame(
        teacher: Tokenizer,
        student: Tokenizer
    ) throws(ModelFileError) {
        for (id, (theirs, ours)) in zip(teacher.vocabulary, student.vocabulary).enumerated() {
            // What a tokenizer calls numbers that it has no token for.
            guard theirs != "[PAD\(id)]", ours != "[PAD\(id)]" else { continue }
            // Canonically equivalent texts are not the same bytes.
            guard !theirs.utf8.elementsEqual(ours.utf8) else { continue }
            throw ModelFileError(
                .unsupported,
                """
                token \(id) is \(theirs.debugDescription) in the teacher's tokenizer and \
                \(ours.debugDescription) in the model's; both must have the same tokens under the \
                same numbers, and one may have further ones at its end
                """
            )
        }
    }

    /// Checks that a teacher says something about every row of its student's head.
    ///
    /// - Throws: ``ModelFileError`` (`unsupported`) if it has fewer rows.
    public static func requireRows(
        teacher: ModelConfiguration,
        student: ModelConfiguration
    ) throws(ModelFileError) {
        guard teacher.vocabularySize < student.vocabularySize else { return }
        throw ModelFileError(
            .unsupported,
            """
            the teacher's embedding has \(teacher.vocabularySize) rows (vocab_size), the model's \
            \(student.vocabularySize); a teacher may have more rows, not fewer
            """
        )
    }
}
