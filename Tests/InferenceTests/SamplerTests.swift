internal import Foundation
internal import Testing

@testable internal import Inference

/// Against Hugging Face Transformers' processors of logits; see `Fixtures/make_sampling_fixtures.py`.
struct SamplerTests {
    private struct Fixture: Decodable {
        struct Case: Decodable {
            struct Parameters: Decodable {
                let temperature: Double?
                let topK: Int?
                let topP: Double?
                let minP: Double?
                let repetitionPenalty: Double?
                let presencePenalty: Double?
                let frequencyPenalty: Double?
                let logitBias: [String: Float]?

                var sampling: SamplingParameters {
                    SamplingParameters(
                        temperature: temperature ?? 1,
                        topP: topP ?? 1,
                        topK: topK ?? 0,
                        minP: minP ?? 0,
                        repetitionPenalty: repetitionPenalty ?? 1,
                        presencePenalty: presencePenalty ?? 0,
                        frequencyPenalty: frequencyPenalty ?? 0,
                        logitBias: Dictionary(
                            uniqueKeysWithValues: (logitBias ?? [:]).map {
                                (Int32($0.key) ?? -1, $0.value)
                            }
                        ),
                        seed: 5
                    )
                }
            }

            let parameters: Parameters
            let logits: [Float]
            let expected: [Double]
        }

        let prompt: [Int32]
        let text: [Int32]
        let cases: [Case]

        static func load() throws -> Fixture {
            let folder = try #require(Bundle.module.resourceURL).appending(path: "Fixtures")
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            let data = try Data(contentsOf: folder.appending(path: "sampling.json"))
            return try decoder.decode(Fixture.self, from: data)
        }
    }

    /// Logits that leave no doubt about which token is drawn.
    private static func certain(_ token: Int32, of count: Int) -> [Float] {
        var logits = [Float](repeating: -50, count: count)
        logits[Int(token)] = 50
        return logits
    }

    private static func draw(
        _ sampler: inout Sampler,
        _ logits: [Float]
    ) -> SampledToken? {
        var logits = logits
        let work = SamplingWork(vocabularySize: logits.count)
        return logits.withUnsafeMutableBufferPointer { sampler.draw($0, work) }
    }

    @Test func weighsTokensAsTransformersDoes() throws {
        let fixture = try Fixture.load()
        try #require(fixture.cases.count == 17)
        for (index, found) in fixture.cases.enumerated() {
            var sampler = Sampler(
                found.parameters.sampling,
                prompt: fixture.prompt,
                alternativeCount: nil
            )
            // Penalties may not keep the text from being what it is.
            for token in fixture.text {
                var logits = Self.certain(token, of: found.logits.count)
                logits[Int(token)] = 1000
                #expect(Self.draw(&sampler, logits)?.token == token)
            }
            var logits = found.logits
            let total = logits.withUnsafeMutableBufferPointer { buffer in
                sampler.adjust(buffer)
                return sampler.weigh(buffer)
            }
            let weights = logits.map { Double($0) / total }
            for (token, (weight, expected)) in zip(weights, found.expected).enumerated() {
                #expect(
                    abs(weight - expected) <= 1e-6 + 1e-5 * expected
                        && (weight == 0) == (expected == 0),
                    "case \(index), token \(token)"
                )
            }
        }
    }

    @Test func drawsEachTokenAsOftenAsItsShare() {
        let shares = [0.5, 0.25, 0.125, 0.125]
        let logits = shares.map { Float(log($0)) }
        var counts = [0, 0, 0, 0]
        var sampler = Sampler(
            SamplingParameters(temperature: 1, seed: 11),
            prompt: [0],
            alternativeCount: nil
        )
        for _ in 0..<20_000 {
            if let token = Self.draw(&sampler, logits)?.token { counts[Int(token)] += 1 }
        }
        // Four standard deviations.
        for (count, share) in zip(counts, shares) {
            let deviation = (20_000 * share * (1 - share)).squareRoot()
            #expect(abs(Double(count) - 20_000 * share) < 4 * deviation, "\(counts)")
        }
    }

    @Test func drawsTheSameOfTheSameSeed() {
        let logits = (0..<50).map { Float($0 % 7) }
        func text(_ seed: UInt64) -> [Int32] {
            var sampler = Sampler(
                SamplingParameters(temperature: 1, seed: seed),
                prompt: [0],
                alternativeCount: nil
            )
            return (0..<20).compactMap { _ in Self.draw(&sampler, logits)?.token }
        }
        #expect(text(3) == text(3))
        #expect(text(3) != text(4))
        #expect(text(3).count == 20)
    }

    @Test func tellsLikelihoodsOfWhatTheModelSaid() throws {
        var sampler = Sampler(
            SamplingParameters(temperature: 0.5, logitBias: [2: 90], seed: 1),
            prompt: [0],
            alternativeCount: 2
        )
        let drawn = try #require(Self.draw(&sampler, [0, Float(log(3.0)), Float(log(2.0)), -1e4]))
        // The bias decides what is drawn, not how likely the model found it: of 1 + 3 + 2 parts.
        #expect(drawn.token == 2)
        #expect(abs(try #require(drawn.logProbability) - Float(log(2.0 / 6))) < 1e-5)
        #expect(drawn.alternatives.map(\.token) == [1, 2])
        #expect(abs(drawn.alternatives[0].logProbability - Float(log(3.0 / 6))) < 1e-5)
    }

    @Test(arguments: [Float.nan, .infinity])
    func refusesWhatIsNotFinite(value: Float) {
        var sampler = Sampler(SamplingParameters(), prompt: [0], alternativeCount: nil)
        #expect(Self.draw(&sampler, [0, value, 1]) == nil)
    }

    @Test func namesParametersThatCannotBe() {
        func objection(_ change: (inout SamplingParameters) -> Void) -> String? {
            var parameters = SamplingParameters()
            change(&parameters)
            return parameters.objection(vocabularySize: 10)
        }
        #expect(objection { _ in } == nil)
        #expect(objection { $0.temperature = -1 }?.contains("temperature is -1.0") == true)
        #expect(objection { $0.temperature = .nan }?.contains("temperature") == true)
        #expect(objection { $0.topP = 0 }?.contains("top_p") == true)
        #expect(objection { $0.topK = -1 }?.contains("top_k") == true)
        #expect(objection { $0.minP = 1.5 }?.contains("min_p") == true)
        #expect(objection { $0.repetitionPenalty = 0 }?.contains("repetition_penalty") == true)
        #expect(objection { $0.presencePenalty = 3 }?.contains("presence_penalty") == true)
        #expect(objection { $0.logitBias = [10: 1] }?.contains("token 10") == true)
        #expect(objection { $0.logitBias = [1: 200] }?.contains("logit_bias") == true)
    }
}
