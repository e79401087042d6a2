internal import Foundation
package import NIOCore

extension ConnectionStateMachine {
    /// Bounds within which a peer may choose.
    private static let frameByteRange = (16 << 10)...(1 << 20)

    /// A client's first bytes: the preface and HELLO.
    package func opening() throws -> ByteBuffer {
        var bytes = ByteBuffer(bytes: Self.preface)
        let hello = Hello(
            maxFrame: UInt32(clamping: limits.frameByteCount),
            maxMessage: UInt32(clamping: limits.messageByteCount),
            connectionCredit: UInt32(clamping: limits.connectionCreditByteCount),
            streamCredit: UInt32(clamping: limits.streamCreditByteCount),
            maxStreams: UInt32(clamping: limits.runningCalls),
            pingMinMs: UInt32(clamping: limits.pingMinimum.milliseconds),
            pingTimeoutMs: UInt32(clamping: limits.pingTimeout.milliseconds),
            build: local.build,
            instanceID: local.instanceID,
            bootID: local.bootID
        )
        try bytes.writeFrame(.hello, message: hello)
        return bytes
    }

    mutating func takeHello(_ frame: Frame) throws -> Action? {
        guard side == .server, phase == .awaitingHello else {
            throw ProtocolViolation(.protocolError, "HELLO out of place")
        }
        let hello = try MessageCodec.decode(Hello.self, from: frame.payload)
        guard hello.minorMin == 0 else {
            throw ProtocolViolation(
                .versionMismatch,
                "the client speaks qatrpc 1.\(hello.minorMin) and later, the server 1.0"
            )
        }
        let peer = PeerOffer(
            frame: Int(hello.maxFrame),
            message: Int(hello.maxMessage),
            streamCredit: Int(hello.streamCredit),
            connectionCredit: Int(hello.connectionCredit),
            pingMinMs: hello.pingMinMs
        )
        let agreed = try agree(with: peer, runningCalls: limits.runningCalls)
        let acknowledgement = HelloAck(
            maxFrame: UInt32(agreed.frameByteCount),
            maxMessage: UInt32(agreed.messageByteCount),
            connectionCredit: UInt32(clamping: agreed.localConnectionCredit),
            streamCredit: UInt32(clamping: agreed.localStreamCredit),
            maxStreams: UInt32(clamping: agreed.runningCalls),
            pingMinMs: UInt32(clamping: limits.pingMinimum.milliseconds),
            pingTimeoutMs: UInt32(clamping: limits.pingTimeout.milliseconds),
            build: local.build,
            instanceID: local.instanceID,
            bootID: local.bootID,
            principal: local.peer,
            serverTimeUnixMs: Int64(Date().timeIntervalSince1970 * 1_000),
            descriptorDigest: SchemaDigest.current.bytes
        )
        var bytes = ByteBuffer()
        try bytes.writeFrame(.helloAck, message: acknowledgement)
        begin(agreed)
        return .ready(agreed, bytes)
    }

    mutating func takeHelloAck(_ frame: Frame) throws -> Action? {
        guard side == .client, phase == .awaitingHelloAck else {
            throw ProtocolViolation(.protocolError, "HELLO_ACK out of place")
        }
        let answer = try MessageCodec.decode(HelloAck.self, from: frame.payload)
        guard answer.minor == 0 else {
            throw ProtocolViolation(.versionMismatch, "the server chose qatrpc 1.\(answer.minor)")
        }
        guard answer.maxFrame <= limits.frameByteCount,
            answer.maxMessage <= limits.messageByteCount, answer.compressor.isEmpty
        else {
            throw ProtocolViolation(.protocolError, "the server chose more than was offered")
        }
        let peer = PeerOffer(
            frame: Int(answer.maxFrame),
            message: Int(answer.maxMessage),
            streamCredit: Int(answer.streamCredit),
            connectionCredit: Int(answer.connectionCredit),
            pingMinMs: answer.pingMinMs
        )
        let agreed = try agree(with: peer, runningCalls: Int(answer.maxStreams))
        begin(agreed)
        return .ready(agreed, nil)
    }

    private struct PeerOffer {
        var frame: Int
        var message: Int
        var streamCredit: Int
        var connectionCredit: Int
        var pingMinMs: UInt32
    }

    private func agree(with peer: PeerOffer, runningCalls: Int) throws -> NegotiatedLimits {
        let smallestCredit = 2 * Self.frameByteRange.lowerBound
        guard Self.frameByteRange.contains(peer.frame), peer.message > 0,
            peer.message <= CodecLimits.messageByteCount,
            (smallestCredit...ControlLimits.creditByteCount).contains(peer.streamCredit),
            (smallestCredit...ControlLimits.creditByteCount).contains(peer.connectionCredit)
        else {
            throw ProtocolViolation(
                .protocolError,
                "the peer's limits lie outside the allowed range"
            )
        }
        // Receivers hold back less than a quarter of a window: half of it always comes free, so
        // a frame must fit into half of the smallest window.
        let credits = [
            limits.streamCreditByteCount, limits.connectionCreditByteCount, peer.streamCredit,
            peer.connectionCredit,
        ]
        let frameByHalf = (credits.min() ?? smallestCredit) / 2 - FrameHeader.byteCount
        return NegotiatedLimits(
            frameByteCount: min(peer.frame, limits.frameByteCount, frameByHalf),
            messageByteCount: min(peer.message, limits.messageByteCount),
            localStreamCredit: limits.streamCreditByteCount,
            localConnectionCredit: limits.connectionCreditByteCount,
            peerStreamCredit: peer.streamCredit,
            peerConnectionCredit: peer.connectionCredit,
            runningCalls: runningCalls,
            peerPingMinimum: .milliseconds(Int64(peer.pingMinMs)),
            pingTimeout: limits.pingTimeout
        )
    }

    private mutating func begin(_ agreed: NegotiatedLimits) {
        phase = .open
        negotiated = agreed
        sendConnectionCredit = agreed.peerConnectionCredit
        decoder.frameByteLimit = max(agreed.frameByteCount, ControlLimits.controlByteCount)
        keepalive.adopt(peerMinimum: agreed.peerPingMinimum)
    }
}

extension Duration {
    /// Whole milliseconds, rounded down.
    var milliseconds: Int64 {
        components.seconds * 1_000 + components.attoseconds / 1_000_000_000_000_000
    }
}
