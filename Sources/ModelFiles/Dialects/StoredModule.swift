internal import Transformer

/// A module as a checkpoint's files name it: in most one of the model's own, in some several that
/// stand one above the other, as in `qkv_proj`.
///
/// Parts share their columns, their format and every scale per tensor; what is stored by row is that
/// of the parts in order.
struct StoredModule: Sendable, Equatable {
    /// The name in the files, as in `model.layers.0.mlp.up_proj`.
    let name: String
    /// The parameters it holds, from the first row to the last.
    let parts: [ParameterLayout.Entry]

    /// A module of the model that is stored as such.
    init(_ entry: ParameterLayout.Entry) {
        name = entry.module
        parts = [entry]
    }

    /// Parts above each other.
    ///
    /// - Precondition: There are parts, and all have the same columns.
    init(name: String, parts: [ParameterLayout.Entry]) {
        precondition(!parts.isEmpty, "\(name) has no parts")
        precondition(
            parts.allSatisfy { $0.columns == parts[0].columns },
            "\(name): the parts' columns are \(parts.map(\.columns))"
        )
        self.name = name
        self.parts = parts
    }

    /// The modules of a model, in the order of its parameters.
    static func modules(of layout: ParameterLayout) -> [StoredModule] {
        ParameterLayout.stored(of: layout.configuration).map {
            StoredModule(name: $0.entry.module, parts: $0.parts)
        }
    }

    /// The name of the tensor that holds its values where it is not quantized.
    var plainName: String { name + parts[0].name.dropFirst(parts[0].module.count) }

    /// Whether it is a matrix, which alone can be quantized.
    var isMatrix: Bool { parts[0].shape.count == 2 }

    /// Whether it is a part of the decoder, and so neither embedding nor head.
    var isInDecoder: Bool {
        name != ParameterLayout.embeddingModule && name != ParameterLayout.headModule
    }

    /// Rows of all parts; 1 of a vector.
    var rows: Int { isMatrix ? parts.reduce(0) { $0 + $1.rows } : 1 }

    var columns: Int { parts[0].columns }

    /// `[rows, columns]`, or the shape of a vector.
    var shape: [Int] { isMatrix ? [rows, columns] : [count] }

    var count: Int { parts.reduce(0) { $0 + $1.count } }

    /// The position of a part's first row; nil of a parameter that is none.
    func firstRow(of part: ParameterLayout.Entry) -> Int? {
        guard let index = parts.firstIndex(of: part) else { return nil }
        return parts[..<index].reduce(0) { $0 + $1.rows }
    }
}
