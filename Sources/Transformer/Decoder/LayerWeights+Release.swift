internal import Devices
internal import Formats
internal import Kernels

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// What one model reads of another that has the same.
struct BorrowedWeights {
    /// `[vocabulary, hidden]`, as it is stored.
    var embedding: DeviceTensor?
    /// `[vocabulary, hidden]`, as it is stored.
    var head: DeviceTensor?
    /// The head as products use it.
    var headOperand: (() -> WeightOperand)?
}

extension LayerWeights {
    /// Gives the memory of weights back that nothing reads any more: those of which products read a form
    /// of their own, which is made now, and the embedding and the head where `other` has the same to the
    /// bit and `isFixed` says that they stay what they are.
    ///
    /// What these weights compute does not change by a bit, and they must not change any more. Nothing
    /// where they are the other's own.
    func release(borrowing other: LayerWeights, where isFixed: (ParameterLayout.Entry) -> Bool) {
        guard parameters !== other.parameters, parameters.isWhole else { return }
        other.settle()
        let (layout, lent) = (parameters.layout, other.parameters.layout)
        if isFixed(lent.embedding), holds(layout.embedding, lent.embedding, of: other) {
            borrowed.embedding = other.embedding
        }
        if isFixed(lent.head), holds(layout.head, lent.head, of: other) {
            borrowed.head = other.tensor(lent.head)
            if !other.recipe.rounds(module: lent.head.module), headFormat == nil {
                borrowed.headOperand = { other.headOperand() }
            }
        }
        var released: [ParameterLayout.Entry] = []
        if prepared != nil {
            for layer in 0..<configuration.layerCount {
                for module in configuration.linearModules {
                    _ = operand(module, layer: layer)
                    parameters.release([layout.entry(of: module, layer: layer)])
                }
            }
            _ = headOperand()
        }
        if layout.head != layout.embedding, prepared != nil || borrowed.head != nil {
            released.append(layout.head)
        }
        if borrowed.embedding != nil, layout.head != layout.embedding || isHeadElsewhere {
            released.append(layout.embedding)
        }
        parameters.release(released)
    }

    /// Whether products no longer read the head where it is stored.
    private var isHeadElsewhere: Bool { prepared != nil || borrowed.head != nil }

    private func holds(
        _ entry: ParameterLayout.Entry,
        _ lent: ParameterLayout.Entry,
        of other: LayerWeights
    ) -> Bool {
        entry.shape == lent.shape
            && memcmp(
                parameters.storage.pointer + entry.offset,
                other.parameters.storage.pointer + lent.offset,
                entry.count * MemoryLayout<Float>.stride
            ) == 0
    }
}
