internal import Foundation
internal import Inference
internal import ModelFiles
internal import Protocol
internal import Serving

/// A text that was written.
struct WrittenText {
    var text = ""
    var promptTokens = 0
    var tokens = 0
    /// Why it ended: `stop`, `length`.
    var reason = ""
    /// The string that ended it, if one did.
    var stop: String?

    /// Takes what came of it.
    mutating func take(_ answer: TextAnswer) {
        switch answer {
        case .accepted(let promptTokens): self.promptTokens = promptTokens
        case .text(_, let piece, _): text += piece
        case .finished(_, let reason, let stop, let tokens):
            (self.reason, self.stop, self.tokens) = (reason, stop, tokens)
        }
    }
}

/// What writes texts: a model on this machine, or one that a gateway serves.
enum TextWriter {
    case local(LoadedEngine)
    case served(RPCClient, model: String)

    /// Requests that are asked for at the same time: a user may have 128, and others wait, too.
    private static let requestLimit = 32

    /// Writes texts behind prompts, all at the same time.
    ///
    /// `onAnswer`: Told what becomes known, with the prompt's place.
    ///
    /// - Throws: ``ClientError`` or `RPCError` of what cannot be written.
    func write(
        _ requests: [TextRequest],
        onAnswer: @escaping @Sendable (Int, TextAnswer) -> Void
    ) async throws {
        switch self {
        case .local(let model): try Self.write(requests, model, onAnswer)
        case .served(let client, let model):
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (index, request) in requests.enumerated() {
                    if index >= Self.requestLimit { try await group.next() }
                    group.addTask {
                        let request = GenerateRequest(model: model, request: request)
                        try await client.stream(QatMethods.generate, request) { answer in
                            onAnswer(index, answer)
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    private static func write(
        _ requests: [TextRequest],
        _ model: LoadedEngine,
        _ onAnswer: (Int, TextAnswer) -> Void
    ) throws {
        var places: [Int: (index: Int, tokens: Int)] = [:]
        for (index, request) in requests.enumerated() {
            let generation = try generation(request, model)
            if let objection = model.engine.objection(to: generation) {
                throw ClientError(.usage, objection)
            }
            places[model.engine.add(generation)] = (index, 0)
            onAnswer(index, .accepted(promptTokens: generation.prompt.count))
        }
        let start = ContinuousClock.now
        while !model.engine.isIdle {
            for event in model.engine.step(at: ContinuousClock.now - start) {
                guard let (index, before) = places[event.request] else { continue }
                let tokens = before + (event.token == nil ? 0 : 1)
                places[event.request] = (index, tokens)
                if !event.text.isEmpty {
                    onAnswer(index, .text(index: 0, event.text, tokens: []))
                }
                guard let finish = event.finish else { continue }
                if finish == .nonFinite {
                    throw ClientError(.failed, "a logit of the model is NaN or infinite")
                }
                let reason = finish.rawValue
                onAnswer(
                    index,
                    .finished(index: 0, reason: reason, stop: event.stop, tokens: tokens)
                )
            }
        }
    }

    private static func generation(
        _ request: TextRequest,
        _ model: LoadedEngine
    ) throws -> GenerationRequest {
        let prompt: [Int32]
        do throws(ModelFileError) {
            prompt =
                switch request.prompt {
                case .text(let text): model.tokens(text)
                case .tokens(let tokens): tokens
                case .conversation(let messages, let tools):
                    try model.tokens(answeringMessages: messages, tools: tools)
                }
        } catch {
            throw ClientError(.usage, error.message)
        }
        return GenerationRequest(
            prompt: prompt,
            sampling: SamplingParameters(
                temperature: request.temperature,
                topP: request.topP,
                topK: request.topK,
                minP: request.minP,
                repetitionPenalty: request.repetitionPenalty,
                seed: request.seed
            ),
            tokenLimit: request.tokenLimit ?? model.engine.length,
            stops: request.stops
        )
    }
}

extension Console {
    /// Runs `body`; ends the line of a text that it streams and that breaks off, so that what is wrong stands on
    /// a line of its own.
    static func endingLine(
        of text: () -> String,
        _ body: () async throws -> Void
    ) async throws {
        do {
            try await body()
        } catch {
            let text = text()
            if !text.isEmpty, !text.hasSuffix("\n") { stream("\n") }
            throw error
        }
    }
}
