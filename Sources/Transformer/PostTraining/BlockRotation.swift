internal import Kernels

/// Rotates a model's residual stream and its attention values by a block-diagonal Hadamard matrix,
/// so that what one quantization block holds is spread evenly; the model computes the same.
///
/// Every rotation is fused into the weights beside it: norm weights go into the layers they feed,
/// the embedding and the outputs of `o_proj` and `down_proj` are rotated, the inputs of `q`, `k`,
/// `v`, `gate`, `up` and the head inversely; rows of `v_proj` and columns of `o_proj` likewise.
/// The input of `down_proj` stays as it is: the product before it lets no rotation through. A tied
/// head becomes one of its own, since it takes in the last norm's weight.
/// - SeeAlso: Ashkboos et al., QuaRot, arXiv 2404.00456; blocks of 32: arXiv 2511.04214.
public enum BlockRotation {
    /// The largest block that fits a model: a power of two, from 1 to 32, that divides its widths.
    public static func blockSize(_ configuration: ModelConfiguration) -> Int {
        let common = configuration.hiddenSize | configuration.headDimension
        return min(32, 1 << common.trailingZeroBitCount)
    }

    /// A rotated copy, with a head of its own.
    ///
    /// - Throws: ``TransformerError`` (`invalidConfiguration`) if widths are odd.
    public static func rotated(_ source: Parameters) throws -> Parameters {
        try check(source.configuration.architecture)
        var configuration = source.configuration
        configuration.tiedEmbeddings = false
        let size = blockSize(configuration)
        guard size > 1 else {
            throw TransformerError(
                .invalidConfiguration,
                """
                no Hadamard block divides a hidden size of \(configuration.hiddenSize) and heads \
                of \(configuration.headDimension)
                """
            )
        }
        let target = try Parameters(configuration: configuration)
        for entry in target.layout.entries {
            // Only a head that was tied has no parameter of its own in the source.
            let from = source.layout[entry.name] ?? source.layout.head
            (target.storage.pointer + entry.offset).update(
                from: source.storage.pointer + from.offset,
                count: entry.count
            )
        }
        for layer in 0..<configuration.layerCount { rotate(layer, of: target, size: size) }
        foldNorm(target.layout.finalNorm, into: [target.layout.head], target)
        for entry in [target.layout.embedding, target.layout.head] {
            rotateColumns(entry, target, size)
        }
        return target
    }

    /// A rotation passes a norm only if that divides by the root mean square alone, and its weight can
    /// move into the layers behind it.
    ///
    /// - Throws: ``TransformerError`` (`invalidRecipe`), naming the family and why.
    public static func check(_ architecture: Architecture) throws {
        guard !architecture.normPlacement.isOnOutputs else {
            throw TransformerError(
                .invalidRecipe,
                """
                rotation: \(architecture.family) has norms on the outputs of its layers, whose \
                weights no rotation passes; leave "rotation" out
                """
            )
        }
        guard !architecture.norm.isCentered else {
            throw TransformerError(
                .invalidRecipe,
                """
                rotation: \(architecture.family)'s LayerNorm subtracts the mean, which no rotation \
                passes; leave "rotation" out
                """
            )
        }
    }

    private static func rotate(_ layer: Int, of target: Parameters, size: Int) {
        func entry(_ module: LinearModule) -> ParameterLayout.Entry {
            target.layout.entry(of: module, layer: layer)
        }
        let attention = target.layout.entries(sharingInputOf: .query, layer: layer)
        let mlp = target.layout.entries(sharingInputOf: .up, layer: layer)
        for (site, entries) in [(NormSite.attentionInput, attention), (.mlpInput, mlp)] {
            if let norm = target.layout.norm(site, layer: layer) {
                foldNorm(norm, into: entries, target)
            }
        }
        for entry in attention + mlp + [entry(.output)] { rotateColumns(entry, target, size) }
        for module in [LinearModule.value, .output, .down] {
            rotateRows(entry(module), target, size)
            if let bias = target.layout.bias(of: module, layer: layer) {
                rotateColumns(bias, target, size)
            }
        }
    }

    /// Multiplies columns by a norm's weight, which becomes 1.
    private static func foldNorm(
        _ module: ParameterLayout.Module,
        into entries: [ParameterLayout.Entry],
        _ target: Parameters
    ) {
        let norm = target.elements(of: module.weight)
        let offset = target.configuration.architecture.norm.weightOffset
        for entry in entries {
            let values = target.elements(of: entry)
            for row in 0..<entry.rows {
                for column in 0..<entry.columns {
                    values[row * entry.columns + column] *= norm[column] + offset
                }
            }
        }
        norm.update(repeating: 1 - offset)
    }

    private static func rotateColumns(
        _ entry: ParameterLayout.Entry,
        _ target: Parameters,
        _ size: Int
    ) {
        let values = target.storage.pointer + entry.offset
        for start in stride(from: 0, to: entry.count, by: size) {
            transform(values + start, size: size, stride: 1)
        }
    }

    private static func rotateRows(
        _ entry: ParameterLayout.Entry,
        _ target: Parameters,
        _ size: Int
    ) {
        let values = target.storage.pointer + entry.offset
        for row in stride(from: 0, to: entry.rows, by: size) {
            for column in 0..<entry.columns {
                transform(values + row * entry.columns + column, size: size, stride: entry.columns)
            }
        }
    }

    /// The normalized Walsh-Hadamard transform, which is its own inverse.
    private static func transform(
        _ values: UnsafeMutablePointer<Float>,
        size: Int,
        stride step: Int
    ) {
        var half = 1
        while half < size {
            for start in Swift.stride(from: 0, to: size, by: 2 * half) {
                for index in start..<start + half {
                    let (a, b) = (values[index * step], values[(index + half) * step])
                    values[index * step] = a + b
                    values[(index + half) * step] = a - b
                }
            }
            half *= 2
        }
        let scale = 1 / Float(size).squareRoot()
        for index in 0..<size { values[index * step] *= scale }
    }
}
