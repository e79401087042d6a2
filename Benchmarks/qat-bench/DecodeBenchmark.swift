internal import ArgumentParser
internal import Devices
internal import Foundation
internal import Kernels
internal import ModelFiles
internal import Transformer

/// Times the prompt and the generation of a model.
struct DecodeBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "decode",
        abstract: "Times prompt processing and token generation of a model, weights in FP32."
    )

    @Option(help: "A GGUF file or Hugging Face folder; random weights of --shape without it.")
    var model: String?
    @Option(help: "The shape of random weights.") var shape = "smollm2-135m"
    @Option(help: "Prompt tokens.") var prompt = 512
    @Option(help: "Generated tokens.") var generated = 64
    @Option(help: "A text to continue greedily; prints its tokens and the continuation's, untimed.")
    var text: String?
    @Option(help: "Threads.") var threads = ProcessInfo.processInfo.activeProcessorCount

    func validate() throws {
        guard text == nil || (model != nil && text?.isEmpty == false) else {
            throw ValidationError("--text needs --model and is not empty")
        }
        guard prompt > 0, generated > 0, (1...256).contains(threads) else {
            throw ValidationError("--prompt, --generated and --threads are at least 1")
        }
    }

    func run() throws {
        let team = ThreadTeam(threadCount: threads)
        let parameters: Parameters
        if let model {
            let loaded = try ModelLoader.load(path: model, team: team)
            if let text { return try continueGreedily(loaded, text, team) }
            parameters = loaded.parameters
        } else {
            parameters = try Parameters.random(configuration: try modelShape(shape), seed: 1)
        }
        let generator = try Generator(
            parameters: parameters,
            capacity: prompt + generated,
            device: CPUDevice(team: team)
        )
        let vocabulary = parameters.configuration.vocabularySize
        let tokens = (0..<prompt).map { Int32((1000 + $0) % vocabulary) }
        var prefill: [Double] = []
        var decode: [Double] = []
        for _ in 0..<4 {
            generator.reset()
            prefill.append(Double(prompt) / (try timed { try generator.append(tokens) }))
            let seconds = try timed {
                for _ in 0..<generated {
                    try generator.append([generator.sample(SamplingOptions())])
                }
            }
            decode.append(Double(generated) / seconds)
        }
        printJSON([
            ("bench", "decode"), ("model", model ?? shape), ("format", "f32"),
            ("threads", threads), ("prefill_tps", median(Array(prefill.dropFirst()))),
            ("decode_tps", median(Array(decode.dropFirst()))), ("maxrss_gb", peakMemoryGB()),
        ])
    }

    /// What other engines are compared with: the most likely tokens, one after the other.
    private func continueGreedily(_ model: LoadedModel, _ text: String, _ team: ThreadTeam) throws {
        let tokens = model.tokenizer.encode(text)
        let generator = try Generator(
            parameters: model.parameters,
            capacity: tokens.count + generated,
            device: CPUDevice(team: team)
        )
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
