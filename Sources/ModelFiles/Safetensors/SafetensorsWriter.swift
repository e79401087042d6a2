internal import Foundation

/// Writes one safetensors file, tensor by tensor in any order, atomically.
///
/// Not for concurrent use.
final class SafetensorsWriter {
    /// A tensor of the file.
    struct Tensor {
        let name: String
        let type: SafetensorsType
        /// Empty for a scalar.
        let shape: [Int]

        var byteCount: Int { shape.reduce(type.byteCount, *) }
    }

    private let path: String
    private let file: AtomicFile
    // What is still to be written of each tensor.
    private var offsets: [String: Range<Int>] = [:]

    /// Begins a file of `tensors`.
    ///
    /// They stand by falling element size, then by name, as the reference writer has them.
    init(
        path: String,
        tensors: [Tensor],
        metadata: [String: String] = [:]
    ) throws(ModelFileError) {
        self.path = path
        let header = try Self.header(of: tensors, metadata: metadata, path: path)
        file = try AtomicFile(path: path)
        try file.write(header.bytes, at: 0)
        let start = header.bytes.count
        for (name, range) in header.ranges {
            offsets[name] = start + range.lowerBound..<start + range.upperBound
        }
    }

    /// Bytes of a whole file.
    static func byteCount(
        of tensors: [Tensor],
        metadata: [String: String]
    ) throws(ModelFileError) -> Int {
        let header = try header(of: tensors, metadata: metadata, path: "safetensors")
        return header.bytes.count + tensors.reduce(0) { $0 + $1.byteCount }
    }

    /// What comes before the data, its length included, and where in the data tensors stand.
    private static func header(
        of tensors: [Tensor],
        metadata: [String: String],
        path: String
    ) throws(ModelFileError) -> (bytes: [UInt8], ranges: [(String, Range<Int>)]) {
        let ordered = tensors.sorted {
            ($1.type.byteCount, $0.name) < ($0.type.byteCount, $1.name)
        }
        let texts = metadata.merging(["format": "pt"]) { _, new in new }
        var header: [String: Any] = ["__metadata__": texts]
        var ranges: [(String, Range<Int>)] = []
        var offset = 0
        for tensor in ordered {
            let end = offset + tensor.byteCount
            header[tensor.name] = [
                "dtype": tensor.type.rawValue, "shape": tensor.shape,
                "data_offsets": [offset, end],
            ]
            ranges.append((tensor.name, offset..<end))
            offset = end
        }
        var json: [UInt8]
        do {
            json = [UInt8](
                try JSONSerialization.data(
                    withJSONObject: header,
                    options: [.sortedKeys, .withoutEscapingSlashes]
                )
            )
        } catch {
            throw ModelFileError(.inputOutput, "\(path): the header cannot be written: \(error)")
        }
        // Spaces align the data to 8 bytes.
        json.append(contentsOf: repeatElement(0x20, count: (8 - json.count % 8) % 8))
        let count = UInt64(json.count)
        let prefix = (0..<8).map { UInt8(truncatingIfNeeded: count >> (8 * UInt64($0))) }
        return (prefix + json, ranges)
    }

    /// Whether tensors are still to come.
    var isComplete: Bool { offsets.isEmpty }

    /// Writes the next of one tensor's bytes: all at once, or piece by piece.
    func write(_ name: String, _ bytes: UnsafeRawBufferPointer) throws(ModelFileError) {
        guard let range = offsets.removeValue(forKey: name) else {
            preconditionFailure("\(path): \(name) is not to be written, or was")
        }
        precondition(bytes.count <= range.count, "\(name): \(bytes.count) bytes for \(range)")
        try file.write(bytes, at: range.lowerBound)
        if bytes.count < range.count {
            offsets[name] = range.lowerBound + bytes.count..<range.upperBound
        }
    }

    func write(_ name: String, _ bytes: [UInt8]) throws(ModelFileError) {
        let result = bytes.withUnsafeBytes { buffer in
            Result { () throws(ModelFileError) in try write(name, buffer) }
        }
        try result.get()
    }

    /// Completes the file, once all tensors are written.
    func finish() throws(ModelFileError) {
        precondition(offsets.isEmpty, "\(path): \(offsets.count) tensors were not written")
        try file.commit()
    }
}
