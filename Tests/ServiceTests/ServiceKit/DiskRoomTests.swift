internal import Foundation
internal import Logging
internal import Protocol
internal import Synchronization
internal import Testing

@testable internal import ServiceKit
@testable internal import qat_client

/// A worker whose disk is too small for a job leaves it to others and says why.
struct DiskRoomTests {
    private final class Disk: Sendable {
        let free = Mutex<UInt64>(300 << 20)
    }

    /// Seen: a disk of 300 MB, jobs with an input of 320 MB each: three attempts and `CRASH_LOOP` for every job.
    @Test func aJobThatDidNotFitIsNotTakenAgainAtOnce() throws {
        let disk = Disk()
        let room = DiskRoom(path: "/") { _ in disk.free.withLock { $0 } }
        let start = ContinuousClock.now
        #expect(room.obstacle(at: start) == nil)
        room.note(job: "0001a5d43563c94c", wanted: 320 << 20, at: start)
        let reason = try #require(room.obstacle(at: start + .seconds(1)))
        // 320 MiB that it wants, and 256 that stay free.
        #expect(room.wanted == 320 << 20)
        for word in ["300 MiB", "576 MiB", "0001a5d43563c94c"] {
            #expect(reason.contains(word), "\(reason)")
        }
        disk.free.withLock { $0 = 575 << 20 }
        #expect(room.obstacle(at: start + .seconds(2)) != nil)
        disk.free.withLock { $0 = 576 << 20 }
        #expect(room.obstacle(at: start + .seconds(3)) == nil && room.wanted == 0)
        // It is over then: what is used by the job itself is no obstacle.
        disk.free.withLock { $0 = 400 << 20 }
        #expect(room.obstacle(at: start + .seconds(4)) == nil)
    }

    /// Outputs have no size beforehand: what was free was too little, for some minutes.
    @Test func whatWasFreeWasTooLittleForAWhile() {
        let disk = Disk()
        disk.free.withLock { $0 = 2 << 30 }
        let room = DiskRoom(path: "/") { _ in disk.free.withLock { $0 } }
        let start = ContinuousClock.now
        room.note(job: "j", wanted: 1 << 20, at: start)
        #expect(room.obstacle(at: start) != nil)
        #expect(room.obstacle(at: start + .seconds(599)) != nil)
        #expect(room.obstacle(at: start + .seconds(601)) == nil)
        disk.free.withLock { $0 = 255 << 20 }
        #expect(room.obstacle(at: start + .seconds(602))?.contains("256 are needed") == true)
    }

    /// An input too large for the disk: the lease is handed back, for another worker.
    @Test(.enabled(if: FullDiskVolume.canBeMade))
    func inputsThatDoNotFitHandTheLeaseBack() async throws {
        let volume = try FullDiskVolume(byteCount: 256 << 10)
        defer { volume.remove() }
        let gateway = try LeaseGateway()
        let bytes = [UInt8](repeating: 7, count: 1 << 20)
        let digest = SHA256Digest.of(String(decoding: bytes, as: UTF8.self))
        gateway.state.withLock { $0.blobs[digest] = bytes }
        let input = Input(
            pointer: "/model",
            source: "file",
            files: [InputFile(path: "m.gguf", digest: digest, size: 1 << 20)]
        )
        let room = DiskRoom(path: volume.path) { _ in 1 << 30 }
        let end = try await gateway.run(
            "exit 1",
            inputs: [input],
            room: room,
            cache: volume.path + "/cache"
        )
        #expect(end == .reported(isDone: false))
        let told = try #require(gateway.state.withLock { $0.ends.last })
        #expect(told.outcome == .released && told.reason == "NO_DISK")
        #expect(told.message.contains("train-1") && told.message.contains("inputs"))
        #expect(room.obstacle()?.contains("job-1") == true)
    }

    /// Seen while mending: a cache may hold 64 GiB, so a smaller disk would have been full for ever.
    @Test(.enabled(if: FullDiskVolume.canBeMade))
    func inputsOfEarlierJobsMakeRoom() throws {
        let volume = try FullDiskVolume(byteCount: 1 << 20)
        defer { volume.remove() }
        for (index, name) in ["old", "linked", "new"].enumerated() {
            let path = "\(volume.path)/\(name)"
            try Data(repeating: 1, count: 256 << 10).write(to: URL(fileURLWithPath: path))
            let date = Date(timeIntervalSince1970: Double(index))
            try FileManager.default.setAttributes([.modificationDate: date], ofItemAtPath: path)
        }
        let outside = volume.path + "/job"
        try FileManager.default.createDirectory(
            atPath: outside,
            withIntermediateDirectories: true
        )
        try FileManager.default.linkItem(
            atPath: volume.path + "/linked",
            toPath: outside + "/input"
        )
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let client = RPCClient(
            configuration: RPCClientConfiguration(
                address: try ServerAddress(parsing: "127.0.0.1:1"),
                tls: TLSIdentityFiles(
                    certificatePath: "/none",
                    privateKeyPath: "/none",
                    trustRootsPath: "/none"
                ),
                expectedServerRole: "gateway"
            ),
            logger: logger
        )
        var store = InputStore(
            cacheFolder: volume.path,
            link: GatewayLink(client: client, logger: logger)
        )
        store.makeRoom(for: 300 << 10)
        // 256 KiB were free; without a reserve one file of 256 KiB has to go, the oldest.
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: volume.path).sorted()
                == ["job", "linked", "new"]
        )
        store.reserve = 300 << 10
        store.makeRoom(for: 300 << 10)
        // Removing what a job's folder links to would free nothing.
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: volume.path).sorted()
                == ["job", "linked"]
        )
    }
}
