internal import Foundation
internal import Logging
internal import Protocol
internal import Synchronization
internal import Testing

@testable internal import ServiceKit

struct CertificateWatchTests {
    /// Collects what is logged.
    private final class Lines: LogHandler, Sendable {
        let texts = Mutex<[String]>([])
        var metadata: Logger.Metadata {
            get { [:] }
            set {}
        }
        var logLevel: Logger.Level {
            get { .trace }
            set {}
        }
        subscript(metadataKey _: String) -> Logger.Metadata.Value? {
            get { nil }
            set {}
        }

        func log(event: LogEvent) {
            texts.withLock { $0.append("\(event.level) \(event.message)") }
        }
    }

    @Test func eachWarningIsToldOnce() throws {
        let folder = NSTemporaryDirectory() + "/qat-watch-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try CertificateAuthority.createAuthority(in: folder, trustDomain: "test")
        let files = try CertificateAuthority.issue(
            subject: .service(role: "train", instance: "t"),
            authorityFolder: folder,
            folder: folder,
            name: "t",
            validity: .seconds(40 * 86_400)
        )
        let lines = Lines()
        let watch = CertificateWatch(
            files: files,
            logger: Logger(label: "test", factory: { _ in lines })
        )
        let start = Date.now
        var told: [String: Int] = [:]
        var counts: [Int] = []
        for day in [0.0, 9, 11, 12, 32, 34, 38, 39.5, 39.6, 41] {
            told = watch.look(told, at: start.addingTimeInterval(day * 86_400))
            counts.append(lines.texts.withLock(\.count))
        }
        #expect(counts == [0, 0, 1, 1, 1, 2, 2, 3, 3, 4])
        let texts = lines.texts.withLock { $0 }
        #expect(texts[0].hasPrefix("warning certificate \(files.certificatePath) ends in 28 days"))
        #expect(texts[3].hasPrefix("error certificates: the certificate \(files.certificatePath)"))
    }

    @Test func anAddressThatIsEverywhereGoesByTheHostsName() {
        #expect(LeaseLoop.reachable("127.0.0.1:7001") == "127.0.0.1:7001")
        let name = ProcessInfo.processInfo.hostName.split(separator: ".").first.map(String.init)
        let text = LeaseLoop.reachable("0.0.0.0:7001")
        #expect(text.hasPrefix(name ?? "?") && text.hasSuffix(":7001"))
    }
}
