internal import Dispatch
internal import Synchronization

/// Makes a corpus of texts: a document of each plain text, and of each object in JSON lines.
///
/// Documents of JSON lines are tokenized side by side and written in their order: any number of threads
/// writes the same files.
public struct CorpusTokenizer: Sendable {
    /// How far it is.
    public struct Progress: Sendable {
        /// Texts of the file that are done, in bytes of UTF-8.
        public var byteCount = 0
        /// Documents written, of all files.
        public var documentCount = 0
        /// Documents without a token, which are left out.
        public var emptyCount = 0
        /// Documents that hold the model's end-of-text token themselves.
        public var innerEndCount = 0
    }

    private let tokens: TextTokens
    private let endToken: Int32?
    private let threads: Int
    /// What was done so far.
    public private(set) var progress = Progress()

    /// Bytes of text that are tokenized at a time, for each thread.
    private static let batchSize = 1 << 20

    /// A tokenizer of documents.
    ///
    /// `appendsEnd`: Whether the model's end-of-text token stands behind each. `threads`: At least 1.
    ///
    /// - Throws: ``ModelFileError`` (`unsupported`) if it should and the model has none.
    public init(
        _ tokens: TextTokens,
        appendsEnd: Bool,
        threads: Int
    ) throws(ModelFileError) {
        precondition(threads > 0, "CorpusTokenizer: \(threads) threads")
        if appendsEnd, tokens.endOfText == nil {
            throw ModelFileError(
                .unsupported,
                "the model names no token that ends a text (eos_token_id)"
            )
        }
        self.tokens = tokens
        self.threads = threads
        endToken = appendsEnd ? tokens.endOfText : nil
    }

    /// Adds a file's documents.
    ///
    /// `onProgress`: Told after some megabytes each.
    ///
    /// - Throws: ``ModelFileError``, naming the file and the place.
    public mutating func add(
        _ file: TextFile,
        to writer: CorpusWriter,
        onProgress: (Progress) -> Void = { _ in }
    ) throws(ModelFileError) {
        try tokens.requireRows(of: file)
        progress.byteCount = 0
        var batch: [String] = []
        var size = 0
        var failure: ModelFileError?
        var renderer: ChatTemplate.Renderer?
        try file.forEachDocument { document in
            do throws(ModelFileError) {
                let text = try tokens.text(of: document, &renderer)
                batch.append(text)
                size += text.utf8.count
                guard size >= Self.batchSize * threads else { return true }
                try write(batch, of: file, to: writer)
            } catch {
                failure = error
                return false
            }
            onProgress(progress)
            batch.removeAll(keepingCapacity: true)
            size = 0
            return true
        }
        if let failure { throw failure }
        try write(batch, of: file, to: writer)
        onProgress(progress)
    }

    private mutating func write(
        _ batch: [String],
        of file: TextFile,
        to writer: CorpusWriter
    ) throws(ModelFileError) {
        for (text, document) in zip(batch, encoded(batch)) {
            progress.byteCount += text.utf8.count
            guard !document.isEmpty else {
                progress.emptyCount += 1
                continue
            }
            try tokens.requireRows(of: document, in: file)
            if let end = tokens.endOfText, document.contains(end) { progress.innerEndCount += 1 }
            try writer.append(document + (endToken.map { [$0] } ?? []))
            progress.documentCount += 1
        }
    }

    /// The tokens of texts, each thread taking the next one that nobody has.
    private func encoded(_ batch: [String]) -> [[Int32]] {
        let count = min(threads, batch.count)
        guard count > 1 else { return batch.map { tokens.tokenizer.encode($0) } }
        let next = Atomic<Int>(0)
        let found = Mutex([[Int32]](repeating: [], count: batch.count))
        DispatchQueue.concurrentPerform(iterations: count) { _ in
            while true {
                let index = next.add(1, ordering: .relaxed).oldValue
                guard index < batch.count else { return }
                let document = tokens.tokenizer.encode(batch[index])
                found.withLock { $0[index] = document }
            }
        }
        return found.withLock { $0 }
    }
}
