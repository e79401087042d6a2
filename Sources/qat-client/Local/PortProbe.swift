internal import Foundation

/// Checks that a TCP port on loopback is free.
enum PortProbe {
    /// - Throws: ``ClientError`` (`failed`) if another program listens on the port.
    static func check(port: Int) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else {
            throw ClientError(.failed, "no socket: \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        // As the gateway does: connections of an earlier run in TIME_WAIT are no hindrance.
        var isReused: Int32 = 1
        setsockopt(
            descriptor,
            SOL_SOCKET,
            SO_REUSEADDR,
            &isReused,
            socklen_t(MemoryLayout<Int32>.size)
        )
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(clamping: port).bigEndian)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else {
            let cause = errno == EADDRINUSE ? "in use" : String(cString: strerror(errno))
            throw ClientError(
                .failed,
                "port \(port) on 127.0.0.1 is not free (\(cause)); choose another with --port"
            )
        }
    }
}
