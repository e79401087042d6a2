internal import Devices
internal import Foundation
internal import Jobs
internal import Kernels
internal import ServiceKit
internal import Transformer

/// A rank other than 0: it computes what rank 0 says, and reads and writes no file.
struct FollowingRank {
    private let ranks: MPIRanks

    /// A training that it takes part in.
    private struct Training {
        let engine: TrainingEngine
        let plan: TrainingPlan
        /// The windows of a step.
        let tokens: AlignedBuffer<Int32>
    }

    init(_ ranks: MPIRanks) { self.ranks = ranks }

    /// Computes until rank 0 is done.
    ///
    /// - Throws: What makes this rank unable to go on, and with it all others.
    func run() throws {
        var training: Training?
        while true {
            var order = RankOrder(kind: .rest)
            order.broadcast(ranks)
            switch order.kind {
            case .begin:
                training = nil
                training = try begin(byteCount: order.byteCount)
            case .step:
                guard let training else { throw Confusion() }
                try step(training, order.step)
            case .collect:
                guard let training else { throw Confusion() }
                training.engine.collectState()
            case .rest: training = nil
            case .leave: return ranks.leave()
            }
        }
    }

    private struct Confusion: Error, CustomStringConvertible {
        let description = "rank 0 gave an order for a training that it did not begin"
    }

    private func begin(byteCount: Int) throws -> Training {
        var bytes = [UInt8](repeating: 0, count: byteCount)
        bytes.withUnsafeMutableBytes { ranks.broadcast($0) }
        let briefing = try RankBriefing(bytes: bytes)
        guard briefing.processor == RankBriefing.processor else {
            throw ComputeFailure(
                .internalError,
                """
                this rank computes otherwise than rank 0 (\(RankBriefing.processor); there \
                \(briefing.processor)): weights would drift apart; ranks need processors of one kind
                """
            )
        }
        let (spec, warnings) = try TrainingPlan.specification(briefing.request)
        let plan = TrainingPlan(
            spec,
            warnings: warnings,
            specText: briefing.request.spec,
            trainTokenCount: briefing.trainTokenCount
        )
        let student = try Parameters(configuration: briefing.student)
        student.fixedScales = briefing.fixedScales
        let teacher = try briefing.teacher.map { try Parameters(configuration: $0) }
        if let teacher {
            ranks.broadcast(UnsafeMutableRawBufferPointer(teacher.storage.elements))
        }
        var settings = plan.settings(briefing.documents)
        // Rank 0 validates and exports it.
        settings.averageDecay = nil
        let engine = try TrainingEngine(
            parameters: student,
            teacher: teacher,
            settings: settings,
            isFrozen: { plan.isFrozen($0) },
            ranks: ranks,
            device: CPUDevice(
                team: ThreadTeam(threadCount: briefing.request.threads),
                operands: plan.operands
            )
        )
        try engine.roundCache(briefing.cacheRanges)
        if let inputs = briefing.inputs { try engine.clipInputs(at: InputRanges(amax: inputs)) }
        engine.shareState()
        engine.releaseTeacher()
        return Training(
            engine: engine,
            plan: plan,
            tokens: AlignedBuffer(count: engine.windowsPerStep * plan.length)
        )
    }

    private func step(_ training: Training, _ order: StepOrder) throws {
        ranks.broadcast(UnsafeMutableRawBufferPointer(training.tokens.elements))
        do {
            _ = try training.engine.step(training.tokens.pointer, order)
        } catch let error as TransformerError where error.code == .diverged {
            // All ranks find it; rank 0 decides what comes of it.
        }
    }
}
