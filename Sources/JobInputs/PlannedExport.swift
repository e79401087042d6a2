public import JobSpecs
public import ModelFiles

/// One element of a job's `export` list, resolved against the job's model and recipe before any work.
public struct PlannedExport: Sendable {
    /// What was asked for.
    public let options: ExportOptions
    /// Where its form is written: `$.export[1].format`.
    public let path: String
    /// Bytes of all tensors, from the least to the most that a choice of formats can come to; nil if
    /// it cannot be written.
    public let tensorByteCounts: ClosedRange<Int>?
    /// Why it cannot be written; empty if it can.
    public let obstacles: [ExportPlan.Remark]
    /// What it would hold in another form, or leave out.
    public let substitutions: [ExportPlan.Remark]

    /// Sums up plans of one export, one for each way in which the job may choose its formats.
    init(_ options: ExportOptions, index: Int, plans: [ExportPlan]) {
        self.options = options
        path = "$.export[\(index)].format"
        let counts = plans.compactMap(\.tensorByteCount)
        let isWritten = plans.allSatisfy { $0.obstacles.isEmpty }
        tensorByteCounts =
            isWritten
            ? counts.min().flatMap { least in counts.max().map { least...$0 } } : nil
        obstacles = Self.distinct(plans.flatMap(\.obstacles))
        substitutions = Self.distinct(plans.flatMap(\.substitutions))
    }

    /// Whether the job must not begin.
    public var isRefused: Bool { !obstacles.isEmpty && options.onObstacle == .fail }

    /// Remarks as sentences, those that differ in the module alone as one.
    public static func sentences(_ remarks: [ExportPlan.Remark]) -> [String] {
        var counts: [String: Int] = [:]
        for remark in remarks { counts[remark.reason, default: 0] += 1 }
        var said: Set<String> = []
        return remarks.compactMap { remark in
            guard said.insert(remark.reason).inserted else { return nil }
            let others = (counts[remark.reason] ?? 1) - 1
            return others == 0
                ? remark.description
                : "\(remark.description) (and so \(others) more module\(others == 1 ? "" : "s"))"
        }
    }

    private static func distinct(_ remarks: [ExportPlan.Remark]) -> [ExportPlan.Remark] {
        var found: [ExportPlan.Remark] = []
        var known: Set<String> = []
        for remark in remarks where known.insert(remark.description).inserted {
            found.append(remark)
        }
        return found
    }
}
