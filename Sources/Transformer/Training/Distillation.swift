public import Kernels

/// What is learned from a teacher.
public struct Distillation: Sendable, Equatable {
    /// How far the student's next-token distribution lies from the teacher's.
    public var divergence: Divergence
    /// The softmax temperature of both, above 0.
    public var temperature: Double

    /// By default KL(teacher ‖ student) at temperature 1.
    public init(divergence: Divergence = .forward, temperature: Double = 1) {
        self.divergence = divergence
        self.temperature = temperature
    }
}
