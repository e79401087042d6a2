/// Sends the messages of one stream.
public struct StreamWriter<Message: WireMessage>: Sendable {
    let stream: CallStream

    /// Sends `message`; waits while the receiver is behind.
    ///
    /// - Throws: ``RPCError`` if the stream is over, the message too long, or the task cancelled.
    public func write(_ message: Message) async throws {
        try await stream.send(message)
    }
}
