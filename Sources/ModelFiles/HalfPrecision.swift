internal import Kernels

/// IEEE half precision, in integer arithmetic: `Float16` is not on every platform.
enum HalfPrecision {
    @inline(__always)
    static func float(_ bits: UInt16) -> Float {
        let sign = UInt32(bits & 0x8000) << 16
        let magnitude = UInt32(bits & 0x7FFF) << 13
        // Multiplying moves the exponent's bias and normalizes subnormals; there is no branch.
        let finite = (Float(bitPattern: magnitude) * 0x1p112).bitPattern
        let special = magnitude | 0x7F80_0000
        return Float(bitPattern: sign | (magnitude >= 0x0F80_0000 ? special : finite))
    }

    /// The bytes of values rounded to bfloat16, to nearest even, little-endian as the machines are that
    /// this runs on.
    static func bfloats(_ values: UnsafeBufferPointer<Float>) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: values.count * 2) { output, count in
            if let start = output.baseAddress { writeBFloats(values, to: start) }
            count = values.count * 2
        }
    }

    /// The same, to memory with room for them.
    static func writeBFloats(
        _ values: UnsafeBufferPointer<Float>,
        to output: UnsafeMutablePointer<UInt8>
    ) {
        guard let start = values.baseAddress else { return }
        let halves = UnsafeMutableRawPointer(output).assumingMemoryBound(to: UInt16.self)
        HalfConversion.narrow(start, into: halves, count: values.count)
    }
}
