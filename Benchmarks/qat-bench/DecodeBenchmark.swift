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
    @Option(help: "Rounds; the first does not count.") var rounds = 4
    @Option(help: "A text to continue greedily; prints its tokens and the continuation's, untimed.")
    var text: String?
    @Option(help: "Threads.") var threads = ProcessInfo.processInfo.activeProcessorCount

    private var storage: String { format ?? (model == nil ? "f32" : "file") }

    func validate() throws {
        guard text == nil || (model != nil && text?.isEmpty == false) else {
            throw ValidationError("--text needs --model and is not empty")
        }
        guard prompt > 0, generated > 0, chunk > 0, rounds > 1, (1...256).contains(threads) else {
            throw ValidationError(
                "--prompt, --generated, --chunk and --threads are at least 1, --rounds 2"
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
        let generator = try Generator(
            parameters: parameters,
            capacity: prompt + generated,
            chunk: chunk,
            device: CPUDevice(team: team)
        )
        if let text, let source { return try continueGreedily(generator, source, text) }
        let vocabulary = parameters.configuration.vocabularySize
        let tokens = (0..<prompt).map { Int32((1000 + $0) % vocabulary) }
        var prefill: [Double] = []
        var decode: [Double] = []
        // By processor time.
        var prefillByTime: [Double] = []
        var decodeByTime: [Double] = []
        for _ in 0..<rounds {
            generator.reset()
            let begin = processorSeconds()
            prefill.append(Double(prompt) / (try timed { try generator.append(tokens) }))
            let middle = processorSeconds()
            let seconds = try timed {
                for _ in 0..<generated {
                    try generator.append([generator.sample(SamplingOptions())])
                }
            }
            decode.append(Double(generated) / seconds)
            prefillByTime.append(Double(prompt) / (middle - begin))
            decodeByTime.append(Double(generated) / (processorSeconds() - middle))
        }
        printJSON([
            ("bench", "decode"), ("model", model ?? shape), ("format", storage),
            ("twin", storage == "f32" ? "blas" : PackedProduct.twin),
            ("threads", threads), ("prompt", prompt), ("chunk", chunk),
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
        _ generator: Generator,
        _ source: any ModelSource,
        _ text: String
    ) throws {
        let tokens = try source.tokenizer().encode(text)
        guard tokens.count <= prompt else {
            throw ValidationError("--text has \(tokens.count) tokens, more than --prompt")
        }
        try generator.append(tokens)
        var continuation: [Int32] = []
        for _ in 0..<generated {
            let token = generator.sample(SamplingOptions())
            continuation.append(token)
            try generator.append([token])
        }
        print(#"{"prompt_tokens": \#(tokens), "greedy_tokens": \#(continuation)}"#)
    }
}
