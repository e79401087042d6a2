internal import CProtobufC

/// Reads the fields of one decoded message by number.
///
/// It is valid only inside ``WireMessage/init(from:)``; every value it returns is a copy.
public struct MessageReader {
    private let message: UnsafeRawPointer
    private let descriptor: UnsafePointer<ProtobufCMessageDescriptor>

    init(_ message: UnsafeRawPointer, _ schema: MessageSchema) {
        self.message = message
        self.descriptor = schema.descriptor
    }

    /// Text that is UTF-8 without NUL; empty when absent.
    public func text(_ number: UInt32) throws -> String {
        try Self.text(binary(number), descriptor, number)
    }

    /// Every text of a list.
    public func texts(_ number: UInt32) throws -> [String] {
        try list(number, of: ProtobufCBinaryData.self) {
            try Self.text(UnsafeRawBufferPointer(start: $0.data, count: $0.len), descriptor, number)
        }
    }

    /// Bytes; empty when absent.
    public func bytes(_ number: UInt32) -> [UInt8] { [UInt8](binary(number)) }

    /// Bytes, or nil when absent.
    public func optionalBytes(_ number: UInt32) -> [UInt8]? {
        isPresent(number) ? [UInt8](binary(number)) : nil
    }

    /// The bytes of every element of a list.
    public func byteLists(_ number: UInt32) throws -> [[UInt8]] {
        try list(number, of: ProtobufCBinaryData.self) {
            [UInt8](UnsafeRawBufferPointer(start: $0.data, count: $0.len))
        }
    }

    /// A digest of exactly 32 bytes; ``SHA256Digest/zero`` when absent.
    public func digest(_ number: UInt32) throws -> SHA256Digest {
        try Self.digest(binary(number), descriptor, number)
    }

    /// Every digest of a list.
    public func digests(_ number: UInt32) throws -> [SHA256Digest] {
        try list(number, of: ProtobufCBinaryData.self) {
            let value = UnsafeRawBufferPointer(start: $0.data, count: $0.len)
            return try Self.digest(value, descriptor, number)
        }
    }

    /// An unsigned number; 0 when absent.
    public func uint32(_ number: UInt32) -> UInt32 { value(number) ?? 0 }
    /// An unsigned number; 0 when absent.
    public func uint64(_ number: UInt32) -> UInt64 { value(number) ?? 0 }
    /// A signed number; 0 when absent.
    public func int64(_ number: UInt32) -> Int64 { value(number) ?? 0 }
    /// A signed number, or nil when absent.
    public func optionalInt64(_ number: UInt32) -> Int64? { value(number) }
    /// A real number; 0 when absent.
    public func double(_ number: UInt32) -> Double { value(number) ?? 0 }
    /// A real number, or nil when absent.
    public func optionalDouble(_ number: UInt32) -> Double? { value(number) }
    /// A truth value; false when absent.
    public func bool(_ number: UInt32) -> Bool { (value(number) ?? Int32(0)) != 0 }

    /// A case of a closed enumeration.
    ///
    /// - Throws: ``RPCError`` (`invalidArgument`) if the number names no case.
    public func enumeration<E: RawRepresentable<UInt32>>(_ number: UInt32) throws -> E {
        let raw: UInt32 = value(number) ?? 0
        guard let known = E(rawValue: raw) else {
            throw Self.refusal(descriptor, number, "names no known case (\(raw))")
        }
        return known
    }

    /// A nested message, or nil when absent.
    public func message<M: WireMessage>(_ number: UInt32) throws -> M? {
        let field = descriptor.requiredField(number)
        let slot = message.load(
            fromByteOffset: Int(field.pointee.offset),
            as: UnsafeRawPointer?.self
        )
        return try slot.map { try M(from: MessageReader($0, M.schema)) }
    }

    /// Every message of a list.
    public func messages<M: WireMessage>(_ number: UInt32) throws -> [M] {
        try list(number, of: UnsafeRawPointer.self) { try M(from: MessageReader($0, M.schema)) }
    }

    private func isPresent(_ number: UInt32) -> Bool {
        let field = descriptor.requiredField(number)
        let offset = Int(field.pointee.quantifier_offset)
        return message.load(fromByteOffset: offset, as: protobuf_c_boolean.self) != 0
    }

    private func value<T: BitwiseCopyable>(_ number: UInt32) -> T? {
        guard isPresent(number) else { return nil }
        let field = descriptor.requiredField(number)
        return message.load(fromByteOffset: Int(field.pointee.offset), as: T.self)
    }

    private func binary(_ number: UInt32) -> UnsafeRawBufferPointer {
        guard isPresent(number) else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        let field = descriptor.requiredField(number)
        let offset = Int(field.pointee.offset)
        let data = message.load(fromByteOffset: offset, as: ProtobufCBinaryData.self)
        return UnsafeRawBufferPointer(start: data.data, count: data.len)
    }

    private func list<Element, T>(
        _ number: UInt32,
        of type: Element.Type,
        _ transform: (Element) throws -> T
    ) throws -> [T] {
        let field = descriptor.requiredField(number)
        let count = message.load(
            fromByteOffset: Int(field.pointee.quantifier_offset),
            as: Int.self
        )
        let start = message.load(
            fromByteOffset: Int(field.pointee.offset),
            as: UnsafeRawPointer?.self
        )
        guard let start, count > 0 else { return [] }
        let elements = UnsafeBufferPointer(
            start: start.assumingMemoryBound(to: type),
            count: count
        )
        return try elements.map(transform)
    }
}

extension MessageReader {
    private static func text(
        _ bytes: UnsafeRawBufferPointer,
        _ descriptor: UnsafePointer<ProtobufCMessageDescriptor>,
        _ number: UInt32
    ) throws -> String {
        if bytes.isEmpty { return "" }
        guard !bytes.contains(0) else {
            throw refusal(descriptor, number, "contains a NUL byte")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw refusal(descriptor, number, "is not UTF-8")
        }
        return text
    }

    private static func digest(
        _ bytes: UnsafeRawBufferPointer,
        _ descriptor: UnsafePointer<ProtobufCMessageDescriptor>,
        _ number: UInt32
    ) throws -> SHA256Digest {
        if bytes.isEmpty { return .zero }
        guard let digest = SHA256Digest(bytes: bytes) else {
            throw refusal(descriptor, number, "has \(bytes.count) bytes; a SHA-256 digest has 32")
        }
        return digest
    }

    private static func refusal(
        _ descriptor: UnsafePointer<ProtobufCMessageDescriptor>,
        _ number: UInt32,
        _ fault: String
    ) -> RPCError {
        let message = String(cString: descriptor.pointee.short_name)
        let field = String(cString: descriptor.requiredField(number).pointee.name)
        let violation = FieldViolation(path: field, description: fault)
        return RPCError(
            .invalidArgument,
            "\(message).\(field) \(fault)",
            violations: [violation]
        )
    }
}
