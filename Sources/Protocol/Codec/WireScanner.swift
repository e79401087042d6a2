internal import CProtobufC

/// Why bytes are refused before protobuf-c sees them.
enum WireFault: Error, CustomStringConvertible {
    case truncated
    case badTag
    case wrongType(field: UInt32)
    case repeatedSingular(field: UInt32)
    case tooManyUnknown
    case tooManyElements(field: UInt32)
    case tooDeep

    var description: String {
        switch self {
        case .truncated: "the bytes end inside a field"
        case .badTag: "a field tag is malformed"
        case .wrongType(let field): "field \(field) has the wrong wire type"
        case .repeatedSingular(let field): "field \(field) occurs twice"
        case .tooManyUnknown: "more than \(CodecLimits.unknownFieldCount) unknown fields"
        case .tooManyElements(let field):
            "field \(field) has more than \(CodecLimits.listCount) elements"
        case .tooDeep: "messages nest more than \(CodecLimits.depth) deep"
        }
    }
}

/// Walks a message once, in linear time and without memory, against its descriptor.
///
/// What passes is well formed, so protobuf-c's parser only meets the input it was written for:
/// lengths lie inside the message, a singular field occurs once (repeats of a sub-message merge
/// in quadratic time), lists, unknown fields and nesting are bounded.
struct WireScanner {
    private var bytes: UnsafeRawBufferPointer
    private var position = 0
    private var unknownCount = 0

    static func check(
        _ bytes: UnsafeRawBufferPointer,
        against schema: MessageSchema
    ) throws(WireFault) {
        var scanner = WireScanner(bytes: bytes)
        try scanner.message(schema.descriptor, end: bytes.count, depth: 1)
    }

    private init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    private mutating func message(
        _ descriptor: UnsafePointer<ProtobufCMessageDescriptor>,
        end: Int,
        depth: Int
    ) throws(WireFault) {
        guard depth <= CodecLimits.depth else { throw .tooDeep }
        // Field numbers of the schema stay below 64, so that one word tells which were seen; a
        // list is bounded by counting the run of its elements, which writers keep together.
        var seen: UInt64 = 0
        var run: (field: UInt32, count: Int) = (0, 0)
        while position < end {
            let tag = try varint(end)
            guard tag <= UInt64(UInt32.max), tag >> 3 != 0 else { throw .badTag }
            let number = UInt32(tag >> 3)
            let wireType = UInt32(tag & 7)
            guard let field = descriptor.field(number) else {
                unknownCount += 1
                guard unknownCount <= CodecLimits.unknownFieldCount else { throw .tooManyUnknown }
                try skip(wireType, end)
                continue
            }
            guard wireType == Self.wireType(field.pointee.type) else {
                throw .wrongType(field: number)
            }
            let bit: UInt64 = 1 << UInt64(number & 63)
            if field.pointee.label == PROTOBUF_C_LABEL_REPEATED {
                // A list that was left and is taken up again keeps no second count.
                guard run.field == number || seen & bit == 0 else {
                    throw .repeatedSingular(field: number)
                }
                run = run.field == number ? (number, run.count + 1) : (number, 1)
                guard run.count <= CodecLimits.listCount else {
                    throw .tooManyElements(field: number)
                }
            } else {
                guard seen & bit == 0 else { throw .repeatedSingular(field: number) }
                run = (0, 0)
            }
            seen |= bit
            try value(of: field, wireType, end, depth)
        }
    }

    private mutating func value(
        of field: UnsafePointer<ProtobufCFieldDescriptor>,
        _ wireType: UInt32,
        _ end: Int,
        _ depth: Int
    ) throws(WireFault) {
        guard field.pointee.type == PROTOBUF_C_TYPE_MESSAGE else { return try skip(wireType, end) }
        let length = try varint(end)
        guard length <= UInt64(end - position) else { throw .truncated }
        try message(field.messageDescriptor, end: position + Int(length), depth: depth + 1)
    }

    private mutating func skip(_ wireType: UInt32, _ end: Int) throws(WireFault) {
        switch wireType {
        case 0: _ = try varint(end)
        case 1: try advance(8, end)
        case 2: try advance(try varint(end), end)
        case 5: try advance(4, end)
        default: throw .badTag
        }
    }

    private mutating func advance(_ count: UInt64, _ end: Int) throws(WireFault) {
        guard count <= UInt64(end - position) else { throw .truncated }
        position += Int(count)
    }

    private mutating func varint(_ end: Int) throws(WireFault) -> UInt64 {
        var result: UInt64 = 0
        var shift: UInt64 = 0
        while position < end {
            let byte = bytes[position]
            position += 1
            guard shift < 63 || byte <= 1 else { throw .badTag }
            result |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return result }
            shift += 7
            guard shift <= 63 else { throw .badTag }
        }
        throw .truncated
    }

    private static func wireType(_ type: ProtobufCType) -> UInt32 {
        switch type {
        case PROTOBUF_C_TYPE_BYTES, PROTOBUF_C_TYPE_STRING, PROTOBUF_C_TYPE_MESSAGE: 2
        case PROTOBUF_C_TYPE_DOUBLE, PROTOBUF_C_TYPE_FIXED64, PROTOBUF_C_TYPE_SFIXED64: 1
        case PROTOBUF_C_TYPE_FLOAT, PROTOBUF_C_TYPE_FIXED32, PROTOBUF_C_TYPE_SFIXED32: 5
        default: 0
        }
    }
}
