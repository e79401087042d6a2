internal import Formats
internal import Foundation
internal import Transformer

/// In how many bits a checkpoint holds its parameters, and what it says of its making.
struct StoredWidths {
    /// Bytes by tensor name.
    private let byteCounts: [String: Int]
    /// What the file says of its making.
    private let notes: [String: String]
    private let isGGUF: Bool

    /// Reads the directories of a checkpoint's files.
    ///
    /// - Throws: ``ModelFileError``.
    init(path: String, kind: LoadedModel.Source) throws(ModelFileError) {
        isGGUF = kind == .gguf
        if isGGUF {
            let gguf = try GGUFFile(path: path)
            byteCounts = gguf.tensors.mapValues(\.bytes.count)
            notes = gguf.metadata.compactMapValues { value in
                if case .text(let text) = value { return text }
                return nil
            }
            return
        }
        var log = LintLog()
        guard let folder = CheckpointFolder(path: path, &log) else {
            let finding = log.findings.last
            throw ModelFileError(
                .malformed,
                "\(path): \(finding?.place ?? "") \(finding?.message ?? "cannot be read")"
            )
        }
        byteCounts = folder.tensors.mapValues(\.bytes.count)
        notes = folder.shards.values.first?.metadata ?? [:]
    }

    /// Whole bits of an element of a parameter, scales left out.
    func bits(of entry: ParameterLayout.Entry) -> Int {
        let names =
            isGGUF
            ? GGUFLayout.matrixName(of: entry).map { [$0] } ?? []
            : CheckpointDialects.elementSuffixes.map { entry.module + $0 } + [entry.name]
        let byteCount = names.lazy.compactMap { byteCounts[$0] }.first
        let bits = byteCount.map { 8 * $0 / max(1, entry.count) } ?? 16
        // What a file has no type for stands in BF16 or FP32, rounded.
        guard bits >= 16, entry.shape.count == 2, let stated else { return bits }
        return min(bits, stated)
    }

    /// Whether the checkpoint says that weights were scaled or rotated before they were rounded.
    var changesWeights: Bool {
        ["awq", "smoothquant"].contains(notes["qat.method"])
            || notes["qat.rotation"] ?? "none" != "none"
    }

    /// Why weights may differ legitimately, as far as the checkpoint tells.
    var excuse: String {
        let made = ["method", "rotation"].compactMap { key in
            notes["qat.\(key)"].map { "\(key) \($0)" }
        }
        let source = made.isEmpty ? "" : " (the file says: \(made.joined(separator: ", ")))"
        return """
            methods that rotate, smooth or make up for errors change weights legitimately\(source); \
            after others it is another model or a wrong scale
            """
    }

    /// Bits of the narrowest of the formats that our writers list.
    private var stated: Int? {
        guard let formats = notes["qat.formats"],
            let value = try? JSONSerialization.jsonObject(with: Data(formats.utf8)),
            let list = value as? [[String: Any]]
        else { return nil }
        let elements = list.compactMap { format in
            (format["element"] as? String).flatMap(ElementFormat.init(rawValue:))
        }
        // E5M2 has as long a mantissa as E3M2, and as much noise.
        return elements.map { $0 == .e5m2 ? 6 : $0.bitWidth }.min()
    }
}
