internal import Devices
internal import Foundation
internal import JobSpecs
internal import Kernels
internal import Quantization
internal import ServiceKit
internal import Transformer

/// What rank 0 tells the others to do next.
struct RankOrder: BitwiseCopyable {
    /// What is to be done.
    enum Kind: UInt8, BitwiseCopyable {
        /// Take part in a training, of which a ``RankBriefing`` follows.
        case begin
        /// Take a step; its windows follow.
        case step
        /// Bring what a checkpoint holds to rank 0.
        case collect
        /// Let the training's memory go.
        case rest
        /// End.
        case leave
    }

    var kind: Kind
    /// Bytes of a briefing.
    var byteCount = 0
    var step = StepOrder()

    /// Tells all other ranks, or hears it.
    mutating func broadcast(_ ranks: any RankGroup) {
        withUnsafeMutableBytes(of: &self) { ranks.broadcast($0) }
    }
}

/// A step, but for its windows.
struct StepOrder: BitwiseCopyable, Equatable {
    var learningRate = 0.0
    var progress = 0.0
    var stageStart = 0
    var scaleLearningRate = 0.0
    var clipLearningRate = 0.0
}

extension TrainingEngine {
    /// Takes a step.
    func step(_ tokens: UnsafePointer<Int32>, _ order: StepOrder) throws -> StepResult {
        try step(
            tokens: tokens,
            learningRate: order.learningRate,
            progress: order.progress,
            stageStart: order.stageStart,
            scaleLearningRate: order.scaleLearningRate,
            clipLearningRate: order.clipLearningRate
        )
    }
}

/// What a rank needs to know of a training beside weights, which come from rank 0, too: it reads no file.
struct RankBriefing: Codable {
    let request: ComputeRequest
    /// Tokens of the training text, which a plan depends on.
    let trainTokenCount: Int
    let student: ModelConfiguration
    /// Nil where nothing is distilled.
    let teacher: ModelConfiguration?
    let documents: DocumentRules?
    let scales: [String: Scales]
    let keys: [Float]?
    let values: [Float]?
    let inputs: [String: Float]?
    /// What rank 0 computes with: what every rank computes for itself has to come out alike.
    let processor: String

    /// ``BlockScales``, of which bytes go as such: a model has millions.
    struct Scales: Codable {
        var blocks: Data
        var factors: [Float]
    }

    static var processor: String {
        "kernels \(ProcessorDescription.kernels), OpenBLAS for \(ProcessorDescription.blasCore), "
            + "BF16 products \(ProcessorDescription.multipliesBF16 ? "its own" : "none")"
    }

    var fixedScales: [String: BlockScales] {
        scales.mapValues { BlockScales(blocks: [UInt8]($0.blocks), factors: $0.factors) }
    }

    var cacheRanges: CacheRanges? {
        guard let keys, let values else { return nil }
        return CacheRanges(keys: keys, values: values)
    }
}

extension RankBriefing {
    /// How JSON, which has no such numbers, writes what is not finite: ranges and scales are what they are.
    private static let nonFinite = (positive: "Infinity", negative: "-Infinity", nan: "NaN")

    func bytes() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: Self.nonFinite.positive,
            negativeInfinity: Self.nonFinite.negative,
            nan: Self.nonFinite.nan
        )
        return [UInt8](try encoder.encode(self))
    }

    init(bytes: [UInt8]) throws {
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: Self.nonFinite.positive,
            negativeInfinity: Self.nonFinite.negative,
            nan: Self.nonFinite.nan
        )
        self = try decoder.decode(Self.self, from: Data(bytes))
    }
}

extension RankBriefing.Scales {
    init(_ scales: BlockScales) {
        self.init(blocks: Data(scales.blocks), factors: scales.factors)
    }
}
