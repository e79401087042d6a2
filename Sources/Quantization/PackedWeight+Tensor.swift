internal import Formats
public import Kernels

extension PackedWeight {
    /// A stored tensor in the order that products read it in.
    ///
    /// Every format has one but those of blocks that are not of 8, 16, … columns, up to
    /// ``PackedLayout/largestBlock``: nil.
    ///
    /// - Throws: ``QuantizationError`` (`nonFiniteInput`) of a code or a scale that is NaN or infinite.
    public convenience init?(_ tensor: PackedTensor, team: ThreadTeam) throws {
        let format = tensor.format
        guard let layout = PackedLayout(format, rows: tensor.rows, columns: tensor.columns) else {
            return nil
        }
        let codes = Self.nonFiniteCode(of: tensor).flatMap { isNonFinite in
            tensor.codes.firstIndex(where: isNonFinite)
        }
        let scales = tensor.scales.firstIndex {
            format.scaleKind == .e8m0 ? $0 == 255 : $0 & 0x7F == 0x7F
        }
        let factor = tensor.floatScales.firstIndex { !$0.isFinite }
        guard codes == nil, scales == nil, factor == nil else {
            throw QuantizationError(
                .nonFiniteInput,
                """
                a \(format.name) tensor [\(tensor.rows), \(tensor.columns)] holds a code, a block \
                scale or an FP32 scale that is no finite number
                """
            )
        }
        self.init(
            layout,
            codes: tensor.codes,
            scales: tensor.scales,
            factors: tensor.floatScales,
            team: team
        )
    }

    /// Which bytes of codes are NaN or infinite; nil where none can be.
    private static func nonFiniteCode(of tensor: PackedTensor) -> ((UInt8) -> Bool)? {
        switch tensor.format.element {
        case .e4m3: { $0 & 0x7F == 0x7F }
        case .e5m2: { $0 & 0x7F >= 0x7C }
        case .e2m1, .e2m3, .e3m2, .int8: nil
        }
    }
}
