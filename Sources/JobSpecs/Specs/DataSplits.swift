/// Three shares of a corpus: training, validation, test.
public struct DataSplits: Sendable, Equatable {
    /// The share for training, of 1.
    public let training: Double
    /// The share for validation, of 1.
    public let validation: Double
    /// The share for tests, of 1.
    public let test: Double

    /// Reads `99,1,0`: three numbers, none negative, not all zero.
    public init?(parsing text: String) {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        let numbers = parts.compactMap { part in
            Double(part.drop { $0 == " " }).flatMap { $0.isFinite && $0 >= 0 ? $0 : nil }
        }
        let sum = numbers.reduce(0, +)
        guard parts.count == 3, numbers.count == 3, sum > 0, sum.isFinite else {
            return nil
        }
        training = numbers[0] / sum
        validation = numbers[1] / sum
        test = numbers[2] / sum
    }

    /// A share's place.
    public enum Part: Int, Sendable {
        /// The first share.
        case training
        /// The second.
        case validation
        /// The third.
        case test
    }

    /// The documents of a share, of `count` that are numbered from 0.
    ///
    /// As Megatron-Core has it: shares are added up before they are rounded, halves to even.
    ///
    /// - SeeAlso: Megatron-Core 0.16, `megatron/core/datasets/blended_megatron_dataset_builder.py`.
    public func documents(of part: Part, count: Int) -> Range<Int> {
        let shares = [training, validation, test]
        let lower = shares[..<part.rawValue].reduce(0, +)
        func border(_ share: Double) -> Int {
            Int((share * Double(count)).rounded(.toNearestOrEven))
        }
        return border(lower)..<max(border(lower), border(lower + shares[part.rawValue]))
    }
}
