internal import Inference
internal import JobSpecs
internal import ModelFiles
internal import Serving

/// Makes of what is asked for what the engine writes, or says why that cannot be.
struct RequestReader {
    /// Answers to one prompt.
    static let countLimit = 128
    /// Strings that end an answer: each token's text is compared with all of them.
    static let stopLimit = 64

    let model: LoadedEngine
    let maximumInputLength: Int?
    let maximumOutputLength: Int?

    init(_ model: LoadedEngine, _ spec: ServeSpec) {
        self.model = model
        maximumInputLength = spec.maximumInputLength
        maximumOutputLength = spec.maximumOutputLength
    }

    /// The tokens of a prompt.
    ///
    /// - Throws: ``ReplicaRefusal`` (`invalid`) of a conversation that the model's template refuses.
    func tokens(of prompt: TextRequest.Prompt) throws(RefusedRequest) -> [Int32] {
        switch prompt {
        case .text(let text): return model.tokens(text)
        case .tokens(let tokens): return tokens
        case .conversation(let messages, let tools):
            do {
                return try model.tokens(answeringMessages: messages, tools: tools)
            } catch {
                throw RefusedRequest(error.message)
            }
        }
    }

    /// What the engine is to write, one for each answer.
    ///
    /// - Throws: ``RefusedRequest`` of what this model cannot answer.
    func requests(for request: TextRequest) throws(RefusedRequest) -> [GenerationRequest] {
        guard (1...Self.countLimit).contains(request.count) else {
            throw RefusedRequest("n is \(request.count); expected 1 to \(Self.countLimit)")
        }
        guard request.stops.count <= Self.stopLimit else {
            throw RefusedRequest(
                "\(request.stops.count) stop strings are asked for; at most \(Self.stopLimit)"
            )
        }
        let prompt = try tokens(of: request.prompt)
        if let limit = maximumInputLength, prompt.count > limit {
            throw RefusedRequest("the prompt has \(prompt.count) tokens; max_input_len is \(limit)")
        }
        if let limit = request.tokenLimit, limit < 1 {
            throw RefusedRequest("max_tokens is \(limit), below 1")
        }
        let length = model.engine.length
        var generation = GenerationRequest(
            prompt: prompt,
            sampling: Self.sampling(request),
            tokenLimit: min(request.tokenLimit ?? length, maximumOutputLength ?? length),
            stops: request.stops,
            alternativeCount: request.alternativeCount
        )
        if let objection = model.engine.objection(to: generation) {
            throw RefusedRequest(objection)
        }
        return (0..<request.count).map { index in
            generation.sampling.seed = request.seed.map { $0 &+ UInt64(index) }
            return generation
        }
    }

    private static func sampling(_ request: TextRequest) -> SamplingParameters {
        SamplingParameters(
            temperature: request.temperature,
            topP: request.topP,
            topK: request.topK,
            minP: request.minP,
            repetitionPenalty: request.repetitionPenalty,
            presencePenalty: request.presencePenalty,
            frequencyPenalty: request.frequencyPenalty,
            logitBias: request.logitBias
        )
    }
}

/// A request that this model cannot answer, whenever it comes.
struct RefusedRequest: Error {
    /// What is wrong, in a sentence.
    let message: String

    init(_ message: String) { self.message = message }
}
