internal import ArgumentParser
internal import Foundation
internal import JobSpecs
internal import ModelFiles

/// `preprocess`: texts become a corpus in Megatron's indexed format, on this machine.
struct PreprocessCommand: ClientVerb {
    static let configuration = CommandConfiguration(
        commandName: "preprocess",
        abstract: "Make a corpus (PREFIX.bin and PREFIX.idx) of texts; no gateway is asked.",
        discussion: """
            A plain text becomes one document, each object of JSON lines (.jsonl, .ndjson, .json) one of \
            its own; documents without a token are left out. Tokens are those of the model's own \
            tokenizer, without any it would put at a text's ends. Jobs read the corpus as \
            "data_impl": "mmap" with PREFIX in data.train.
            """
    )

    @Option(help: "A Hugging Face folder or a GGUF file, whose tokenizer is used.")
    var model: String
    @Option(help: "What the two files' names begin with.")
    var outputPrefix: String
    @Option(help: "The key under which objects of JSON lines hold their text.")
    var jsonKey = TextFile.defaultKey
    @Flag(help: "Put the model's end-of-text token behind each document.")
    var appendEod = false
    @Option(help: "Documents that are tokenized at once, from 1 to 256; the files are the same.")
    var workers = 1
    @Flag(help: "Replace a corpus of that name.")
    var overwrite = false
    @Argument(help: "Texts in UTF-8.")
    var files: [String]
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (1...256).contains(workers) else {
            throw ValidationError("--workers \(workers) is not allowed; expected 1 to 256")
        }
        // The files would be hidden ones, .bin and .idx.
        guard !outputPrefix.isEmpty, !outputPrefix.hasSuffix("/") else {
            throw ValidationError(
                "--output-prefix \"\(outputPrefix)\" has no name; expected what PREFIX.bin and PREFIX.idx begin with"
            )
        }
    }

    func perform() async throws -> ExitStatus {
        let paths = IndexedCorpus.suffixes.map { outputPrefix + $0 }
        if !overwrite, let there = paths.first(where: FileManager.default.fileExists) {
            throw ClientError(.usage, "\(there) is there already; --overwrite replaces the corpus")
        }
        let start = ContinuousClock.now
        let meter = TransferMeter("tokenizing")
        defer { meter.clear() }
        let (writer, progress): (CorpusWriter, CorpusTokenizer.Progress)
        do {
            (writer, progress) = try UnfinishedFiles.whileUnfinished { try tokenize(meter, $0) }
        } catch let error as ModelFileError {
            meter.clear()
            throw ClientError(.usage, error.message)
        }
        meter.clear()
        if progress.innerEndCount > 0 {
            Console.note(
                """
                note: \(progress.innerEndCount) of \(writer.documentCount) documents hold the model's end-of-text \
                token themselves, as conversations do whose turns end with it: reset_position_ids, \
                reset_attention_mask and eod_mask_loss take each for the end of a document; a job that reads \
                conversations as JSON lines keeps them whole
                """
            )
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        guard !output.json else {
            Console.print(
                .object([
                    "files": .array(paths.map { .string($0) }),
                    "documents": .number(Double(writer.documentCount)),
                    "tokens": .number(Double(writer.tokenCount)),
                    "empty_documents": .number(Double(progress.emptyCount)),
                    "documents_with_inner_ends": .number(Double(progress.innerEndCount)),
                    "token_type": .string("\(writer.type)"),
                    "seconds": .number(seconds),
                ])
            )
            return .succeeded
        }
        let left = progress.emptyCount > 0 ? ", \(progress.emptyCount) empty ones left out" : ""
        Console.print(
            """
            \(paths.joined(separator: ", ")): \(writer.documentCount) documents\(left), \
            \(writer.tokenCount) tokens (\(writer.type)), \(Quantities.duration(seconds: seconds))
            """
        )
        return .succeeded
    }

    private func tokenize(
        _ meter: TransferMeter,
        _ unfinished: UnfinishedFiles
    ) throws -> (CorpusWriter, CorpusTokenizer.Progress) {
        let source = try ModelLoader.open(path: model)
        let tokens = try TextTokens(source.tokenizer(), source.configuration, source.files)
        var tokenizer = try CorpusTokenizer(tokens, appendsEnd: appendEod, threads: workers)
        // All are opened, and checked, before a long work on one of them begins.
        let texts = try files.map { path in
            let text = try TextFile(path: path, key: jsonKey, keyOption: "with --json-key")
            try text.checkDocuments()
            for note in text.notes { Console.note("note: \(note)") }
            return text
        }
        let writer = try CorpusWriter(
            prefix: outputPrefix,
            vocabularySize: tokens.vocabularySize
        )
        unfinished.begin(writer.temporaryPaths)
        let total = UInt64(texts.reduce(0) { $0 + $1.byteCount })
        var before: UInt64 = 0
        for text in texts {
            try tokenizer.add(text, to: writer) { progress in
                // What JSON has around its texts is told when the file is done.
                let done = before + UInt64(min(progress.byteCount, text.byteCount))
                meter.advance(to: done, of: total, file: text.name)
            }
            before += UInt64(text.byteCount)
        }
        guard writer.documentCount > 0 else {
            throw ModelFileError(.tooShort, "the texts have no token")
        }
        try unfinished.takeNames { try writer.commit() }
        return (writer, tokenizer.progress)
    }
}
