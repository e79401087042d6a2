internal import JobSpecs
internal import Serving

/// How answers are drawn, as OpenAI's API calls it, with what vLLM and others take beside it.
enum SamplingFields {
    /// The fields.
    static let keys: Set<String> = [
        "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty",
        "frequency_penalty", "logit_bias", "seed", "stop",
    ]

    private static let stopLimit = 16
    private static let biasLimit = 4096

    /// Reads them into a request, which holds what is meant where they say nothing.
    ///
    /// - Throws: ``HTTPFailure`` that names the field.
    static func read(_ fields: RequestFields, into request: inout TextRequest) throws {
        request.temperature = try fields.number("temperature", 0...2) ?? request.temperature
        if let share = try fields.number("top_p", 0...1) {
            guard share > 0 else {
                throw HTTPFailure.field("top_p", "top_p is 0; a number above 0 is needed")
            }
            request.topP = share
        }
        request.topK = try fields.integer("top_k", 0...Int(Int32.max)) ?? request.topK
        request.minP = try fields.number("min_p", 0...1) ?? request.minP
        if let penalty = try fields.number("repetition_penalty", 0...100) {
            guard penalty > 0 else {
                throw HTTPFailure.field(
                    "repetition_penalty",
                    "repetition_penalty is 0; a number above 0 is needed, 1 for none"
                )
            }
            request.repetitionPenalty = penalty
        }
        request.presencePenalty = try fields.number("presence_penalty", -2...2) ?? 0
        request.frequencyPenalty = try fields.number("frequency_penalty", -2...2) ?? 0
        request.logitBias = try biases(fields)
        request.seed = try seed(fields)
        request.stops = try stops(fields)
    }

    private static func biases(_ fields: RequestFields) throws -> [Int32: Float] {
        guard let value = fields["logit_bias"] else { return [:] }
        guard let object = value.objectValue, object.count <= biasLimit else {
            throw fields.wrong(
                "logit_bias",
                value,
                "an object of at most \(biasLimit) tokens and their biases"
            )
        }
        var biases: [Int32: Float] = [:]
        for (key, value) in object.sorted(by: { $0.key < $1.key }) {
            guard let token = Int32(key), token >= 0, let bias = value.doubleValue,
                (-100...100).contains(bias)
            else {
                throw HTTPFailure.field(
                    "logit_bias",
                    "logit_bias maps tokens' numbers to biases from -100 to 100; one entry does not"
                )
            }
            biases[token] = Float(bias)
        }
        return biases
    }

    /// A whole number of 64 bits, read as it is written: doubles do not hold them all.
    private static func seed(_ fields: RequestFields) throws -> UInt64? {
        guard let value = fields["seed"] else { return nil }
        let text = fields.source["seed"]?.text ?? ""
        if let seed = UInt64(text) { return seed }
        if let seed = Int64(text) { return UInt64(bitPattern: seed) }
        throw fields.wrong("seed", value, "a whole number of 64 bits")
    }

    private static func stops(_ fields: RequestFields) throws -> [String] {
        guard let value = fields["stop"] else { return [] }
        let texts = value.stringValue.map { [$0] } ?? value.arrayValue?.compactMap(\.stringValue)
        guard let texts, texts.count == value.arrayValue?.count ?? 1, texts.count <= stopLimit,
            texts.allSatisfy({ !$0.isEmpty && $0.utf8.count <= 1024 })
        else {
            throw fields.wrong(
                "stop",
                value,
                "a string, or at most \(stopLimit) strings, of 1 to 1024 bytes"
            )
        }
        return texts
    }
}
