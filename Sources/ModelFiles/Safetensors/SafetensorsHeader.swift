/// The header of a safetensors file: a JSON object of objects, read in one pass.
///
/// The scanner knows this one grammar, so nothing nests, a name stands once, numbers are bounded, and
/// memory is a small multiple of the header.
struct SafetensorsHeader {
    /// What the header says of a tensor.
    struct Entry {
        var type = ""
        var shape: [Int] = []
        var offsets: [Int] = []
    }

    /// Tensors by name.
    private(set) var tensors: [String: Entry] = [:]
    /// `__metadata__`.
    private(set) var metadata: [String: String] = [:]

    /// The most tensors, dimensions and characters of a name that are read.
    private static let limits = (tensors: 1 << 20, dimensions: 8, name: 4096, text: 1 << 20)

    private let bytes: UnsafeRawBufferPointer
    private let path: String
    private var position = 0

    /// Reads a header.
    ///
    /// - Throws: ``ModelFileError`` (`malformed`), naming the byte.
    init(_ bytes: UnsafeRawBufferPointer, path: String) throws(ModelFileError) {
        self.bytes = bytes
        self.path = path
        try object { header, name throws(ModelFileError) in
            if name == "__metadata__" {
                try header.readMetadata()
            } else {
                try header.readEntry(name)
            }
        }
        skipSpace()
        guard position == bytes.count else {
            throw failure("something follows the object")
        }
    }

    private mutating func readMetadata() throws(ModelFileError) {
        guard metadata.isEmpty else { throw failure("__metadata__ stands twice") }
        try object { header, key throws(ModelFileError) in
            let value = try header.text(limit: Self.limits.text)
            guard header.metadata.updateValue(value, forKey: key) == nil else {
                throw header.failure("the metadata \(key) stands twice")
            }
        }
    }

    private mutating func readEntry(_ name: String) throws(ModelFileError) {
        var entry = Entry()
        var seen: Set<String> = []
        try object { header, key throws(ModelFileError) in
            guard seen.insert(key).inserted else {
                throw header.failure("\(key) of tensor \(name) stands twice")
            }
            switch key {
            case "dtype": entry.type = try header.text(limit: 32)
            case "shape": entry.shape = try header.numbers(limit: Self.limits.dimensions)
            case "data_offsets": entry.offsets = try header.numbers(limit: 2)
            default: throw header.failure("tensor \(name) has the unknown key \(key)")
            }
        }
        guard seen.count == 3 else {
            throw failure("tensor \(name) lacks dtype, shape or data_offsets")
        }
        guard tensors.count < Self.limits.tensors else {
            throw failure("more than \(Self.limits.tensors) tensors")
        }
        guard tensors.updateValue(entry, forKey: name) == nil else {
            throw failure("tensor \(name) stands twice")
        }
    }

    private mutating func object(
        _ member: (inout SafetensorsHeader, String) throws(ModelFileError) -> Void
    ) throws(ModelFileError) {
        try expect("{")
        guard !skip("}") else { return }
        repeat {
            let name = try text(limit: Self.limits.name)
            try expect(":")
            try member(&self, name)
        } while skip(",")
        try expect("}")
    }

    private mutating func numbers(limit: Int) throws(ModelFileError) -> [Int] {
        try expect("[")
        guard !skip("]") else { return [] }
        var numbers: [Int] = []
        repeat {
            guard numbers.count < limit else { throw failure("more than \(limit) numbers") }
            numbers.append(try number())
        } while skip(",")
        try expect("]")
        return numbers
    }

    private mutating func number() throws(ModelFileError) -> Int {
        skipSpace()
        var value = 0
        var digits = 0
        while position < bytes.count, (0x30...0x39).contains(bytes[position]) {
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(Int(bytes[position] - 0x30))
            guard !overflow, !carry else { throw failure("a number is too large") }
            value = sum
            digits += 1
            position += 1
        }
        guard digits > 0 else { throw failure("expected a whole number") }
        return value
    }

    private mutating func text(limit: Int) throws(ModelFileError) -> String {
        try expect("\"")
        var units: [UInt8] = []
        while position < bytes.count, bytes[position] != UInt8(ascii: "\"") {
            guard units.count < limit else { throw failure("a text of over \(limit) bytes") }
            let byte = bytes[position]
            guard byte >= 0x20 else { throw failure("a control character in a text") }
            position += 1
            if byte == UInt8(ascii: "\\") {
                units += Array(String(try escape()).utf8)
            } else {
                units.append(byte)
            }
        }
        try expect("\"")
        guard let text = String(validating: units, as: UTF8.self) else {
            throw failure("a text is not UTF-8")
        }
        return text
    }

    private mutating func escape() throws(ModelFileError) -> Unicode.Scalar {
        guard position < bytes.count else { throw failure("an escape is cut off") }
        let byte = bytes[position]
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return try unicodeEscape()
        default: throw failure("an unknown escape")
        }
    }

    private mutating func unicodeEscape() throws(ModelFileError) -> Unicode.Scalar {
        let high = try hexadecimal()
        if let scalar = Unicode.Scalar(high) { return scalar }
        // A surrogate pair.
        guard (0xD800...0xDBFF).contains(high), position + 2 <= bytes.count,
            bytes[position] == UInt8(ascii: "\\"), bytes[position + 1] == UInt8(ascii: "u")
        else { throw failure("half a surrogate pair") }
        position += 2
        let low = try hexadecimal()
        guard (0xDC00...0xDFFF).contains(low),
            let scalar = Unicode.Scalar(0x10000 + (high - 0xD800) << 10 + (low - 0xDC00))
        else { throw failure("half a surrogate pair") }
        return scalar
    }

    private mutating func hexadecimal() throws(ModelFileError) -> UInt32 {
        guard position + 4 <= bytes.count,
            let value = UInt32(
                String(decoding: bytes[position..<position + 4], as: UTF8.self),
                radix: 16
            )
        else { throw failure("an escape without four digits") }
        position += 4
        return value
    }

    private mutating func skipSpace() {
        while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) {
            position += 1
        }
    }

    private mutating func skip(_ mark: Character) -> Bool {
        skipSpace()
        guard position < bytes.count, bytes[position] == mark.asciiValue else { return false }
        position += 1
        return true
    }

    private mutating func expect(_ mark: Character) throws(ModelFileError) {
        guard skip(mark) else {
            throw failure("expected \(mark)")
        }
    }

    private func failure(_ what: String) -> ModelFileError {
        ModelFileError(.malformed, "\(path): the header is not valid at byte \(position): \(what)")
    }
}
