internal import Kernels

/// Memory of the host: the device's own, or a buffer that it was lent.
final class HostMemory: DeviceMemory, @unchecked Sendable {
    // Unsynchronized: a device runs one operation at a time, and within one its threads write disjoint
    // elements.

    let byteCount: Int
    let start: UnsafeMutableRawPointer
    private let owner: AnyObject

    init(byteCount: Int) {
        let buffer = AlignedBuffer<UInt8>(count: byteCount)
        self.byteCount = byteCount
        start = UnsafeMutableRawPointer(buffer.pointer)
        owner = buffer
    }

    init<Element>(lent buffer: AlignedBuffer<Element>) {
        byteCount = buffer.count * MemoryLayout<Element>.stride
        start = UnsafeMutableRawPointer(buffer.pointer)
        owner = buffer
    }
}

extension DeviceTensor {
    /// The first element, whatever its type.
    var address: UnsafeMutableRawPointer {
        guard let host = memory as? HostMemory else {
            preconditionFailure("a tensor of another device")
        }
        return host.start + offset * type.byteCount
    }

    /// The first element of a single-precision tensor in the host's memory.
    var floats: UnsafeMutablePointer<Float> {
        precondition(type == .float32, "a tensor of \(type), not float32")
        return address.assumingMemoryBound(to: Float.self)
    }

    /// The first element of a BF16 tensor, as bits.
    var halves: UnsafeMutablePointer<UInt16> {
        precondition(type == .bfloat16, "a tensor of \(type), not bfloat16")
        return address.assumingMemoryBound(to: UInt16.self)
    }

    /// The first element of a tensor of tokens.
    var tokens: UnsafeMutablePointer<Int32> {
        precondition(type == .int32, "a tensor of \(type), not int32")
        return address.assumingMemoryBound(to: Int32.self)
    }

    /// The first element of a tensor of bytes.
    var bytes: UnsafeMutablePointer<UInt8> {
        precondition(type == .uint8, "a tensor of \(type), not uint8")
        return address.assumingMemoryBound(to: UInt8.self)
    }

    /// The first word of a prepared weight.
    var words: UnsafeMutablePointer<UInt32> {
        precondition(type == .uint8, "a tensor of \(type), not uint8")
        return address.assumingMemoryBound(to: UInt32.self)
    }

    /// The first element of a double-precision tensor.
    var doubles: UnsafeMutablePointer<Double> {
        precondition(type == .float64, "a tensor of \(type), not float64")
        return address.assumingMemoryBound(to: Double.self)
    }
}
