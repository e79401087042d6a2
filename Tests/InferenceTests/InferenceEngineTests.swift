internal import Devices
internal import Formats
internal import Foundation
internal import Kernels
internal import Testing

@testable internal import Inference
@testable internal import ModelFiles
@testable internal import Transformer

/// Texts of a tiny random model, whose tokens are bytes.
struct InferenceEngineTests {
    private static let configuration = ModelConfiguration(
        vocabularySize: 257,
        hiddenSize: 64,
        intermediateSize: 96,
        layerCount: 2,
        headCount: 4,
        keyValueHeadCount: 2,
        tiedEmbeddings: true
    )
    /// Ends a text.
    private static let end: Int32 = 256

    private static func parameters() throws -> Parameters {
        try Parameters.random(configuration: configuration, seed: 21, deviation: 0.2)
    }

    private static func tokenizer() throws -> Tokenizer {
        try Tokenizer(
            vocabulary: ByteAlphabet.characters.map { String($0) } + ["<end>"],
            merges: [],
            addedTokens: [.init(text: "<end>", id: end, isSpecial: true)],
            preTokenizer: .gpt2
        )
    }

    private static func engine(
        _ parameters: Parameters,
        rows: Int = 32,
        sequences: Int = 8,
        length: Int = 64,
        pages: Int? = nil,
        encoding: CacheEncoding = .float32
    ) throws -> InferenceEngine {
        let decoder = try BatchDecoder(
            parameters: parameters,
            limits: BatchLimits(
                rows: rows,
                sequences: sequences,
                length: length,
                pageRows: 4,
                pageCount: pages,
                encoding: encoding
            ),
            device: CPUDevice(team: ThreadTeam(threadCount: 2))
        )
        return InferenceEngine(decoder: decoder, tokenizer: try tokenizer(), endTokens: [end])
    }

    /// What is told of each request, until there is nothing to do.
    private static func run(
        _ engine: InferenceEngine
    ) -> [Int: (tokens: [Int32], text: String, finish: FinishReason?)] {
        var found: [Int: (tokens: [Int32], text: String, finish: FinishReason?)] = [:]
        var passes = 0
        while !engine.isIdle, passes < 10_000 {
            passes += 1
            for event in engine.step(at: .seconds(passes)) {
                var entry = found[event.request] ?? ([], "", nil)
                if let token = event.token { entry.tokens.append(token.token) }
                entry.text += event.text
                entry.finish = event.finish
                found[event.request] = entry
            }
        }
        return found
    }

    private static func prompt(_ seed: UInt64, _ count: Int) -> [Int32] {
        var random = SplitMix64(seed: seed)
        return (0..<count).map { _ in Int32(random.below(256)) }
    }

    @Test func writesWhatTheGeneratorWrites() throws {
        let parameters = try Self.parameters()
        let generator = try Generator(
            parameters: parameters,
            capacity: 64,
            device: CPUDevice(team: ThreadTeam(threadCount: 2))
        )
        let engine = try Self.engine(parameters)
        let prompts = (1...5).map { Self.prompt(UInt64($0), 3 + $0 * 4) }
        let numbers = prompts.map {
            engine.add(GenerationRequest(prompt: $0, tokenLimit: 12, endsAtEndTokens: false))
        }
        let found = Self.run(engine)
        for (number, prompt) in zip(numbers, prompts) {
            generator.reset()
            try generator.append(prompt)
            var expected: [Int32] = []
            for _ in 0..<12 {
                expected.append(generator.sample(SamplingOptions()))
                try generator.append([expected[expected.count - 1]])
            }
            #expect(found[number]?.tokens == expected)
            #expect(found[number]?.finish == .length)
        }
    }

    /// Seen: a pass of more rows than a text has positions ended the process.
    @Test func shortTextsFillAPassTogether() throws {
        let parameters = try Self.parameters()
        let prompts = (1...5).map { Self.prompt(UInt64($0), 6) }
        func request(_ prompt: [Int32]) -> GenerationRequest {
            GenerationRequest(prompt: prompt, tokenLimit: 6, endsAtEndTokens: false)
        }
        let together = try Self.engine(parameters, rows: 32, length: 12)
        let numbers = prompts.map { together.add(request($0)) }
        let found = Self.run(together)
        for (number, prompt) in zip(numbers, prompts) {
            let alone = try Self.engine(parameters)
            let single = alone.add(request(prompt))
            #expect(found[number]?.tokens.count == 6)
            #expect(Self.run(alone)[single]?.tokens == found[number]?.tokens)
        }
    }

    @Test(arguments: [SamplingParameters(), SamplingParameters(temperature: 1, topP: 0.9, seed: 4)])
    func writesTheSameAloneAndInABatchOfSixteen(sampling: SamplingParameters) throws {
        let parameters = try Self.parameters()
        let prompts = (1...16).map { Self.prompt(UInt64($0), 1 + $0 * 2) }
        func request(_ prompt: [Int32]) -> GenerationRequest {
            GenerationRequest(
                prompt: prompt,
                sampling: sampling,
                tokenLimit: 20,
                endsAtEndTokens: false
            )
        }
        let together = try Self.engine(parameters, rows: 24, sequences: 16)
        let numbers = prompts.map { together.add(request($0)) }
        let found = Self.run(together)
        for (number, prompt) in zip(numbers, prompts) {
            let alone = try Self.engine(parameters, rows: 7, sequences: 1)
            let single = alone.add(request(prompt))
            #expect(Self.run(alone)[single]?.tokens == found[number]?.tokens)
        }
    }

