public import Formats

/// The `lora` section of a training job: adapters that are trained in place of the weights.
public struct LowRankOptions: Sendable, Equatable {
    /// Columns of B, and rows of A.
    public var rank: Int
    /// Over the rank, or over its root, what B · A is multiplied by.
    public var alpha: Double
    /// Patterns of the linear modules that get adapters; empty for all.
    public var targets: [ModulePattern]
    /// The share of inputs that would be dropped; nothing but 0 is taken.
    let dropout: Double
    /// Whether alpha is divided by the rank's root.
    public var stabilizesRank: Bool

    init(_ reader: ObjectReader) {
        rank = reader.integer("r")
        alpha = reader.optionalNumber("lora_alpha") ?? Double(rank)
        targets = reader.contains("target_modules") ? reader.patterns("target_modules") : []
        dropout = reader.number("lora_dropout")
        stabilizesRank = reader.boolean("use_rslora")
    }

    /// What B · A is multiplied by.
    public var scale: Double {
        alpha / (stabilizesRank ? Double(rank).squareRoot() : Double(rank))
    }

    /// Whether the linear module of a name gets an adapter.
    public func isTarget(_ module: String) -> Bool {
        targets.isEmpty || targets.contains { Self.names($0, module) }
    }

    /// Whether a pattern names a module: as patterns do everywhere, or, without wildcards, by the end of its
    /// name, as PEFT's do.
    public static func names(_ pattern: ModulePattern, _ module: String) -> Bool {
        if pattern.matches(module) { return true }
        let isPlain = !pattern.text.hasPrefix("re:") && !pattern.text.contains { "*?".contains($0) }
        return isPlain && module.hasSuffix("." + pattern.text)
    }
}
