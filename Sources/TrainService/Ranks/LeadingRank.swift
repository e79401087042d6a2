internal import Devices
internal import Foundation
internal import JobSpecs
internal import Jobs
internal import Kernels
internal import ServiceKit
internal import Transformer

extension RankTraffic {
    private static func milliseconds(_ time: Duration, _ steps: Int) -> Double {
        time / .milliseconds(1) / Double(steps)
    }

    /// What a log says of it.
    var sentence: String {
        String(
            format: "ranks: this one sent %.1f MB a step, and waited %.1f ms for gradients and "
                + "%.1f ms for weights",
            Double(sentByteCount) / 1e6,
            Self.milliseconds(reducing, steps),
            Self.milliseconds(sharing, steps)
        )
    }
}

/// Rank 0, which runs the job as one process would, and tells the others what they compute with it.
final class LeadingRank {
    let ranks: MPIRanks

    init(_ ranks: MPIRanks) { self.ranks = ranks }

    /// What a log says of the ranks of a job.
    func sentence(_ request: ComputeRequest, _ trainer: TrainerOptions) -> String {
        """
        ranks: \(ranks.count) with \(request.threads) threads each compute the \
        \(trainer.accumulatedBatches) micro-batches of a step (\(trainer.devices) devices on each of \
        \(trainer.resources.nodes) nodes are asked for)
        """
    }

    /// Has the others take part in a training that stands ready.
    func begin(_ briefing: RankBriefing, teacher: Parameters?, _ engine: TrainingEngine) throws {
        var bytes = try briefing.bytes()
        var order = RankOrder(kind: .begin, byteCount: bytes.count)
        order.broadcast(ranks)
        bytes.withUnsafeMutableBytes { ranks.broadcast($0) }
        if let teacher {
            ranks.broadcast(UnsafeMutableRawBufferPointer(teacher.storage.elements))
        }
        engine.shareState()
    }

    /// Has them take the step that this rank takes next; `tokens` are those of its windows, `count` of them.
    func step(_ step: StepOrder, _ tokens: UnsafePointer<Int32>, count: Int) {
        var order = RankOrder(kind: .step, step: step)
        order.broadcast(ranks)
        // Read here, written by the others.
        let start = UnsafeMutableRawPointer(mutating: tokens)
        ranks.broadcast(UnsafeMutableRawBufferPointer(start: start, count: 4 * count))
    }

    /// Brings what a checkpoint holds here.
    func collect(_ engine: TrainingEngine) {
        var order = RankOrder(kind: .collect)
        order.broadcast(ranks)
        engine.collectState()
    }

    /// Has them let a training go.
    func rest() {
        var order = RankOrder(kind: .rest)
        order.broadcast(ranks)
    }

    /// Ends with all others.
    func leave() {
        var order = RankOrder(kind: .leave)
        order.broadcast(ranks)
        ranks.leave()
    }
}
