#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// A linear warm-up, a cosine down to a floor, and a constant tail.
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

    /// A schedule.
    public init(
        peak: Double,
        minimum: Double,
        warmupSteps: Int,
        constantSteps: Int,
        totalSteps: Int
    ) {
        self.peak = peak
        self.minimum = minimum
        self.warmupSteps = warmupSteps
        self.constantSteps = constantSteps
        self.totalSteps = totalSteps
    }

    /// The rate of `step`, counted from 0: in 0 … `peak`.
    public func rate(step: Int) -> Double {
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
