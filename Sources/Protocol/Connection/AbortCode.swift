/// Why a connection was ended at once: which rule the peer broke.
package enum AbortCode: UInt32, Sendable {
    case protocolError = 1
    case frameTooLarge
    case unimplemented
    case flowControl
    case messageTooLarge
    case handshakeTimeout
    case versionMismatch
    case keepaliveTimeout
    case tooManyControlFrames
    case unauthorized
    case internalError
}

/// Why a connection takes no more calls.
package enum GoAwayReason: UInt32, Sendable {
    case shutdown = 1
    case tooManyPings
    case connectionAge
}

/// A broken rule of the protocol, found by the state machine.
package struct ProtocolViolation: Error, Sendable, Equatable {
    package var code: AbortCode
    package var message: String

    package init(_ code: AbortCode, _ message: String) {
        self.code = code
        self.message = message
    }
}
