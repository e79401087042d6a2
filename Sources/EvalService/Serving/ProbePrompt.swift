internal import Foundation
internal import Inference
internal import Serving

/// A real prompt that a replica answers at its start and every so often, which proves that it can.
struct ProbePrompt {
    /// Time between two.
    static let interval = Duration.seconds(30)
    /// How long one may take before the replica is not healthy.
    static let limit = Duration.seconds(30)
    /// Tokens of its answer, at most.
    static let tokenLimit = 8

    private let prompt: [Int32]
    /// The engine's number of the one that is under way.
    private var number: Int?
    private var begun = ContinuousClock.now
    /// How the last one went.
    private(set) var last = ReplicaProbe()

    /// A probe of a model; `length` are tokens that fit into a text of it.
    init(_ model: LoadedEngine) {
        // Of a model whose texts are very short, too.
        let tokens = model.tokens("The quick brown fox jumps over the lazy")
        prompt = Array(tokens.prefix(max(1, min(16, model.engine.length - 1))))
    }

    /// Whether one is under way.
    var isRunning: Bool { number != nil }

    /// Begins one if it is time.
    mutating func begin(_ engine: InferenceEngine, at now: ContinuousClock.Instant) {
        if number != nil {
            if now - begun > Self.limit, last.isHealthy || last.timeUnixMs == 0 {
                end(at: now, fault: "no answer within \(Self.limit.components.seconds) s")
            }
            return
        }
        guard last.timeUnixMs == 0 || now - begun >= Self.interval else { return }
        let request = GenerationRequest(prompt: prompt, tokenLimit: Self.tokenLimit)
        if let objection = engine.objection(to: request) {
            return end(at: now, fault: objection)
        }
        begun = now
        number = engine.add(request)
    }

    /// Takes what the engine says of a text, if it is the probe's.
    mutating func take(_ event: GenerationEvent, at now: ContinuousClock.Instant) {
        guard event.request == number, let finish = event.finish else { return }
        number = nil
        let fault = finish == .nonFinite ? "a logit of the model is NaN or infinite" : ""
        end(at: now, fault: fault)
    }

    private mutating func end(at now: ContinuousClock.Instant, fault: String) {
        last.timeUnixMs = Int64(Date.now.timeIntervalSince1970 * 1000)
        last.seconds = (now - begun) / .seconds(1)
        last.isHealthy = fault.isEmpty
        last.message = fault
    }
}
