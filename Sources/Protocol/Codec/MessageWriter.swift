internal import CProtobufC

/// Fills the C struct of one message by field number, for protobuf-c to pack.
///
/// It is valid only inside ``WireMessage/encode(into:)``. Wire defaults (zero, empty) are left
/// out; optional values are written whenever they are there.
public struct MessageWriter {
    let message: UnsafeMutableRawPointer
    private let descriptor: UnsafePointer<ProtobufCMessageDescriptor>
    private let arena: UnsafeMutablePointer<MessageArena>

    init(_ schema: MessageSchema, arena: UnsafeMutablePointer<MessageArena>) {
        self.descriptor = schema.descriptor
        self.arena = arena
        let byteCount = schema.descriptor.pointee.sizeof_message
        message = arena.pointee.reserve(byteCount)
        message.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
        message.storeBytes(of: schema.descriptor, as: UnsafePointer.self)
    }

    /// Writes text as UTF-8.
    public mutating func set(_ number: UInt32, _ text: String) {
        guard !text.isEmpty else { return }
        put(number, copy(text))
    }

    /// Writes a list of texts.
    public mutating func set(_ number: UInt32, _ texts: [String]) {
        putList(number, texts) { copy($0) }
    }

    /// Writes bytes.
    public mutating func set(_ number: UInt32, _ bytes: [UInt8]) {
        guard !bytes.isEmpty else { return }
        put(number, copy(bytes))
    }

    /// Writes bytes, even when empty, unless nil.
    public mutating func set(_ number: UInt32, _ bytes: [UInt8]?) {
        guard let bytes else { return }
        put(number, copy(bytes))
    }

    /// Writes a list of bytes.
    public mutating func set(_ number: UInt32, _ lists: [[UInt8]]) {
        putList(number, lists) { copy($0) }
    }

    /// Writes a digest.
    public mutating func set(_ number: UInt32, _ digest: SHA256Digest) {
        put(number, copy(digest.bytes))
    }

    /// Writes a list of digests.
    public mutating func set(_ number: UInt32, _ digests: [SHA256Digest]) {
        putList(number, digests) { copy($0.bytes) }
    }

    /// Writes an unsigned number.
    public mutating func set(_ number: UInt32, _ value: UInt32) {
        if value != 0 { put(number, value) }
    }

    /// Writes an unsigned number.
    public mutating func set(_ number: UInt32, _ value: UInt64) {
        if value != 0 { put(number, value) }
    }

    /// Writes a signed number.
    public mutating func set(_ number: UInt32, _ value: Int64) {
        if value != 0 { put(number, value) }
    }

    /// Writes a signed number unless nil.
    public mutating func set(_ number: UInt32, _ value: Int64?) {
        if let value { put(number, value) }
    }

    /// Writes a real number; only positive zero is left out.
    public mutating func set(_ number: UInt32, _ value: Double) {
        if value.bitPattern != 0 { put(number, value) }
    }

    /// Writes a real number unless nil.
    public mutating func set(_ number: UInt32, _ value: Double?) {
        if let value { put(number, value) }
    }

    /// Writes a truth value.
    public mutating func set(_ number: UInt32, _ value: Bool) {
        if value { put(number, protobuf_c_boolean(1)) }
    }

    /// Writes a case of an enumeration.
    public mutating func set<E: RawRepresentable<UInt32>>(_ number: UInt32, _ value: E) {
        put(number, value.rawValue)
    }

    /// Writes a nested message unless nil.
    public mutating func set<M: WireMessage>(_ number: UInt32, _ value: M?) {
        guard let value else { return }
        let field = descriptor.requiredField(number)
        let nested = build(value)
        message.storeBytes(
            of: nested,
            toByteOffset: Int(field.pointee.offset),
            as: type(of: nested)
        )
    }

    /// Writes a list of messages.
    public mutating func set<M: WireMessage>(_ number: UInt32, _ values: [M]) {
        putList(number, values) { build($0) }
    }

    private func build<M: WireMessage>(_ value: M) -> UnsafeMutableRawPointer {
        var nested = MessageWriter(M.schema, arena: arena)
        value.encode(into: &nested)
        return nested.message
    }

    private func put<T: BitwiseCopyable>(_ number: UInt32, _ value: T) {
        let field = descriptor.requiredField(number)
        message.storeBytes(
            of: 1,
            toByteOffset: Int(field.pointee.quantifier_offset),
            as: protobuf_c_boolean.self
        )
        message.storeBytes(of: value, toByteOffset: Int(field.pointee.offset), as: T.self)
    }

    private func putList<S, T: BitwiseCopyable>(
        _ number: UInt32,
        _ values: [S],
        _ transform: (S) -> T
    ) {
        guard !values.isEmpty else { return }
        let field = descriptor.requiredField(number)
        let stride = MemoryLayout<T>.stride
        let start = arena.pointee.reserve(values.count * stride)
        for (index, value) in values.enumerated() {
            start.storeBytes(of: transform(value), toByteOffset: index * stride, as: T.self)
        }
        let count = Int(field.pointee.quantifier_offset)
        message.storeBytes(of: values.count, toByteOffset: count, as: Int.self)
        message.storeBytes(
            of: start,
            toByteOffset: Int(field.pointee.offset),
            as: UnsafeMutableRawPointer.self
        )
    }

    private func copy(_ bytes: [UInt8]) -> ProtobufCBinaryData {
        bytes.withUnsafeBytes { copy(raw: $0) }
    }

    private func copy(_ text: String) -> ProtobufCBinaryData {
        var text = text
        return text.withUTF8 { copy(raw: UnsafeRawBufferPointer($0)) }
    }

    private func copy(raw: UnsafeRawBufferPointer) -> ProtobufCBinaryData {
        let place = arena.pointee.reserve(raw.count)
        if let source = raw.baseAddress { place.copyMemory(from: source, byteCount: raw.count) }
        let bytes = place.assumingMemoryBound(to: UInt8.self)
        return ProtobufCBinaryData(len: raw.count, data: bytes)
    }
}
