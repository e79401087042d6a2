internal import NIOCore
internal import Testing

@testable internal import Protocol

struct SocketFaultTests {
    /// Seen: `read(descriptor:pointer:size:): Connection reset by peer) (errno: 104)`.
    ///
    /// The words are strerror(3)'s.
    @Test func saysWhatTheSystemSays() {
        let error = IOError(errnoCode: 104, reason: "read(descriptor:pointer:size:)")
        #expect(SocketFault.text(of: error) == "Connection reset by peer")
        #expect(SocketFault.text(of: RPCError(.internal, "x")).contains("x"))
    }
}
