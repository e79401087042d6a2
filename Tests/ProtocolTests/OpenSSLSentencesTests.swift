internal import Foundation
internal import Testing

@testable internal import Protocol

/// What OpenSSL says of files is said once.
struct OpenSSLSentencesTests {
    /// Seen: `No such file or directory; no such file`.
    @Test func aMissingFileIsMissingOnce() {
        let path = NSTemporaryDirectory() + "qat-none-" + UUID().uuidString
        let expected = "cannot open \(path): No such file or directory"
        let key = #expect(throws: RPCError.self) { try PrivateKey(path: path) }
        let certificate = #expect(throws: RPCError.self) { try Certificate(path: path) }
        #expect(key?.message == expected)
        #expect(certificate?.message == expected)
        let folder = #expect(throws: RPCError.self) { try PrivateKey(path: path + "/none") }
        #expect(folder?.message == "cannot open \(path)/none: No such file or directory")
    }
}
