internal import Foundation
internal import Protocol
internal import Synchronization
internal import Testing

@testable internal import ServiceKit
@testable internal import qat_client

/// What a worker has on its disk is believed as long as its bytes are those of its digest.
struct InputCacheTests {
    /// Seen: a byte that had changed in the cache gave a success with other weights.
    @Test func aDamagedFileOfTheCacheIsFetchedAgain() async throws {
        let gateway = try LeaseGateway()
        let bytes = Array("the right weights".utf8)
        let digest = SHA256Digest.of("the right weights")
        gateway.state.withLock { $0.blobs[digest] = bytes }
        let file = InputFile(path: "m.gguf", digest: digest, size: UInt64(bytes.count))
        let input = Input(pointer: "/model", source: "m.gguf", files: [file])
        let cached = gateway.folder.home.path + "/cache/\(digest.hex)"
        for index in 0..<2 {
            let path = gateway.folder.home.path + "/job-\(index)/inputs/0/m.gguf"
            let script = """
                test "$(cat \(path))" = "the right weights" || exit 1
                printf '{"type":"result","json":"{}"}\\n'
                """
            let end = try await gateway.run(script, job: "job-\(index)", inputs: [input])
            #expect(end == .reported(isDone: true))
            #expect(gateway.state.withLock { $0.ends.last?.outcome } == .succeeded)
            // The same length, one byte another: the next job must not see it.
            try Data("the wrong weights".utf8).write(to: URL(fileURLWithPath: cached))
        }
    }
}
