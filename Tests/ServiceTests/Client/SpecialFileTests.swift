internal import Foundation
internal import Protocol
internal import Testing

@testable internal import qat_client

/// Files that have no end, or never begin.
@Suite struct SpecialFileTests {
    private let home: TemporaryHome

    init() throws { home = try TemporaryHome() }

    private func pipe() throws -> String {
        let path = home.home.path + "/pipe"
        try #require(mkfifo(path, 0o600) == 0)
        return path
    }

    /// Seen: `artifacts put /dev/zero`, and a verify that met a FIFO, never ended.
    @Test func digestsAreOfRegularFilesAlone() throws {
        for path in ["/dev/zero", "/dev/null", try pipe(), home.home.path] {
            let error = #expect(throws: RPCError.self) { try SHA256Digest.digest(ofFile: path) }
            #expect(error?.message == "\(path) is no regular file")
        }
    }

    /// Seen: a download over a FIFO hung without a word.
    @Test func nothingIsDownloadedOntoThem() throws {
        let link = home.home.path + "/link"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: try pipe())
        for path in ["/dev/full", link, home.home.path] {
            #expect(BlobDownloader.place(of: .of("x"), size: 1, at: path) == .special)
        }
    }
}
