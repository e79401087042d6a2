internal import Devices
internal import Foundation
internal import Inference
internal import Kernels
internal import Protocol
internal import Serving

@testable internal import Gateway
@testable internal import ModelFiles
@testable internal import Transformer

/// A served model in this process: a real engine with a tiny random model, whose tokens are bytes.
///
/// A conversation is put as its own JSON.
struct EngineServing: ModelServing {
    static let modelName = "tiny"
    static let length = 256

    private let loop: EngineLoop

    /// `pause`: Time between two passes, for tests of what happens meanwhile.
    init(pause: Duration = .zero) throws {
        loop = try EngineLoop(pause: pause)
    }

    /// Texts that the engine writes or has waiting.
    var load: Int { get async { await loop.textCount } }

    /// Prompts so far, in the order of their coming.
    var prompts: [TextRequest.Prompt] { get async { await loop.prompts } }

    func models(for principal: Principal) async throws -> [ServedModel] {
        [
            ServedModel(
                name: Self.modelName,
                job: "job-1",
                owner: "alice",
                created: 1_700_000_000,
                length: Self.length,
                readyReplicas: 1,
                replicas: 1
            )
        ]
    }

    func answers(
        to request: TextRequest,
        model: String,
        for principal: Principal
    ) async throws -> AsyncThrowingStream<TextAnswer, any Error> {
        guard model == Self.modelName else { throw RPCError(.notFound, "no model \(model)") }
        let (stream, continuation) = AsyncThrowingStream<TextAnswer, any Error>.makeStream()
        try await loop.add(request, continuation)
        return stream
    }

    func tokens(
        of prompt: TextRequest.Prompt,
        model: String,
        for principal: Principal
    ) async throws -> [Int32] {
        await loop.tokens(prompt)
    }

    func replicas() async -> [ReplicaState] {
        var state = ReplicaState(
            model: Self.modelName,
            owner: "alice",
            job: "job-1",
            worker: "eval-1",
            isReady: true,
            isDraining: false,
            slots: 8,
            running: await loop.textCount,
            queued: 0,
            load: await loop.load,
            probe: ReplicaProbe(),
            firstText: DurationHistogram()
        )
        state.probe.timeUnixMs = 1_700_000_000_000
        state.probe.isHealthy = true
        state.probe.seconds = 0.25
        return [state]
    }
}

/// Runs the engine, and hands on what becomes known.
private actor EngineLoop {
    private struct Text {
        let continuation: AsyncThrowingStream<TextAnswer, any Error>.Continuation
        let index: Int
        let request: Int
        var tokens = 0
    }

    private let engine: InferenceEngine
    private let tokenizer: Tokenizer
    private let pause: Duration
    private var texts: [Int: Text] = [:]
    private var nextRequest = 0
    private var isRunning = false
    private(set) var prompts: [TextRequest.Prompt] = []

    init(pause: Duration) throws {
        self.pause = pause
        let end: Int32 = 256
        tokenizer = try Tokenizer(
            vocabulary: ByteAlphabet.characters.map { String($0) } + ["<end>"],
            merges: [],
            addedTokens: [.init(text: "<end>", id: end, isSpecial: true)],
            preTokenizer: .gpt2
        )
        let configuration = ModelConfiguration(
            vocabularySize: 257,
            hiddenSize: 64,
            intermediateSize: 96,
            layerCount: 2,
            headCount: 4,
            keyValueHeadCount: 2,
            tiedEmbeddings: true
        )
        let decoder = try BatchDecoder(
            parameters: try Parameters.random(
                configuration: configuration,
                seed: 21,
                deviation: 0.2
            ),
            limits: BatchLimits(rows: 64, sequences: 8, length: EngineServing.length, pageRows: 16),
            device: CPUDevice(team: ThreadTeam(threadCount: 1))
        )
        engine = InferenceEngine(decoder: decoder, tokenizer: tokenizer, endTokens: [end])
    }

    var textCount: Int { texts.count }

    var load: ReplicaLoad {
        var load = ReplicaLoad()
        load.running = engine.load.running
        load.pages = engine.load.pages
        load.usedPages = engine.load.usedPages
        load.drawnTokens = engine.load.drawnTokens
        load.promptTokens = engine.load.promptTokens
        return load
    }

    func tokens(_ prompt: TextRequest.Prompt) -> [Int32] {
        switch prompt {
        case .text(let text): tokenizer.encode(text)
        case .tokens(let tokens): tokens
        case .conversation(let messages, let tools): tokenizer.encode(messages + (tools ?? ""))
        }
    }

    func add(
        _ request: TextRequest,
        _ continuation: AsyncThrowingStream<TextAnswer, any Error>.Continuation
    ) throws {
        prompts.append(request.prompt)
        let tokens = tokens(request.prompt)
        let number = nextRequest
        nextRequest += 1
        let sampling = SamplingParameters(
            temperature: request.temperature,
            topP: request.topP,
            topK: request.topK,
            minP: request.minP,
            repetitionPenalty: request.repetitionPenalty,
            presencePenalty: request.presencePenalty,
            frequencyPenalty: request.frequencyPenalty,
            logitBias: request.logitBias,
            seed: request.seed
        )
        let generation = GenerationRequest(
            prompt: tokens,
            sampling: sampling,
            tokenLimit: request.tokenLimit ?? EngineServing.length,
            stops: request.stops,
            alternativeCount: request.alternativeCount
        )
        if let objection = engine.objection(to: generation) {
            throw RPCError(.invalidArgument, objection)
        }
        continuation.yield(.accepted(promptTokens: tokens.count))
        for index in 0..<request.count {
            let text = Text(continuation: continuation, index: index, request: number)
            texts[engine.add(generation)] = text
        }
        continuation.onTermination = { _ in Task { await self.drop(number) } }
        run()
    }

    private func drop(_ request: Int) {
        for (number, text) in texts where text.request == request {
            engine.cancel(number)
            texts[number] = nil
        }
    }

    private func run() {
        guard !isRunning else { return }
        isRunning = true
        Task {
            while !engine.isIdle {
                for event in engine.step(at: .zero) { tell(event) }
                try? await Task.sleep(for: pause)
            }
            isRunning = false
        }
    }

    private func tell(_ event: GenerationEvent) {
        guard var text = texts[event.request] else { return }
        let tokens = event.token.map { drawn -> [TextToken] in
            text.tokens += 1
            guard let logProbability = drawn.logProbability else { return [] }
            return [
                TextToken(
                    bytes: bytes(drawn.token),
                    logProbability: logProbability,
                    alternatives: drawn.alternatives.map {
                        .init(bytes: bytes($0.token), logProbability: $0.logProbability)
                    }
                )
            ]
        }
        text.continuation.yield(.text(index: text.index, event.text, tokens: tokens ?? []))
        texts[event.request] = text
        guard let finish = event.finish else { return }
        text.continuation.yield(
            .finished(
                index: text.index,
                reason: finish.rawValue,
                stop: event.stop,
                tokens: text.tokens
            )
        )
        texts[event.request] = nil
        if !texts.values.contains(where: { $0.request == text.request }) {
            text.continuation.finish()
        }
    }

    private func bytes(_ token: Int32) -> [UInt8] { token < 256 ? [UInt8(token)] : [] }
}
