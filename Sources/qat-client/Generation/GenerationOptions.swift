internal import ArgumentParser
internal import Devices
internal import Formats
internal import Foundation
internal import Inference
internal import Kernels
internal import ModelFiles
internal import Protocol
internal import Serving
internal import Transformer

/// What `generate` and `chat` take of how a text is written.
struct GenerationOptions: ParsableArguments {
    @Option(
        help: "A model that the gateway serves, as qat-client models names it, or its job's id."
    )
    var model: String?
    @Option(help: "A GGUF file or a Hugging Face folder on this machine; no gateway is asked.")
    var local: String?
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
    @Option(
        help:
            "With --local: tokens of prompt and text together; memory goes by it (default: up to 8192)."
    )
    var context: Int?
    @Option(
        help: ArgumentHelp(
            "With --local: how keys and values are kept: float32 (the default), bfloat16, fp8, mxfp4 or nvfp4."
        )
    )
    var cache: CacheWord?
    @Option(help: "With --local: threads, from 1 to 256 (default: this machine's processors).")
    var threads: Int?

    /// Formats of the cache, by what users write.
    enum CacheWord: String, ExpressibleByArgument, CaseIterable {
        case float32, bfloat16, fp8, mxfp4, nvfp4
    }

    func validate() throws {
        guard (model == nil) != (local == nil) else {
            throw ValidationError(
                "expected one of --model NAME, which a gateway serves, and --local FOLDER"
            )
        }
        let ofLocal = [
            ("--context", context != nil), ("--cache", cache != nil), ("--threads", threads != nil),
        ]
        if model != nil, let (name, _) = ofLocal.first(where: \.1) {
            throw ValidationError("\(name) is of --local; a served model has its job's settings")
        }
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

    /// Runs `body` with what writes: the gateway's model, or this machine's, ready for `texts` texts at a time.
    ///
    /// - Throws: ``ClientError`` (usage) with what is wrong with a model, and what `body` throws.
    func withWriter(texts: Int, _ body: (TextWriter) async throws -> Void) async throws {
        guard let model else { return try await body(.local(load(texts: texts))) }
        try await GatewayConnection.with(QatHome()) { client in
            try await body(.served(client, model: model))
        }
    }

    private func load(texts: Int) throws -> LoadedEngine {
        let local = local ?? ""
        let count = threads ?? ProcessInfo.processInfo.activeProcessorCount
        do {
            return try LoadedEngine(
                path: local,
                options: EngineOptions(
                    length: context,
                    sequences: min(max(texts, 1), 64),
                    encoding: (cache ?? .float32).encoding
                ),
                team: ThreadTeam(threadCount: min(count, 256))
            )
        } catch let error as ModelFileError {
            throw ClientError(.usage, error.message)
        } catch let error as TransformerError {
            throw ClientError(.usage, "\(local): \(error.message)")
        }
    }

    /// A request for a text behind a prompt.
    func request(_ prompt: TextRequest.Prompt) -> TextRequest {
        TextRequest(
            prompt: prompt,
            tokenLimit: maxTokens,
            temperature: temperature,
            topP: topP,
            topK: topK,
            minP: minP,
            repetitionPenalty: repetitionPenalty,
            seed: seed,
            stops: stop
        )
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
