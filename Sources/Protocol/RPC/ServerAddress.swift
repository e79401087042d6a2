/// A host and a TCP port.
public struct ServerAddress: Sendable, Hashable, CustomStringConvertible {
    /// A name or an IP address, without brackets.
    public var host: String
    /// The TCP port; 0 lets a server choose.
    public var port: Int

    /// Makes an address from its parts.
    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `host:port` or `[ipv6]:port`.
    ///
    /// - Throws: ``RPCError`` (`invalidArgument`) if the text is neither.
    public init(parsing text: String) throws {
        guard !text.contains("://") else {
            throw RPCError(.invalidArgument, "'\(text)' is a URL; write HOST:PORT without a scheme")
        }
        guard let colon = text.lastIndex(of: ":"),
            let port = Int(text[text.index(after: colon)...]), (0...65_535).contains(port)
        else {
            throw RPCError(.invalidArgument, "'\(text)' is no address; write HOST:PORT")
        }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            throw RPCError(.invalidArgument, "'\(text)': write an IPv6 address as [ADDRESS]:PORT")
        }
        guard !host.isEmpty else {
            throw RPCError(.invalidArgument, "'\(text)' names no host; write HOST:PORT")
        }
        self.init(host: String(host), port: port)
    }

    /// The address as `host:port`.
    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
