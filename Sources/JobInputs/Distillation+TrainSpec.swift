public import JobSpecs
internal import Kernels
public import Transformer

extension Distillation {
    /// What a job's section says.
    public init(_ section: TrainSpec.Distillation) {
        let divergence: Divergence =
            switch section.loss {
            case .forward: .forward
            case .reverse: .reverse
            case .jensenShannon: .jensenShannon(beta: section.beta)
            }
        self.init(
            divergence: divergence,
            temperature: section.temperature,
            crossEntropyWeight: section.crossEntropyWeight,
            hiddenWeight: section.hiddenWeight,
            topCount: section.topCount
        )
    }
}
