internal import ArgumentParser
internal import Devices
internal import Formats
internal import Foundation
internal import Inference
internal import Kernels
internal import ModelFiles
internal import Transformer

/// What `generate` and `chat` take of how a text is written.
struct GenerationOptions: ParsableArguments {
    @Option(help: "A GGUF file or a Hugging Face folder on this machine; no gateway is asked.")
    var local: String
    @Option(help: "Tokens of a text, at most.")
    var maxTokens = 512
    @Option(help: "0 takes the most likely token; higher flattens the distribution, up to 100.")
    var temperature = 0.7
    @Option(help: "Draws from the most likely tokens that together reach this share, in (0, 1].")
    var topP = 0.9
    @Option(help: "Draws from so many of the most likely tokens; 0 for all.")
    var topK = 0
    @Option(help: "Leaves tokens out that are less likely than this share of the most likely one.")
    var minP = 0.0
    @Option(
        help: "Divides positive logits of tokens that were there before, multiplies negative ones."
    )
    var repetitionPenalty = 1.0
    @Option(help: "Ends a text before this string; may be given several times.")
    var stop: [String] = []
    @Option(help: "Draws that can be repeated.")
    var seed: UInt64?
    @Option(help: "Tokens of prompt and text together; memory goes by it (default: up to 8192).")
    var context: Int?
    @Option(help: "How keys and values are kept: float32, bfloat16, fp8, mxfp4 or nvfp4.")
    var cache = CacheWord.float32
    @Option(help: "Threads, from 1 to 256 (default: this machine's processors).")
    var threads: Int?

    /// Formats of the cache, by what users write.
    enum CacheWord: String, ExpressibleByArgument, CaseIterable {
        case float32, bfloat16, fp8, mxfp4, nvfp4
    }

    func validate() throws {
        if let threads, !(1...256).contains(threads) {
            throw ValidationError("--threads \(threads) is not allowed; expected 1 to 256")
        }
        if maxTokens < 1 {
            throw ValidationError("--max-tokens \(maxTokens) is not allowed; expected 1 or more")
        }
        if let context, context < 2 {
            throw ValidationError("--context \(context) is not allowed; expected 2 or more")
        }
        // Tokens are not known yet, and no option names one.
        if let objection = sampling.objection(vocabularySize: 0) {
            throw ValidationError(objection)
        }
    }

    var sampling: SamplingParameters {
        SamplingParameters(
            temperature: temperature,
            topP: topP,
            topK: topK,
            minP: minP,
            repetitionPenalty: repetitionPenalty,
            seed: seed
        )
    }

    /// The model, ready to write `texts` texts at a time.
    ///
    /// - Throws: ``ClientError`` (usage) with what is wrong with it.
    func load(texts: Int) throws -> LoadedEngine {
        let count = threads ?? ProcessInfo.processInfo.activeProcessorCount
        do {
            return try LoadedEngine(
                path: local,
                options: EngineOptions(
                    length: context,
                    sequences: min(max(texts, 1), 64),
                    encoding: cache.encoding
                ),
                team: ThreadTeam(threadCount: min(count, 256))
            )
        } catch let error as ModelFileError {
            throw ClientError(.usage, error.message)
        } catch let error as TransformerError {
            throw ClientError(.usage, "\(local): \(error.message)")
        }
    }

    /// Writes until there is nothing to do, and hands out what becomes known.
    ///
    /// - Throws: ``ClientError`` (failed) of a model whose logits are no numbers; what `body` throws.
    func write(_ engine: InferenceEngine, _ body: (GenerationEvent) throws -> Void) throws {
        let start = ContinuousClock.now
        while !engine.isIdle {
            for event in engine.step(at: ContinuousClock.now - start) {
                try body(event)
                if event.finish == .nonFinite {
                    throw ClientError(.failed, "a logit of the model is NaN or infinite")
                }
            }
        }
    }

    /// A request, checked.
    ///
    /// - Throws: ``ClientError`` (usage) of what cannot be served.
    func request(_ prompt: [Int32], of engine: InferenceEngine) throws -> GenerationRequest {
        let request = GenerationRequest(
            prompt: prompt,
            sampling: sampling,
            tokenLimit: maxTokens,
            stops: stop
        )
        if let objection = engine.objection(to: request) { throw ClientError(.usage, objection) }
        return request
    }
}

extension GenerationOptions.CacheWord {
    var encoding: CacheEncoding {
        switch self {
        case .float32: .float32
        case .bfloat16: .bfloat16
        case .fp8: .quantized(.fp8PerTensor)
        case .mxfp4: .quantized(.mxfp4)
        case .nvfp4: .quantized(.nvfp4)
        }
    }
}
