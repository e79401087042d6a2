extension HuggingFaceReader {
    /// What says how to use the model rather than what it computes.
    private static let carriedNames = [
        "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json", "vocab.json", "merges.txt", "chat_template.jinja",
    ]

    func carriedFiles() throws(ModelFileError) -> [String: [UInt8]] {
        var files: [String: [UInt8]] = [:]
        for name in Self.carriedNames where FileSystem.exists("\(path)/\(name)") {
            let bytes = try FileSystem.read("\(path)/\(name)", limit: 256 << 20)
            // Hugging Face's own readers refuse a byte order mark.
            let isMarked = bytes.starts(with: JSONScanner.byteOrderMark)
            files[name] = isMarked ? Array(bytes.dropFirst(3)) : bytes
        }
        return files
    }
}
