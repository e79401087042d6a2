internal import CWire

/// Opens a call; may carry its first message.
package struct CallEnvelope: WireMessage, Equatable {
    /// `qat.v1.Service/Method`, at most 128 bytes.
    package var method: String
    /// Time the caller will wait; 0 means no limit (streams only).
    package var timeoutMs: UInt64
    /// 16 bytes that name the call in logs.
    package var callID: [UInt8]
    /// At most 64 bytes; a call with a key may be repeated.
    package var idempotencyKey: String
    /// Number of this attempt, from 1.
    package var attempt: UInt32
    /// W3C trace context; may be empty.
    package var traceparent: String
    /// The user a gateway acts for; only gateways may set it.
    package var onBehalfOf: String
    /// At most 32 entries and 8 KiB.
    package var metadata: [CallMetadata]
    /// Whether BLOB frames follow.
    package var expectsBlob: Bool
    /// The first message, when it fits.
    package var message: [UInt8]?

    /// Makes a message; every field has its wire default.
    package init(
        method: String = "",
        timeoutMs: UInt64 = 0,
        callID: [UInt8] = [],
        idempotencyKey: String = "",
        attempt: UInt32 = 0,
        traceparent: String = "",
        onBehalfOf: String = "",
        metadata: [CallMetadata] = [],
        expectsBlob: Bool = false,
        message: [UInt8]? = nil
    ) {
        self.method = method
        self.timeoutMs = timeoutMs
        self.callID = callID
        self.idempotencyKey = idempotencyKey
        self.attempt = attempt
        self.traceparent = traceparent
        self.onBehalfOf = onBehalfOf
        self.metadata = metadata
        self.expectsBlob = expectsBlob
        self.message = message
    }

    /// The schema's name for this message.
    package static let schema = MessageSchema(qat_schema_call_envelope())

    /// Reads the fields.
    package init(from reader: MessageReader) throws {
        method = try reader.text(1)
        timeoutMs = reader.uint64(2)
        callID = reader.bytes(3)
        idempotencyKey = try reader.text(4)
        attempt = reader.uint32(5)
        traceparent = try reader.text(6)
        onBehalfOf = try reader.text(7)
        metadata = try reader.messages(8)
        expectsBlob = reader.bool(9)
        message = reader.optionalBytes(10)
    }

    /// Writes the fields.
    package func encode(into writer: inout MessageWriter) {
        writer.set(1, method)
        writer.set(2, timeoutMs)
        writer.set(3, callID)
        writer.set(4, idempotencyKey)
        writer.set(5, attempt)
        writer.set(6, traceparent)
        writer.set(7, onBehalfOf)
        writer.set(8, metadata)
        writer.set(9, expectsBlob)
        writer.set(10, message)
    }
}

/// Ends a call.
package struct CallStatus: WireMessage, Equatable {
    /// 0 for success, then the numbering of gRPC.
    package var code: UInt32
    /// What the caller should do: see `RPCError.Category`.
    package var category: UInt32
    /// Whether the handler ran: see `RPCError.Processed`.
    package var processed: UInt32
    /// When to try again; -1 means never.
    package var retryAfterMs: Int64?
    /// At most 1 KiB.
    package var message: String
    /// Fields that were refused; at most 4 KiB in all.
    package var violations: [FieldViolation]

    /// Makes a message; every field has its wire default.
    package init(
        code: UInt32 = 0,
        category: UInt32 = 0,
        processed: UInt32 = 0,
        retryAfterMs: Int64? = nil,
        message: String = "",
        violations: [FieldViolation] = []
    ) {
        self.code = code
        self.category = category
        self.processed = processed
        self.retryAfterMs = retryAfterMs
        self.message = message
        self.violations = violations
    }

    /// The schema's name for this message.
    package static let schema = MessageSchema(qat_schema_call_status())

    /// Reads the fields.
    package init(from reader: MessageReader) throws {
        code = reader.uint32(1)
        category = reader.uint32(2)
        processed = reader.uint32(3)
        retryAfterMs = reader.optionalInt64(4)
        message = try reader.text(5)
        violations = try reader.messages(6)
    }

    /// Writes the fields.
    package func encode(into writer: inout MessageWriter) {
        writer.set(1, code)
        writer.set(2, category)
        writer.set(3, processed)
        writer.set(4, retryAfterMs)
        writer.set(5, message)
        writer.set(6, violations)
    }
}

/// Announces that a connection takes no more calls.
package struct GoAway: WireMessage, Equatable {
    /// Highest stream that will be served.
    package var lastStream: UInt32
    /// Why: see `GoAwayReason`.
    package var reason: UInt32
    /// How long running calls may take.
    package var drainMs: UInt32
    /// How long to stay away; 0 when not said.
    package var retryAfterMs: UInt32
    /// The reason as a sentence.
    package var message: String

    /// Makes a message; every field has its wire default.
    package init(
        lastStream: UInt32 = 0,
        reason: UInt32 = 0,
        drainMs: UInt32 = 0,
        retryAfterMs: UInt32 = 0,
        message: String = ""
    ) {
        self.lastStream = lastStream
        self.reason = reason
        self.drainMs = drainMs
        self.retryAfterMs = retryAfterMs
        self.message = message
    }

    /// The schema's name for this message.
    package static let schema = MessageSchema(qat_schema_go_away())

    /// Reads the fields.
    package init(from reader: MessageReader) throws {
        lastStream = reader.uint32(1)
        reason = reader.uint32(2)
        drainMs = reader.uint32(3)
        retryAfterMs = reader.uint32(4)
        message = try reader.text(5)
    }

    /// Writes the fields.
    package func encode(into writer: inout MessageWriter) {
        writer.set(1, lastStream)
        writer.set(2, reason)
        writer.set(3, drainMs)
        writer.set(4, retryAfterMs)
        writer.set(5, message)
    }
}
