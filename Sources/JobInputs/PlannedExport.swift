public import Formats
public import JobSpecs
public import ModelFiles

/// One element of a job's `export` list, resolved against the job's model and recipe before any work.
public struct PlannedExport: Sendable {
    /// What was asked for.
    public let options: ExportOptions
    /// Where its form is written: `$.export[1].format`.
    public let path: String
    /// The format that it is in, of a job for several; nil of one.
    public let precision: String?
    /// Bytes of all tensors, from the least to the most that a choice of formats can come to; nil if
    /// it cannot be written.
    public let tensorByteCounts: ClosedRange<Int>?
    /// Bytes of all files, likewise; nil if they cannot be known.
    ///
    /// Exact where the job chooses no formats. Where it does, the configuration depends on the choice:
    /// the upper end is that of the largest tensors with the longest configuration.
    public let byteCounts: ClosedRange<Int>?
    /// Why it cannot be written; empty if it can.
    public let obstacles: [ExportPlan.Remark]
    /// What it would hold in another form, or leave out.
    public let substitutions: [ExportPlan.Remark]

    /// A plan for one way in which a job may choose its formats.
    struct Choice {
        /// The format that all free modules take; nil if nothing is chosen, or they take several.
        let name: String?
        let plan: ExportPlan
    }

    /// Sums up plans of one export.
    init(_ element: ExportGroup.Element, precision: String?, choices: [Choice]) {
        options = element.options
        self.precision = precision
        path = "$.export[\(element.index)].format"
        let plans = choices.map(\.plan)
        let isWritten = plans.allSatisfy { $0.obstacles.isEmpty }
        let tensors = plans.compactMap(\.tensorByteCount)
        tensorByteCounts = isWritten ? Self.range(tensors) : nil
        let others = zip(plans.compactMap(\.byteCount), tensors).map { $0 - $1 }
        let files = Self.range(others)
        byteCounts =
            isWritten && others.count == plans.count
            ? tensorByteCounts.flatMap { tensors in
                files.map {
                    tensors.lowerBound + $0.lowerBound...tensors.upperBound + $0.upperBound
                }
            } : nil
        obstacles = Self.distinct(choices, \.obstacles)
        substitutions = Self.distinct(choices, \.substitutions)
    }

    private static func range(_ counts: [Int]) -> ClosedRange<Int>? {
        counts.min().flatMap { least in counts.max().map { least...$0 } }
    }

    /// `quark`, or `quark in mxfp4` of a job for several formats.
    public var name: String { Self.name(options.format, precision) }

    /// The same of a form and a format.
    public static func name(_ layout: ExportLayout, _ precision: String?) -> String {
        layout.rawValue + (precision.map { " in \($0)" } ?? "")
    }

    /// Whether the job must not begin.
    public var isRefused: Bool { !obstacles.isEmpty && options.onObstacle == .fail }

    /// What of ``substitutions`` a user should know before the job and after it, a sentence each.
    public var warnings: [String] { Self.warnings(substitutions) }

    /// Remarks as sentences, without those that say that all is as asked for.
    public static func warnings(_ remarks: [ExportPlan.Remark]) -> [String] {
        sentences(remarks.filter { !$0.isHarmless })
    }

    /// What becomes of a model that none of its exports can hold, where all may be skipped.
    ///
    /// `folder`: Where they would be.
    public static func replacement(by layout: ExportLayout, in folder: String) -> String {
        "\(folder)/ holds the quantized values in \(layout.rawValue) instead, exactly"
    }

    /// Remarks as sentences, those that differ in the module alone as one.
    public static func sentences(_ remarks: [ExportPlan.Remark]) -> [String] {
        func kind(_ remark: ExportPlan.Remark) -> [String] {
            [remark.condition ?? "", remark.reason]
        }
        var counts: [[String]: Int] = [:]
        for remark in remarks { counts[kind(remark), default: 0] += 1 }
        var said: Set<[String]> = []
        return remarks.compactMap { remark in
            guard said.insert(kind(remark)).inserted else { return nil }
            let others = (counts[kind(remark)] ?? 1) - 1
            return others == 0
                ? remark.description
                : "\(remark.description) (and so \(others) more module\(others == 1 ? "" : "s"))"
        }
    }

    /// Each remark once; what is so of one choice only says of which.
    private static func distinct(
        _ choices: [Choice],
        _ remarks: KeyPath<ExportPlan, [ExportPlan.Remark]>
    ) -> [ExportPlan.Remark] {
        let named = choices.filter { $0.name != nil }
        guard !named.isEmpty else { return choices.flatMap { $0.plan[keyPath: remarks] } }
        var found: [ExportPlan.Remark] = []
        var known: Set<String> = []
        for choice in named {
            for var remark in choice.plan[keyPath: remarks] {
                let isAlways = named.allSatisfy { $0.plan[keyPath: remarks].contains(remark) }
                if !isAlways { remark.condition = choice.name.map { "if \($0) is chosen" } }
                if known.insert(remark.description).inserted { found.append(remark) }
            }
        }
        return found
    }
}
