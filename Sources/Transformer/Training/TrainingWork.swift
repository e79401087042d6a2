/// The floating-point operations that a training's steps ask for, whatever else an engine does: what its speed
/// is measured by.
///
/// Of a token: six for each weight that it is multiplied with, two forwards and four backwards, and 12 · layers ·
/// query width · length for attention over the whole window; a teacher's forward pass comes on top, a third
/// of that. Embeddings are looked up, and what is computed again for the sake of memory does not count.
///
/// - SeeAlso: Chowdhery et al. 2022, PaLM, arXiv:2204.02311, appendix B.
public struct TrainingWork: Sendable, Equatable {
    /// Operations of a token.
    public let operationsPerToken: Double

    /// The work of windows of `length` tokens; `teacher`: of a distillation.
    public init(student: ModelConfiguration, teacher: ModelConfiguration?, length: Int) {
        let forward = { (model: ModelConfiguration) in
            2 * Self.weights(of: model)
                + 4 * Double(model.layerCount) * Double(model.queryWidth) * Double(length)
        }
        operationsPerToken = 3 * forward(student) + (teacher.map(forward) ?? 0)
    }

    /// The weights that a token is multiplied with: those of linear layers and the head.
    private static func weights(of model: ModelConfiguration) -> Double {
        let layout = ParameterLayout(configuration: model)
        let linear = layout.entries.filter { layout.module(of: $0) != nil }
        return Double(linear.reduce(layout.head.count) { $0 + $1.count })
    }
}
