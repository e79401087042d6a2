extension EvaluateSpec {
    /// Problems that the model writes programs for, and how.
    public struct CodeProblems: Sendable, Equatable {
        /// The problems, as JSON lines.
        public var file: String
        /// Programs for each problem.
        public var sampleCount: Int
        /// 0 takes the most likely token.
        public var temperature: Double
        /// In (0, 1].
        public var topP: Double
        /// Tokens of a program at most.
        public var maximumTokens: Int
        /// Which pass@k are told, each once, in their order.
        public var k: [Int]
        /// Seconds of a processor for a program and its tests.
        public var timeoutSeconds: Double
        /// Problems from the file's start; nil for all.
        public var limit: Int?

        init(_ reader: ObjectReader) {
            file = reader.text("problems")
            sampleCount = reader.integer("samples")
            temperature = reader.number("temperature")
            topP = reader.number("top_p")
            maximumTokens = reader.integer("max_tokens")
            k = reader.numbers("k").map { Int($0) }
            timeoutSeconds = reader.number("timeout_s")
            limit = reader.optionalInteger("limit")
        }

        /// What is measured for a k; nil of one that is not told.
        public static func metric(_ k: Int) -> Metric? {
            switch k {
            case 1: .passAt1
            case 10: .passAt10
            case 100: .passAt100
            default: nil
            }
        }
    }
}

extension SchemaValidator {
    /// Programs that would all be the same, and shares that their number does not give.
    mutating func checkCode(_ tasks: [EvaluateSpec.Task]) {
        for (index, task) in tasks.enumerated() {
            guard case .code(let problems) = task else { continue }
            let path = "$.tasks[\(index)]"
            if problems.sampleCount > 1, problems.temperature == 0 {
                report(
                    "0 is not allowed with \(problems.sampleCount) samples, which would all be the same; "
                        + "write 0.8, or 1 sample",
                    at: "\(path).temperature"
                )
            }
            var seen = Set<Int>()
            for (place, k) in problems.k.enumerated() {
                if EvaluateSpec.CodeProblems.metric(k) == nil {
                    report("\(k) is not allowed; expected 1, 10 or 100", at: "\(path).k[\(place)]")
                } else if k > problems.sampleCount {
                    report(
                        "\(k) is not allowed with \(problems.sampleCount) samples; pass@\(k) takes as many, "
                            + "and is exact the more there are",
                        at: "\(path).k[\(place)]"
                    )
                } else if !seen.insert(k).inserted {
                    report("\(k) is there already", at: "\(path).k[\(place)]")
                }
            }
        }
    }
}
