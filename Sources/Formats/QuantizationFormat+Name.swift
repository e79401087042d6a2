extension QuantizationFormat {
    /// The word for leaving weights as they are.
    public static let unquantizedName = "none"

    private static let synonyms = ["fp4": "mxfp4", "fp6": "mxfp6_e2m3", "fp8": "mxfp8"]

    /// Every word that names a format, the short ones `fp8`, `fp6` and `fp4` first.
    public static let names =
        ["fp8", "fp6", "fp4"] + all.map(\.name)

    /// The format that a word names, synonyms included; nil if it names none (`none` included).
    public init?(algorithm: String) {
        let name = Self.synonyms[algorithm] ?? algorithm
        guard let format = Self.all.first(where: { $0.name == name }) else {
            return nil
        }
        self = format
    }

    /// The format that a word names; nil of `none`.
    ///
    /// - Throws: ``FormatError`` (`unknownFormat`) if the word is no name, so that a misspelt one
    ///   never reads as "unquantized".
    public static func named(_ word: String) throws(FormatError) -> QuantizationFormat? {
        guard word != unquantizedName else {
            return nil
        }
        guard let format = QuantizationFormat(algorithm: word) else {
            throw FormatError(
                .unknownFormat,
                "no format is named \"\(word.prefix(64))\"; known are \(unquantizedName), "
                    + names.joined(separator: ", ")
            )
        }
        return format
    }

    /// The name job files use: `mx…` for power-of-two block scales, `nv…` for two levels,
    /// `…_per_tensor` and `…_per_channel` for FP32 scales.
    public var name: String {
        let (stem, variant) =
            switch element {
            case .e2m1: ("fp4", "")
            case .e2m3: ("fp6", "_e2m3")
            case .e3m2: ("fp6", "_e3m2")
            case .e4m3: ("fp8", "")
            case .e5m2: ("fp8", "_e5m2")
            case .int8: ("int8", "")
            }
        return switch scaleKind {
        case .e8m0: "mx\(stem)\(variant)"
        case .e4m3TwoLevel: "nv\(stem)\(variant)"
        case .perTensor, .perChannel: "\(stem)\(variant)_\(scaleKind.rawValue)"
        }
    }

    /// The name with the block's size, as in `mxfp4 by 32`; without where there are no blocks.
    public var nameWithBlock: String {
        scaleKind.hasBlocks ? "\(name) by \(blockSize)" : name
    }

    /// The same elements under one scale per tensor; rounding rules stay.
    public var perTensor: QuantizationFormat {
        QuantizationFormat(
            element: element,
            scaleKind: .perTensor,
            scaleMode: scaleMode,
            tieRule: tieRule
        )
    }
}
