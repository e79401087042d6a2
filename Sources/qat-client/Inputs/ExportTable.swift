internal import Formats
internal import JobInputs
internal import JobSpecs
internal import ModelFiles

/// A job's exports as `submit --dry-run` shows them.
struct ExportTable {
    let exports: [PlannedExport]

    var json: JSONValue {
        .array(
            exports.map { export in
                .object([
                    "path": .string(export.path),
                    "format": .string(export.options.format.rawValue),
                    "precision": export.precision.map { .string($0) } ?? .null,
                    "on_obstacle": .string(export.options.onObstacle.rawValue),
                    "byte_count": Self.number(export.byteCounts?.lowerBound),
                    "byte_count_max": Self.number(export.byteCounts?.upperBound),
                    "tensor_byte_count": Self.number(export.tensorByteCounts?.lowerBound),
                    "tensor_byte_count_max": Self.number(export.tensorByteCounts?.upperBound),
                    "obstacles": .array(export.obstacles.map { .string($0.description) }),
                    "substitutions": .array(export.substitutions.map { .string($0.description) }),
                ])
            }
        )
    }

    private static func number(_ count: Int?) -> JSONValue {
        count.map { .number(Double($0)) } ?? .null
    }

    /// Empty without exports.
    var text: String {
        guard !exports.isEmpty else { return "" }
        var table = TextTable(["EXPORT", "ALL FILES", "REMARKS"])
        for export in exports {
            let remarks =
                PlannedExport.sentences(export.obstacles).map { "left out: " + $0 }
                + PlannedExport.sentences(export.substitutions)
            table.append([export.name, Self.size(export), remarks.first ?? ""])
            for remark in remarks.dropFirst() { table.append(["", "", remark]) }
        }
        return table.rendered()
    }

    private static func size(_ export: PlannedExport) -> String {
        guard let counts = export.byteCounts ?? export.tensorByteCounts else { return "-" }
        let least = Quantities.bytes(UInt64(counts.lowerBound))
        let most = Quantities.bytes(UInt64(counts.upperBound))
        return least == most ? least : "\(least) to \(most)"
    }
}
