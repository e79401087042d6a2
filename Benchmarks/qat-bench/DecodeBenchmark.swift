internal import ArgumentParser
internal import Devices
internal import Formats
internal import Foundation
internal import Kernels
internal import ModelFiles
internal import Transformer

/// Times the prompt and the generation of a model.
struct DecodeBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "decode",
        abstract: "Times prompt processing and token generation of a model.",
        discussion: """
            Weights stay packed as a file has them (--format file, the default with --model), are \
            quantized to a format as the model is loaded (mxfp4, nvfp4, …; embedding and head BF16), or \
            are FP32 (f32, the default without).
            """
    )

    @Option(help: "A GGUF file or Hugging Face folder; random weights of --shape without it.")
    var model: String?
    @Option(help: "The shape of random weights.") var shape = "smollm2-135m"
    @Option(help: "What weights are in memory: file, f32 or a number format.")
    var format: String?
    @Option(help: "Prompt tokens.") var prompt = 512
    @Option(help: "Generated tokens.") var generated = 64
    @Option(help: "Tokens of the prompt that are processed at once.") var chunk = 128
    @Option(
        help:
            "Sequences that are generated at once; their prompts are processed one after the other."
    )
    var batch = 1
    @Option(help: "Rounds; the first does not count.") var rounds = 4
    @Option(help: "A text to continue greedily; prints its tokens and the continuation's, untimed.")
    var text: String?
    @Option(help: "Threads.") var threads = ProcessInfo.processInfo.activeProcessorCount

    private var storage: String { format ?? (model == nil ? "f32" : "file") }

    func validate() throws {
        guard text == nil || (model != nil && text?.isEmpty == false) else {
            throw ValidationError("--text needs --model and is not empty")
        }
        guard prompt > 0, generated > 0, chunk > 0, (1...256).contains(batch), rounds > 1,
            (1...256).contains(threads)
        else {
            throw ValidationError(
                "--prompt, --generated, --chunk, --batch and --threads are at least 1, --rounds 2"
            )
        }
        guard storage != "file" || model != nil else {
            throw ValidationError("--format file needs --model")
        }
        if !["file", "f32"].contains(storage) { _ = try QuantizationFormat.named(storage) }
    }

    func run() throws {
        let team = ThreadTeam(threadCount: threads)
        let source = try model.map { try ModelLoader.open(path: $0) }
        let parameters = try parameters(source, team)
        let decoding = try GreedyDecoding(
            parameters,
            length: prompt + generated,
            sequences: batch,
            chunk: chunk,
            device: CPUDevice(team: team)
        )
        if let text, let source { return try continueGreedily(decoding, source, text) }
        let vocabulary = parameters.configuration.vocabularySize
        let tokens = (0..<prompt).map { Int32((1000 + $0) % vocabulary) }
        var prefill: [Double] = []
        var decode: [Double] = []
        // By processor time.
        var prefillByTime: [Double] = []
        var decodeByTime: [Double] = []
        for _ in 0..<rounds {
            let begin = processorSeconds()
            let read = timed { for sequence in 0..<batch { decoding.read(tokens, sequence) } }
            let middle = processorSeconds()
            let written = timed { for _ in 0..<generated { decoding.step() } }
            prefill.append(Double(batch * prompt) / read)
            decode.append(Double(batch * generated) / written)
            prefillByTime.append(Double(batch * prompt) / (middle - begin))
            decodeByTime.append(Double(batch * generated) / (processorSeconds() - middle))
        }
        printJSON([
            ("bench", "decode"), ("model", model ?? shape), ("format", storage),
            ("twin", storage == "f32" ? "blas" : PackedProduct.twin),
            ("threads", threads), ("prompt", prompt), ("chunk", chunk), ("batch", batch),
            ("prefill_tps", median(Array(prefill.dropFirst()))),
            ("decode_tps", median(Array(decode.dropFirst()))),
            ("decode_best_tps", decode.max() ?? 0),
            ("prefill_per_cpu_s", prefillByTime.max() ?? 0),
            ("decode_per_cpu_s", decodeByTime.max() ?? 0),
            ("weights_mb", Double(parameters.residentByteCount) / 1e6),
            ("stored_mb", Double(source?.storedByteCount ?? 0) / 1e6),
            ("maxrss_gb", peakMemoryGB()),
        ])
    }

    private func parameters(_ source: (any ModelSource)?, _ team: ThreadTeam) throws -> Parameters {
        if storage == "file", let source {
            return try ModelLoader.packedParameters(of: source, team: team)
        }
        let whole =
            try source.map { try ModelLoader.parameters(of: $0, team: team) }
            ?? Parameters.random(configuration: try modelShape(shape), seed: 1)
        guard storage != "f32" else { return whole }
        // As exports have them.
        for entry in [whole.layout.embedding, whole.layout.head] {
            let values = whole.elements(of: entry)
            for index in values.indices {
                values[index] = Float(bitPattern: values[index].bitPattern & 0xFFFF_0000)
            }
        }
        guard let format = try QuantizationFormat.named(storage) else {
            return try whole.packed(by: .none, team: team)
        }
        return try whole.packed(by: QuantizationRecipe(defaultFormat: format), team: team)
    }

    /// What other engines are compared with: the most likely tokens, one after the other.
    private func continueGreedily(
        _ decoding: GreedyDecoding,
        _ source: any ModelSource,
        _ text: String
    ) throws {
        let tokens = try source.tokenizer().encode(text)
        guard tokens.count <= prompt else {
            throw ValidationError("--text has \(tokens.count) tokens, more than --prompt")
        }
        decoding.read(tokens, 0)
        var continuation: [Int32] = []
        for _ in 0..<generated {
            continuation.append(decoding.next[0])
            decoding.step()
        }
        print(#"{"prompt_tokens": \#(tokens), "greedy_tokens": \#(continuation)}"#)
    }
}

