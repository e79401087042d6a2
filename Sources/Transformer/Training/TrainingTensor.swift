/// What a training keeps beside its weights and a checkpoint must hold, in the host's memory.
public struct TrainingTensor {
    /// What its elements are.
    public enum Element: Sendable {
        /// IEEE 754 single precision.
        case float32
        /// The upper half of it.
        case bfloat16
        /// Codes.
        case uint8

        /// Bytes of an element.
        public var byteCount: Int {
            switch self {
            case .float32: 4
            case .bfloat16: 2
            case .uint8: 1
            }
        }
    }

    /// What it is, and of which parameter, as in `m.model.norm.weight`.
    public let name: String
    /// What its elements are.
    public let type: Element
    /// The shape, row-major.
    public let shape: [Int]
    /// Its bytes, valid as long as what owns them.
    public let bytes: UnsafeMutableRawBufferPointer

    init(name: String, type: Element, shape: [Int], start: UnsafeMutableRawPointer) {
        self.name = name
        self.type = type
        self.shape = shape
        bytes = UnsafeMutableRawBufferPointer(
            start: start,
            count: shape.reduce(1, *) * type.byteCount
        )
    }
}
