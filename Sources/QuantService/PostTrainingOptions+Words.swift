internal import Formats
internal import JobSpecs

extension PostTrainingOptions {
    /// All that was done, in a few words: `awq, codes by gptq in activation order, scales by mse`.
    var words: String {
        var parts = [method.rawValue]
        let search = rounding.search
        switch rounding.rounding {
        case .nearest: break
        case .learned(let learned):
            if method != .autoround { parts.append("codes by autoround") }
            parts.append("\(learned.iterations) steps of \(learned.windows) windows per layer")
        case .gptq(let gptq):
            let order = gptq.usesActivationOrder ? " in activation order" : ""
            if method != .gptq { parts.append("codes by gptq\(order)") }
            if method == .gptq, gptq.usesActivationOrder { parts.append("in activation order") }
            parts.append("damping \(gptq.damping)")
        }
        switch search {
        case .max: if method != .max { parts.append("scales by max") }
        case .percentile(let percentile): parts.append("scales by percentile \(percentile)")
        case .mse: if method != .mse { parts.append("scales by mse") }
        case .sweep: if method != .sweep { parts.append("scales by sweep") }
        }
        if case .smoothQuant(let migration) = rounding.smoothing {
            parts.append("migration \(migration)")
        }
        if rotation != .none { parts.append("rotation \(rotation.rawValue)") }
        if let mixedPrecision {
            parts.append(
                "formats chosen within \(mixedPrecision.effectiveBits) bits by "
                    + mixedPrecision.sensitivity.rawValue
            )
        }
        return parts.joined(separator: ", ")
    }
}
