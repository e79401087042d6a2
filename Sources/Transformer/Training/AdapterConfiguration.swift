/// Which weights get low-rank adapters, and of what kind.
///
/// - SeeAlso: Hu et al. 2021, arXiv:2106.09685.
public struct AdapterConfiguration: Sendable {
    /// Columns of B, and rows of A; at least 1.
    public var rank: Int
    /// Multiplies B · A.
    public var scale: Float
    /// What A is drawn by.
    public var seed: UInt64
    /// Whether the linear module of a name, as in `model.layers.0.self_attn.q_proj`, gets one.
    public var isTarget: @Sendable (String) -> Bool

    /// A configuration; by default every linear module of the decoder gets an adapter.
    public init(
        rank: Int,
        scale: Float,
        seed: UInt64 = 0,
        isTarget: @escaping @Sendable (String) -> Bool = { _ in true }
    ) {
        self.rank = rank
        self.scale = scale
        self.seed = seed
        self.isTarget = isTarget
    }

    /// A weight with an adapter.
    struct Target {
        let module: LinearModule
        let layer: Int
        let weight: ParameterLayout.Entry
        /// A, `[rank, in]`, and its place among all adapters' elements.
        let a: ParameterLayout.Entry
        /// B, `[out, rank]`.
        let b: ParameterLayout.Entry
    }

    /// The weights that get adapters, in the layout's order, and what all adapters' elements come to.
    func targets(in layout: ParameterLayout) -> (targets: [Target], count: Int) {
        var targets: [Target] = []
        var count = 0
        func entry(_ name: String, _ rows: Int, _ columns: Int) -> ParameterLayout.Entry {
            let entry = ParameterLayout.Entry(
                name: name,
                shape: [rows, columns],
                offset: count,
                count: rows * columns
            )
            // Each begins a cache line.
            count += (entry.count + 15) / 16 * 16
            return entry
        }
        for layer in 0..<layout.configuration.layerCount {
            for module in layout.configuration.linearModules {
                let name = module.name(layer: layer)
                guard isTarget(name), let found = layout.module(module, layer: layer) else {
                    continue
                }
                let weight = found.weight
                targets.append(
                    Target(
                        module: module,
                        layer: layer,
                        weight: weight,
                        a: entry(name + ".lora_A.weight", rank, weight.columns),
                        b: entry(name + ".lora_B.weight", weight.rows, rank)
                    )
                )
            }
        }
        return (targets, count)
    }

    /// What adapters of a model's weights come to: how many weights have one, and the numbers that are
    /// trained.
    public func size(in layout: ParameterLayout) -> (weights: Int, parameters: Int) {
        let found = targets(in: layout).targets
        return (found.count, found.reduce(0) { $0 + $1.a.count + $1.b.count })
    }
}
