#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// A linear warm-up, a cosine down to a floor, and a constant tail; in a run of stages, each after the
/// first climbs again from a share of that to all of it.
///
/// - SeeAlso: NVIDIA NeMo, `CosineAnnealing` in `nemo/core/optim/lr_scheduler.py`.
public struct LearningRateSchedule: Sendable, Codable, Equatable {
    /// The rate after the warm-up.
    public var peak: Double
    /// The rate at the end.
    public var minimum: Double
    /// Steps of the warm-up; step 0 already moves, at `peak / warmupSteps`.
    public var warmupSteps: Int
    /// Steps at the end that stay at `minimum`.
    public var constantSteps: Int
    /// Steps of the whole run.
    public var totalSteps: Int
    /// The first steps of the stages after the first, ascending.
    public var stageStarts: [Int]
    /// What happens there.
    public var stageChange: StageChange

    /// A schedule.
    public init(
        peak: Double,
        minimum: Double,
        warmupSteps: Int,
        constantSteps: Int,
        totalSteps: Int,
        stageStarts: [Int] = [],
        stageChange: StageChange = StageChange()
    ) {
        self.stageStarts = stageStarts
        self.stageChange = stageChange
        self.peak = peak
        self.minimum = minimum
        self.warmupSteps = warmupSteps
        self.constantSteps = constantSteps
        self.totalSteps = totalSteps
    }

    /// The rate of `step`, counted from 0: in 0 … `peak`.
    public func rate(step: Int) -> Double { course(step) * stageShare(step) }

    /// The first step of the stage that `step` belongs to; 0 of the first.
    public func stageStart(of step: Int) -> Int { stageStarts.last { $0 <= step } ?? 0 }

    /// What the rate is multiplied by for the stage's warm-up: (k + 1) / (steps + 1) of its step k.
    private func stageShare(_ step: Int) -> Double {
        let start = stageStart(of: step)
        guard start > 0 else { return 1 }
        let end = stageStarts.first { $0 > step } ?? totalSteps
        let steps = stageChange.warmupSteps(of: end - start)
        return min(1, Double(step - start + 1) / (Double(steps) + 1))
    }

    private func course(_ step: Int) -> Double {
        if step < warmupSteps {
            return peak * Double(step + 1) / Double(warmupSteps)
        }
        let decaySteps = totalSteps - warmupSteps - constantSteps
        guard decaySteps > 0, step < totalSteps - constantSteps else {
            return minimum
        }
        let progress = Double(step - warmupSteps) / Double(decaySteps)
        return minimum + (peak - minimum) * 0.5 * (1 + cos(.pi * progress))
    }
}
