/// Plain text as tokens.
public enum TextCorpus {
    /// Tokens of the files, one after the other; bytes that are not UTF-8 become replacement
    /// characters.
    ///
    /// - Throws: ``ModelFileError`` (`inputOutput`) if a file cannot be read, (`malformed`) above
    ///   4 GiB.
    public static func load(paths: [String], tokenizer: Tokenizer) throws(ModelFileError) -> [Int32]
    {
        var tokens: [Int32] = []
        for path in paths {
            let bytes = try FileSystem.read(path, limit: 4 << 30)
            tokens.append(contentsOf: tokenizer.encode(String(decoding: bytes, as: UTF8.self)))
        }
        return tokens
    }

    /// Checks that a text makes at least one window.
    ///
    /// - Throws: ``ModelFileError`` (`tooShort`), naming the files and both numbers.
    public static func requireWindow(
        of length: Int,
        tokens: [Int32],
        paths: [String]
    ) throws(ModelFileError) {
        guard tokens.count >= length else {
            let names = paths.map { $0.split(separator: "/").last.map(String.init) ?? $0 }
            throw ModelFileError(
                .tooShort,
                """
                \(names.joined(separator: ", ")): \(tokens.count) tokens, fewer than one window of \
                seq_length \(length)
                """
            )
        }
    }
}
