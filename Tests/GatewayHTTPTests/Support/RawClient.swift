internal import Foundation
internal import JobSpecs
internal import NIOCore
internal import NIOPosix

@testable internal import Gateway

/// An answer as it came over the wire.
struct RawReply: Sendable {
    var status = 0
    var headers: [String: String] = [:]
    var body: [UInt8] = []

    var text: String { String(decoding: body, as: UTF8.self) }

    /// The body as JSON; null if it is none.
    var json: JSONValue {
        (try? JSONParser.value(of: body, name: "the answer", byteLimit: .max)) ?? .null
    }

    /// The events of a stream, `[DONE]` as a string.
    var events: [JSONValue] {
        text.split(separator: "\n\n").map { line in
            let data = line.dropFirst("data: ".count)
            return (try? JSONParser.parse(Array(data.utf8)).value) ?? .string(String(data))
        }
    }
}

/// A client that sends the bytes that it is given, and reads what comes back.
struct RawClient: Sendable {
    struct Incomplete: Error {}

    let port: Int

    /// A connection, for as long as `body` runs; dropped without a word afterwards.
    func connect<Value: Sendable>(
        _ body: @Sendable (inout RawConnection) async throws -> Value
    ) async throws -> Value {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(
                        wrappingChannelSynchronously: channel
                    )
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            var connection = RawConnection(inbound.makeAsyncIterator(), outbound)
            return try await body(&connection)
        }
    }

    /// Sends bytes and reads one answer.
    func send(_ bytes: [UInt8]) async throws -> RawReply {
        try await connect { connection in
            try await connection.write(bytes)
            return try await connection.reply()
        }
    }

    /// Sends a request and reads the answer.
    func send(
        _ method: String,
        _ path: String,
        _ body: String? = nil,
        token: String? = HTTPFixture.token,
        headers: [String: String] = [:]
    ) async throws -> RawReply {
        try await send(Self.request(method, path, body, token: token, headers: headers))
    }

    /// A request as bytes.
    static func request(
        _ method: String,
        _ path: String,
        _ body: String? = nil,
        token: String? = HTTPFixture.token,
        headers: [String: String] = [:]
    ) -> [UInt8] {
        var fields = ["Host": "test"]
        if let token { fields["Authorization"] = "Bearer \(token)" }
        if let body {
            fields["Content-Type"] = "application/json"
            fields["Content-Length"] = "\(body.utf8.count)"
        }
        fields.merge(headers) { $1 }
        let lines = fields.map { "\($0): \($1)\r\n" }.joined()
        return Array("\(method) \(path) HTTP/1.1\r\n\(lines)\r\n\(body ?? "")".utf8)
    }
}

/// One connection of a ``RawClient``.
struct RawConnection {
    private var inbound: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
    private let outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    private var buffer: [UInt8] = []

    init(
        _ inbound: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator,
        _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    ) {
        self.inbound = inbound
        self.outbound = outbound
    }

    func write(_ bytes: [UInt8]) async throws { try await outbound.write(ByteBuffer(bytes: bytes)) }

    /// Reads until some bytes were seen; returns all that came.
    @discardableResult
    mutating func read(until text: String) async throws -> [UInt8] {
        while buffer.firstRange(of: Array(text.utf8)) == nil { try await more() }
        defer { buffer = [] }
        return buffer
    }

    /// Whether the server closed the connection without another byte.
    mutating func isClosed() async -> Bool {
        guard buffer.isEmpty else { return false }
        do { return try await inbound.next() == nil } catch { return true }
    }

    /// Reads one answer; informational ones are skipped.
    mutating func reply() async throws -> RawReply {
        let end = Array("\r\n\r\n".utf8)
        while true {
            while buffer.firstRange(of: end) == nil { try await more() }
            guard let range = buffer.firstRange(of: end) else { throw RawClient.Incomplete() }
            let lines = String(decoding: buffer[..<range.lowerBound], as: UTF8.self)
                .components(separatedBy: "\r\n")
            buffer.removeSubrange(..<range.upperBound)
            var reply = RawReply(status: Int(lines[0].split(separator: " ")[1]) ?? 0)
            for line in lines.dropFirst() {
                let parts = line.split(separator: ":", maxSplits: 1)
                reply.headers[parts[0].lowercased()] = parts[1].trimmingCharacters(in: .whitespaces)
            }
            if reply.status == 100 { continue }
            try await readBody(&reply)
            return reply
        }
    }

    private mutating func readBody(_ reply: inout RawReply) async throws {
        if let count = reply.headers["content-length"].flatMap({ Int($0) }) {
            reply.body = try await take(count)
        } else if reply.headers["transfer-encoding"] == "chunked" {
            while true {
                let line = try await takeLine()
                guard let count = Int(line, radix: 16) else { throw RawClient.Incomplete() }
                reply.body += try await take(count)
                _ = try await take(2)
                if count == 0 { return }
            }
        } else {
            while true {
                do { try await more() } catch { break }
            }
            reply.body = buffer
            buffer = []
        }
    }

    private mutating func take(_ count: Int) async throws -> [UInt8] {
        while buffer.count < count { try await more() }
        defer { buffer.removeFirst(count) }
        return Array(buffer.prefix(count))
    }

    private mutating func takeLine() async throws -> String {
        while buffer.firstRange(of: Array("\r\n".utf8)) == nil { try await more() }
        let range = buffer.firstRange(of: Array("\r\n".utf8)) ?? 0..<0
        defer { buffer.removeSubrange(..<range.upperBound) }
        return String(decoding: buffer[..<range.lowerBound], as: UTF8.self)
    }

    private mutating func more() async throws {
        guard let piece = try await inbound.next() else { throw RawClient.Incomplete() }
        buffer += piece.readableBytesView
    }
}
