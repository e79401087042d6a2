internal import Formats
internal import Transformer

/// In how many bits a checkpoint holds its parameters, and what it says of its making.
struct StoredWidths {
    private let source: any ModelSource
    private let notes: FileNotes
    /// Bits of the narrowest of the formats that our writers list.
    private let stated: Int?

    init(_ source: any ModelSource) {
        self.source = source
        notes = source.notes
        // E5M2 has as long a mantissa as E3M2, and as much noise.
        stated = notes.formats?.map { $0.element == .e5m2 ? 6 : $0.element.bitWidth }.min()
    }

    /// Whole bits of an element of a parameter, scales left out.
    func bits(of entry: ParameterLayout.Entry) -> Int {
        let bits = source.bitWidth(of: entry)
        // What a file has no type for stands in BF16 or FP32, rounded.
        guard bits >= 16, entry.shape.count == 2, let stated else { return bits }
        return min(bits, stated)
    }

    /// The bits that a parameter is judged by, and why they are not those that it is stored in.
    func words(of entry: ParameterLayout.Entry) -> String {
        let (judged, stored) = (bits(of: entry), source.bitWidth(of: entry))
        return judged == stored
            ? "\(stored) bits"
            : "\(judged) bits, the narrowest of the formats that the file names (it is stored in \(stored))"
    }

    /// Whether the checkpoint says that weights were scaled or rotated before they were rounded.
    var changesWeights: Bool { notes.changesWeights }

    /// Why weights may differ legitimately, as far as the checkpoint tells.
    var excuse: String {
        let source = notes.making.isEmpty ? "" : " (the file says: \(notes.making))"
        return """
            methods that rotate, smooth or make up for errors change weights legitimately\(source); \
            after others it is another model or a wrong scale
            """
    }
}
