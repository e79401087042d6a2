internal import ComputeKit
internal import Formats
internal import Kernels
internal import Quantization
internal import Transformer

/// What one step, and the steps since the last report, did to a weight.
struct LayerCourse: Equatable {
    /// L2 norm of the step's gradient before clipping; nil of what is not trained.
    var gradientNorm: Double?
    /// What the step changed, relative to the weight: ‖Δw‖ / ‖w‖.
    var updateRatio: Double?
    /// Share of the codes that are others than at the last report in this format; nil at the first.
    var flippedShare: Double?
    /// Steps since that report.
    var flippedSteps: Int?
}

/// Follows weights through a run: what steps that are logged change, and which codes flip between them.
///
/// Of each weight it follows rows that are spread evenly over it, 16,384 weights at most, or one row: in some
/// megabytes what all of a model would take several of its sizes for.
final class LayerMonitor {
    /// A layer as it is measured at a step.
    struct Layer {
        let report: LayerReport
        let course: LayerCourse
    }

    /// Codes of a weight in a format, when it was reported.
    private struct Codes {
        let step: Int
        let values: [UInt8]
    }

    /// Weights of a module that are followed.
    static let limit = 16_384
    /// By module: followed weights before the step.
    private var before: [String: [Float]] = [:]
    /// By format and module.
    private var codes: [String: Codes] = [:]

    /// Takes down the weights before a step that is to be measured.
    ///
    /// - Throws: `TransformerError` (`invalidRecipe`).
    func remember(
        _ parameters: Parameters,
        recipe: QuantizationRecipe,
        progress: Double
    ) throws {
        before = [:]
        for (entry, _) in try parameters.quantizedEntries(of: recipe, progress: progress) {
            before[entry.module] = Self.followed(parameters, entry)
        }
    }

    /// Measures all layers after a step.
    ///
    /// `gradientNorms`: Of the step by module; empty of formats that it did not take.
    ///
    /// - Throws: `TransformerError` (`invalidRecipe`).
    func measure(
        _ parameters: Parameters,
        recipe: QuantizationRecipe,
        progress: Double,
        step: Int,
        gradientNorms: [String: Double],
        team: ThreadTeam
    ) throws -> [Layer] {
        defer { before = [:] }
        return try LayerReport.measure(
            parameters,
            recipe: recipe,
            progress: progress,
            team: team
        ) { report, packed in
            var course = LayerCourse(gradientNorm: gradientNorms[report.module])
            if let entry = parameters.layout[report.module + ".weight"],
                let before = before[report.module]
            {
                course.updateRatio = Self.ratio(before, Self.followed(parameters, entry))
            }
            if let packed { takeCodes(packed, report, step, &course) }
            return Layer(report: report, course: course)
        }
    }

    private func takeCodes(
        _ packed: PackedTensor,
        _ report: LayerReport,
        _ step: Int,
        _ course: inout LayerCourse
    ) {
        let key = "\(report.format) \(report.module)"
        let values = Self.codeValues(packed)
        if let earlier = codes[key], earlier.values.count == values.count {
            let flipped = zip(earlier.values, values).count { $0 != $1 }
            course.flippedShare = Double(flipped) / Double(max(values.count, 1))
            course.flippedSteps = step - earlier.step
        }
        codes[key] = Codes(step: step, values: values)
    }

    /// The rows of a weight that are followed.
    static func rows(_ rows: Int, columns: Int) -> [Int] {
        let count = min(rows, max(limit / max(columns, 1), 1))
        return (0..<count).map { $0 * rows / count }
    }

    private static func followed(
        _ parameters: Parameters,
        _ entry: ParameterLayout.Entry
    ) -> [Float] {
        let start = parameters.storage.pointer + entry.offset
        return rows(entry.rows, columns: entry.columns).flatMap { row in
            UnsafeBufferPointer(start: start + row * entry.columns, count: entry.columns)
        }
    }

    /// Codes of the rows that are followed; zeros of either sign are the same one.
    static func codeValues(_ packed: PackedTensor) -> [UInt8] {
        let grid = packed.format.element.grid
        let bits = grid.codeBits
        let all = UInt16(1) << bits - 1
        let magnitude = grid.isInteger ? all : all >> 1
        return rows(packed.rows, columns: packed.columns).flatMap { row in
            (0..<packed.columns).map { column in
                let first = (row * packed.columns + column) * bits
                let byte = first / 8
                let low = UInt16(packed.codes[byte])
                let isWhole = first % 8 + bits <= 8
                let high = isWhole ? 0 : UInt16(packed.codes[byte + 1]) << 8
                let code = (high | low) >> (first % 8) & all
                return code & magnitude == 0 ? 0 : UInt8(code)
            }
        }
    }

    /// ‖after - before‖ / ‖before‖; nil of zeros.
    private static func ratio(_ before: [Float], _ after: [Float]) -> Double? {
        var (change, size) = (0.0, 0.0)
        for (old, new) in zip(before, after) {
            let difference = Double(new) - Double(old)
            change += difference * difference
            size += Double(old) * Double(old)
        }
        return size > 0 ? (change / size).squareRoot() : nil
    }
}
