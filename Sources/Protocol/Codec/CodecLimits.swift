/// What one message may cost to decode.
package enum CodecLimits {
    /// Longest message that any configuration may allow, in bytes.
    package static let messageByteCount = 1 << 20
    /// Memory granted whatever the message's length, in bytes; never refunded while decoding.
    package static let baseAllocationByteCount = 1 << 20
    /// Memory granted per byte on the wire.
    package static let allocationBytesPerWireByte = 8
    /// Allocations granted per message.
    package static let allocationCount = 20_000
    /// Fields that the schema does not know, per message tree.
    package static let unknownFieldCount = 64
    /// Elements of one list.
    package static let listCount = 4_096
    /// Depth of messages in messages; the schema needs four.
    package static let depth = 6
}
