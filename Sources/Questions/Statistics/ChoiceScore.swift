#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// What a model's log-likelihoods of a question's answers come to.
public struct ChoiceScore: Sendable, Equatable {
    /// Of each answer, in nats.
    public let logLikelihoods: [Double]
    /// The likeliest answer; the first of equal ones.
    public let picked: Int
    /// The one with the highest log-likelihood per code point.
    public let pickedByLength: Int
    private let isRight: [Bool]

    /// Scores a question by the log-likelihoods of its answers, as many.
    public init(_ question: ChoiceQuestion, logLikelihoods: [Double]) {
        precondition(logLikelihoods.count == question.answers.count, "a score for each answer")
        self.logLikelihoods = logLikelihoods
        isRight = question.isRight
        picked = Self.best(logLikelihoods)
        // An empty answer's is minus infinity, as it is in the harness.
        pickedByLength = Self.best(
            zip(logLikelihoods, question.answers).map { $0 / Double($1.length) }
        )
    }

    /// A metric's value of this question, in 0 … 1.
    public func value(of metric: ChoiceMetric) -> Double {
        switch metric {
        case .accuracy: isRight[picked] ? 1 : 0
        case .normalizedAccuracy: isRight[pickedByLength] ? 1 : 0
        case .rightMass: rightMass
        }
    }

    private var rightMass: Double {
        // Relative to the likeliest, so that none of long answers becomes zero.
        let top = logLikelihoods[picked]
        let shares = logLikelihoods.map { exp($0 - top) }
        let right = zip(shares, isRight).reduce(0) { $1.1 ? $0 + $1.0 : $0 }
        return right / shares.reduce(0, +)
    }

    private static func best(_ values: [Double]) -> Int {
        values.indices.dropFirst().reduce(0) { values[$1] > values[$0] ? $1 : $0 }
    }
}
