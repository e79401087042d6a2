@testable internal import ModelFiles

extension HalfPrecision {
    /// One value as ``bfloats(_:)`` writes it.
    static func bfloat(_ value: Float) -> UInt16 {
        let bytes = [value].withUnsafeBufferPointer { bfloats($0) }
        return UInt16(bytes[0]) | UInt16(bytes[1]) << 8
    }
}
