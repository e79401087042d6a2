internal import Foundation

/// Collects tensors and writes them as one safetensors file, atomically.
struct SafetensorsWriter {
    private struct Entry {
        let name: String
        let type: SafetensorsType
        let shape: [Int]
        let bytes: Bytes
    }

    /// A tensor's bytes: the writer's own, or memory that outlives it.
    private enum Bytes {
        case owned([UInt8])
        case borrowed(UnsafeRawBufferPointer)

        var count: Int {
            switch self {
            case .owned(let bytes): bytes.count
            case .borrowed(let bytes): bytes.count
            }
        }
    }

    private var entries: [Entry] = []
    private let metadata: [String: String]

    init(metadata: [String: String] = ["format": "pt"]) {
        self.metadata = metadata
    }

    /// Bytes of all tensors so far.
    var tensorByteCount: Int { entries.reduce(0) { $0 + $1.bytes.count } }

    mutating func add(_ name: String, _ type: SafetensorsType, shape: [Int], bytes: [UInt8]) {
        precondition(bytes.count == shape.reduce(type.byteCount, *), "\(name): bytes and shape")
        entries.append(Entry(name: name, type: type, shape: shape, bytes: .owned(bytes)))
    }

    /// Adds FP32 values without copying; they must stay until ``write(to:)`` returns.
    mutating func addBorrowed(
        _ name: String,
        shape: [Int],
        values: UnsafeMutableBufferPointer<Float>
    ) {
        precondition(values.count == shape.reduce(1, *), "\(name): values and shape")
        let bytes = Bytes.borrowed(UnsafeRawBufferPointer(values))
        entries.append(Entry(name: name, type: .f32, shape: shape, bytes: bytes))
    }

    mutating func addBF16(_ name: String, shape: [Int], values: UnsafeBufferPointer<Float>) {
        let bytes = [UInt8](unsafeUninitializedCapacity: values.count * 2) { output, count in
            for index in 0..<values.count {
                let bits = HalfPrecision.bfloat(values[index])
                output[2 * index] = UInt8(truncatingIfNeeded: bits)
                output[2 * index + 1] = UInt8(bits >> 8)
            }
            count = values.count * 2
        }
        add(name, .bf16, shape: shape, bytes: bytes)
    }

    /// Writes the file: tensors by falling element size, then by name, as the reference writer does.
    func write(to path: String) throws(ModelFileError) {
        let ordered = entries.sorted {
            ($1.type.byteCount, $0.name) < ($0.type.byteCount, $1.name)
        }
        var header: [String: Any] = ["__metadata__": metadata]
        var offset = 0
        for entry in ordered {
            header[entry.name] = [
                "dtype": entry.type.rawValue,
                "shape": entry.shape,
                "data_offsets": [offset, offset + entry.bytes.count],
            ]
            offset += entry.bytes.count
        }
        var json: [UInt8]
        do {
            json = [UInt8](
                try JSONSerialization.data(withJSONObject: header, options: [.sortedKeys])
            )
        } catch {
            throw ModelFileError(.inputOutput, "\(path): the header cannot be written: \(error)")
        }
        // Spaces align the data to 8 bytes.
        json.append(contentsOf: repeatElement(0x20, count: (8 - json.count % 8) % 8))
        let count = UInt64(json.count)
        let prefix = (0..<8).map { UInt8(truncatingIfNeeded: count >> (8 * UInt64($0))) }
        // Owned bytes are copied one tensor at a time into memory that lives until the write ends.
        var owned: [UnsafeMutableRawBufferPointer] = []
        defer { owned.forEach { $0.deallocate() } }
        func stable(_ bytes: [UInt8]) -> UnsafeRawBufferPointer {
            let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 8)
            copy.copyBytes(from: bytes)
            owned.append(copy)
            return UnsafeRawBufferPointer(copy)
        }
        let parts = ordered.map { entry in
            switch entry.bytes {
            case .owned(let bytes): stable(bytes)
            case .borrowed(let bytes): bytes
            }
        }
        try FileSystem.write([stable(prefix + json)] + parts, to: path)
    }
}