    @Test func aTextThatGaveItsPagesBackGoesOnAsItWas() throws {
        let parameters = try Self.parameters()
        let sampling = SamplingParameters(temperature: 1, seed: 9)
        let prompts = (1...6).map { Self.prompt(UInt64($0), 9) }
        func texts(pages: Int?) throws -> ([[Int32]?], Int) {
            let engine = try Self.engine(parameters, pages: pages)
            let numbers = prompts.map {
                engine.add(
                    GenerationRequest(
                        prompt: $0,
                        sampling: sampling,
                        tokenLimit: 30,
                        endsAtEndTokens: false
                    )
                )
            }
            let found = Self.run(engine)
            #expect(engine.load.usedPages == 0)
            return (numbers.map { found[$0]?.tokens }, engine.load.preemptions)
        }
        let (plenty, none) = try texts(pages: nil)
        let (scarce, some) = try texts(pages: 24)
        #expect(none == 0 && some > 0)
        #expect(plenty == scarce)
    }

    @Test func aKnownBeginningIsReadOnce() throws {
        let engine = try Self.engine(try Self.parameters())
        let beginning = Self.prompt(3, 20)
        let first = engine.add(GenerationRequest(prompt: beginning + [1], tokenLimit: 4))
        let a = Self.run(engine)[first]?.tokens
        let again = engine.add(GenerationRequest(prompt: beginning + [1], tokenLimit: 4))
        #expect(Self.run(engine)[again]?.tokens == a)
        #expect(engine.load.reusedTokens == 20)
    }

    @Test func endsAtStringsAndAtTokens() throws {
        let parameters = try Self.parameters()
        let prompt = Self.prompt(5, 8)
        let free = try Self.engine(parameters)
        let whole = free.add(
            GenerationRequest(prompt: prompt, tokenLimit: 16, endsAtEndTokens: false)
        )
        let text = Self.run(free)[whole]?.text ?? ""
        try #require(text.count > 6)
        // A string from the middle of the text: it is the first of its kind there.
        let middle = String(text.dropFirst(3).prefix(2))
        let expected = try #require(text.range(of: middle)).lowerBound
        let engine = try Self.engine(parameters)
        let number = engine.add(
            GenerationRequest(
                prompt: prompt,
                tokenLimit: 16,
                stops: [middle],
                endsAtEndTokens: false
            )
        )
        let found = Self.run(engine)[number]
        #expect(found?.text == String(text[..<expected]))
        #expect(found?.finish == .stop)
    }

    @Test func requestsEndAtTheirDeadlineAndWhenNobodyWaits() throws {
        let engine = try Self.engine(try Self.parameters())
        let late = engine.add(
            GenerationRequest(
                prompt: Self.prompt(1, 4),
                tokenLimit: 50,
                endsAtEndTokens: false,
                deadline: .seconds(3)
            )
        )
        let gone = engine.add(
            GenerationRequest(prompt: Self.prompt(2, 4), tokenLimit: 50, endsAtEndTokens: false)
        )
        _ = engine.step(at: .seconds(1))
        engine.cancel(gone)
        _ = engine.step(at: .seconds(2))
        let events = engine.step(at: .seconds(3))
        #expect(events.map(\.request) == [late])
        #expect(events.first?.finish == .deadline)
        #expect(engine.isIdle && engine.load.usedPages == 0)
    }

    @Test func namesWhatCannotBeServed() throws {
        let engine = try Self.engine(try Self.parameters(), length: 16)
        func objection(_ prompt: [Int32], limit: Int = 4, alternatives: Int? = nil) -> String? {
            engine.objection(
                to: GenerationRequest(
                    prompt: prompt,
                    tokenLimit: limit,
                    alternativeCount: alternatives
                )
            )
        }
        #expect(objection([1, 2]) == nil)
        #expect(objection([]) == "the prompt has no tokens")
        #expect(objection([257])?.contains("token 257") == true)
        #expect(objection([1], limit: 0)?.contains("max_tokens") == true)
        #expect(objection(Self.prompt(1, 16))?.contains("at most 16") == true)
        #expect(objection([1], alternatives: 21)?.contains("at most 20") == true)
    }

    @Test func refusesInputsUnderScalesThatOthersDecideOn() throws {
        let parameters = try Self.parameters()
        #expect(throws: TransformerError.self) {
            try BatchDecoder(
                parameters: parameters,
                activations: ActivationQuantization(
                    QuantizationRecipe(defaultFormat: .nvfp4, activations: .nvfp4),
                    of: Self.configuration
                ),
                limits: BatchLimits(rows: 4, sequences: 1, length: 16),
                device: CPUDevice(team: ThreadTeam(threadCount: 1))
            )
        }
    }
}
