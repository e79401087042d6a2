/// The JSON header of a safetensors file, scanned once without recursion.
///
/// It takes a small multiple of the header's size in memory, whatever it holds.
struct SafetensorsHeader {
    /// One tensor, as the header has it.
    struct Entry {
        let type: String
        let shape: [Int]
        /// Within the data.
        let offsets: Range<Int>
    }

    private(set) var tensors: [String: Entry] = [:]
    private(set) var metadata: [String: String] = [:]

    private static let tensorLimit = 1 << 18
    private static let rankLimit = 16

    /// Scans a header.
    ///
    /// - Throws: ``ModelFileError`` (`malformed`), naming the byte within the header.
    init(_ json: UnsafeRawBufferPointer, path: String) throws(ModelFileError) {
        guard json.first == UInt8(ascii: "{") else {
            throw ModelFileError(.malformed, "\(path): the header is not a JSON object")
        }
        var scanner = JSONScanner(json, path: "\(path): the header")
        try scanner.expect("{")
        var hasMetadata = false
        var isMore = !scanner.take("}")
        while isMore {
            let name = try scanner.string()
            try scanner.expect(":")
            if name == "__metadata__" {
                guard !hasMetadata else { throw scanner.failure("__metadata__ a second time") }
                hasMetadata = true
                metadata = try Self.texts(&scanner)
            } else {
                let entry = try Self.entry(&scanner, name)
                guard tensors.updateValue(entry, forKey: name) == nil else {
                    throw scanner.failure("tensor \(name) a second time")
                }
            }
            guard tensors.count <= Self.tensorLimit else {
                throw scanner.failure("more than \(Self.tensorLimit) tensors")
            }
            isMore = try scanner.hasNext(before: "}")
        }
        try scanner.expectEnd()
    }

    private static func texts(
        _ scanner: inout JSONScanner
    ) throws(ModelFileError) -> [String: String] {
        var texts: [String: String] = [:]
        try scanner.expect("{")
        var isMore = !scanner.take("}")
        while isMore {
            let key = try scanner.string()
            try scanner.expect(":")
            guard texts.updateValue(try scanner.string(), forKey: key) == nil,
                texts.count <= tensorLimit
            else {
                throw scanner.failure("metadata \(key) a second time, or too many")
            }
            isMore = try scanner.hasNext(before: "}")
        }
        return texts
    }

    /// Three members in any order.
    private static func entry(
        _ scanner: inout JSONScanner,
        _ name: String
    ) throws(ModelFileError) -> Entry {
        var type: String?
        var shape: [Int]?
        var offsets: [Int]?
        try scanner.expect("{")
        var isMore = !scanner.take("}")
        while isMore {
            let key = try scanner.string()
            try scanner.expect(":")
            switch key {
            case "dtype" where type == nil: type = try scanner.string()
            case "shape" where shape == nil: shape = try sizes(&scanner)
            case "data_offsets" where offsets == nil: offsets = try sizes(&scanner)
            default: throw scanner.failure("tensor \(name) with \(key), unknown or a second time")
            }
            isMore = try scanner.hasNext(before: "}")
        }
        guard let type, let shape, let offsets, offsets.count == 2, offsets[0] <= offsets[1] else {
            throw scanner.failure("tensor \(name) without dtype, shape and data_offsets")
        }
        return Entry(type: type, shape: shape, offsets: offsets[0]..<offsets[1])
    }

    private static func sizes(_ scanner: inout JSONScanner) throws(ModelFileError) -> [Int] {
        var sizes: [Int] = []
        try scanner.expect("[")
        var isMore = !scanner.take("]")
        while isMore {
            guard case .integer(let size) = try scanner.number(), size >= 0,
                sizes.count < rankLimit
            else {
                throw scanner.failure("a size that is no size, or more than \(rankLimit)")
            }
            sizes.append(size)
            isMore = try scanner.hasNext(before: "]")
        }
        return sizes
    }
}
