/// One of the tensors by which a scheme stores a module: its name, type, shape and meaning.
///
/// Writer, reader and linter all go by it.
struct SchemeTensor: Sendable, Equatable {
    /// What its numbers mean, and so where they come from and which of them are wrong.
    enum Role: Sendable, Equatable {
        /// The elements' packed codes.
        case elements
        /// A byte per block: biased exponents, or unsigned E4M3.
        case blockScales
        /// FP32 factors of the tensor, its rows or its tiles.
        case factors
        /// An FP32 factor above block scales, amax / 2688.
        case twoLevelFactor
        /// Its reciprocal, 2688 / amax.
        case twoLevelDivisor
        /// The FP32 factor of the inputs, amax / 448.
        case inputFactor
        /// The inputs' factor above block scales, amax / 2688.
        case twoLevelInputFactor
        /// Its reciprocal, 2688 / amax.
        case twoLevelInputDivisor
        /// Factors of the weight's columns, which servers apply to the inputs.
        case columnFactors

        /// Whether it says how inputs are quantized, not what the weight is.
        var isOfInputs: Bool {
            switch self {
            case .inputFactor, .twoLevelInputFactor, .twoLevelInputDivisor: true
            default: false
            }
        }

        /// Whether it is 1 / scale.
        var isReciprocal: Bool { self == .twoLevelDivisor || self == .twoLevelInputDivisor }

        /// Whether there are block scales below it.
        var isTwoLevel: Bool {
            switch self {
            case .twoLevelFactor, .twoLevelDivisor, .twoLevelInputFactor, .twoLevelInputDivisor:
                true
            default: false
            }
        }
    }

    /// A shape, given the weight's.
    enum Shape: Sendable, Equatable {
        /// As many columns as codes of so many bits take bytes.
        case packed(bits: Int)
        /// One column per block of so many.
        case blocks(Int)
        /// One number per tile; the last tiles may be cut off.
        case tiles(rows: Int, columns: Int)
        /// `[1]`.
        case one
        /// `[]`.
        case scalar
        /// `[rows]`.
        case rows
        /// `[rows, 1]`.
        case column
        /// `[columns]`.
        case columns

        /// The shape as the dialect defines it.
        func extents(rows: Int, columns: Int) -> [Int] {
            switch self {
            case .packed(let bits): [rows, columns * bits / 8]
            case .blocks(let size): [rows, columns / size]
            case .tiles(let height, let width):
                [Self.quotient(rows, height), Self.quotient(columns, width)]
            case .one: [1]
            case .scalar: []
            case .rows: [rows]
            case .column: [rows, 1]
            case .columns: [columns]
            }
        }

        /// The shapes that mean the same, the dialect's own first: some writers keep an extent of 1
        /// that others drop.
        func accepted(rows: Int, columns: Int) -> [[Int]] {
            switch self {
            case .one: [[1], []]
            case .scalar: [[], [1]]
            case .rows: [[rows], [rows, 1]]
            case .column: [[rows, 1], [rows]]
            default: [extents(rows: rows, columns: columns)]
            }
        }

        /// Whether its first extent grows with the weight's rows, so that parts of a module stand in
        /// it one after the other.
        var isByRow: Bool {
            switch self {
            case .packed, .blocks, .rows, .column: true
            case .tiles, .one, .scalar, .columns: false
            }
        }

        /// Rounded up.
        static func quotient(_ count: Int, _ size: Int) -> Int { (count - 1) / size + 1 }
    }

    /// What follows the module's name.
    let suffix: String
    /// The type as the dialect defines it.
    let type: SafetensorsType
    let shape: Shape
    let role: Role
    /// Whether a module may be without it.
    let isOptional: Bool

    init(
        _ suffix: String,
        _ type: SafetensorsType,
        _ shape: Shape,
        _ role: Role,
        isOptional: Bool = false
    ) {
        self.suffix = suffix
        self.type = type
        self.shape = shape
        self.role = role
        self.isOptional = isOptional
    }

    /// The types that are read: some writers keep FP32 factors in the model's own type.
    var acceptedTypes: [SafetensorsType] { type == .f32 ? SafetensorsType.floats : [type] }
}

extension SafetensorsType {
    /// What float tensors may be.
    static let floats: [SafetensorsType] = [.f32, .bf16, .f16]
}