/// Sequences that go on with their most likely tokens, all of them by one token at a time.
private final class GreedyDecoding {
    /// The most likely token of each sequence.
    private(set) var next: [Int32]
    private let decoder: BatchDecoder
    private var batch = Batch()
    private var positions: [Int]
    private let chunk: Int
    private let logits: UnsafeMutableBufferPointer<Float>

    /// Sequences of `length` tokens; `chunk`: tokens of a prompt that are processed at once.
    init(
        _ parameters: Parameters,
        length: Int,
        sequences: Int,
        chunk: Int,
        device: any ComputeDevice
    ) throws {
        self.chunk = chunk
        decoder = try BatchDecoder(
            parameters: parameters,
            limits: BatchLimits(rows: max(chunk, sequences), sequences: sequences, length: length),
            device: device
        )
        next = Array(repeating: 0, count: sequences)
        positions = next.map { _ in 0 }
        logits = .allocate(capacity: parameters.configuration.vocabularySize)
        let pages = decoder.limits.pagesPerSequence
        for sequence in 0..<sequences {
            for index in 0..<pages {
                decoder.setPage(sequence * pages + index, at: index, of: sequence)
            }
        }
    }

    deinit { logits.deallocate() }

    /// Begins a sequence with a prompt.
    func read(_ tokens: [Int32], _ sequence: Int) {
        for start in stride(from: 0, to: tokens.count, by: chunk) {
            let end = min(start + chunk, tokens.count)
            batch.removeAll()
            batch.append(
                tokens[start..<end],
                at: start,
                of: sequence,
                wantsLogits: end == tokens.count
            )
            decoder.run(batch)
        }
        positions[sequence] = tokens.count
        next[sequence] = mostLikely(0)
    }

    /// Appends its most likely token to each sequence.
    func step() {
        batch.removeAll()
        for sequence in next.indices {
            batch.append(
                CollectionOfOne(next[sequence]),
                at: positions[sequence],
                of: sequence,
                wantsLogits: true
            )
            positions[sequence] += 1
        }
        decoder.run(batch)
        for sequence in next.indices { next[sequence] = mostLikely(sequence) }
    }

    private func mostLikely(_ index: Int) -> Int32 {
        guard let start = logits.baseAddress else { return 0 }
        decoder.logits(index, into: start)
        var best = 0
        for token in logits.indices where logits[token] > logits[best] { best = token }
        return Int32(best)
    }
}
