internal import DurableFiles
internal import Foundation
internal import Testing

/// A file is there whole, as its readers may have it, whatever an earlier writer left behind.
struct DurableFileTests {
    private let folder: Folder

    init() throws { folder = try Folder() }

    private final class Folder {
        let path = NSTemporaryDirectory() + "qat-durable-" + UUID().uuidString

        init() throws {
            try FileManager.default.createDirectory(
                atPath: path,
                withIntermediateDirectories: true
            )
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }

        var names: [String] {
            ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
        }
    }

    private var path: String { folder.path + "/file" }

    private func content() -> [UInt8]? {
        FileManager.default.contents(atPath: path).map { [UInt8]($0) }
    }

    private func mode() throws -> mode_t {
        var status = stat()
        try #require(stat(path, &status) == 0)
        return status.st_mode & 0o777
    }

    @Test(arguments: [(DurableFile.Readers.owner, mode_t(0o600)), (.everybody, 0o644)])
    func aFileHasItsModeWhateverWasThere(readers: DurableFile.Readers, mode: mode_t) throws {
        for old in [nil, mode_t(0o600), 0o666] {
            for name in [path, path + ".tmp"] {
                unlink(name)
                guard let old else { continue }
                try Data("an older and longer content".utf8).write(to: URL(filePath: name))
                try #require(chmod(name, old) == 0)
            }
            try DurableFile.write([1, 2, 3], to: path, readers: readers)
            #expect(content() == [1, 2, 3])
            // Under the mask that tests run under, which takes from a group and others at most.
            let found = try self.mode()
            #expect(found & 0o600 == 0o600 && found & ~mode == 0)
            #expect(folder.names == ["file"])
        }
    }

    @Test func whatIsNotCommittedLeavesNothing() throws {
        try DurableFile.write([1], to: path)
        do {
            let file = try DurableFile(path: path)
            try file.append([2, 3])
            try file.synchronize()
            #expect(content() == [1])
        }
        #expect(content() == [1])
        #expect(folder.names == ["file"])
        // The next writer need not wait for whoever still refers to one that was given up.
        let abandoned = try DurableFile(path: path)
        abandoned.discard()
        try DurableFile.write([4], to: path)
        for file in [abandoned, try DurableFile(path: path)] {
            try? file.commit()
            #expect(throws: DurableFileError.self) { try file.append([5]) }
            #expect(throws: DurableFileError.self) { try file.commit() }
        }
        #expect(content() == [])
        #expect(folder.names == ["file"])
    }

    @Test func piecesMakeAFileWithZeroesBetween() throws {
        let file = try DurableFile(path: path)
        try file.append([1, 2])
        try file.append([3])
        try [UInt8](arrayLiteral: 9).withUnsafeBytes { try file.write($0, at: 5) }
        try file.extend(to: 8)
        try file.extend(to: 4)
        try file.commit()
        #expect(content() == [1, 2, 3, 0, 0, 9, 0, 0])
    }

    /// A link to another's file, one to nothing, and a FIFO that nobody writes.
    @Test func whatIsPlantedAsideIsReplacedAndNotFollowed() throws {
        let other = folder.path + "/other"
        try Data("other".utf8).write(to: URL(filePath: other))
        let aside = path + ".tmp"
        let plants: [() -> Int32] = [
            { symlink(other, aside) }, { symlink("/nowhere/at/all", aside) },
            { mkfifo(aside, 0o600) },
        ]
        for plant in plants {
            try #require(plant() == 0)
            try DurableFile.write([7], to: path)
            #expect(content() == [7])
            #expect(FileManager.default.contents(atPath: other) == Data("other".utf8))
            #expect(folder.names == ["file", "other"])
        }
    }

    @Test func writersOfOneFileTakeTurns() async throws {
        let path = path
        await withTaskGroup(of: Void.self) { group in
            for writer in UInt8(1)...8 {
                group.addTask {
                    for _ in 0..<20 {
                        #expect(throws: Never.self) {
                            try DurableFile.write(.init(repeating: writer, count: 9_999), to: path)
                        }
                    }
                }
            }
        }
        let found = try #require(content())
        #expect(found.count == 9_999 && Set(found).count == 1)
        #expect(folder.names == ["file"])
    }

    @Test func aRefusalNamesTheFileAndTheReason() throws {
        let missing = folder.path + "/no/file"
        let error = #expect(throws: DurableFileError.self) {
            try DurableFile.write([1], to: missing)
        }
        #expect(error?.description == "\(missing).tmp: create: No such file or directory")
        // As Foundation's own errors are read.
        let bridged = try #require(error) as NSError
        #expect(bridged.domain == NSPOSIXErrorDomain && bridged.code == Int(ENOENT))
        #expect(bridged.userInfo[NSFilePathErrorKey] as? String == missing + ".tmp")
        // Root writes everywhere; nobody has /dev/full to write to durably.
        try #require(mkdir(path, 0o700) == 0)
        #expect(throws: DurableFileError.self) { try DurableFile.write([1], to: path) }
        #expect(folder.names == ["file"])
    }

    @Test func aMoveReplacesAFileAndTakesAFolder() throws {
        try DurableFile.write([1], to: path)
        try DurableFile.write([2], to: folder.path + "/new")
        try DurableFile.move(folder.path + "/new", to: path)
        #expect(content() == [2])
        try #require(mkdir(folder.path + "/.tmp-a", 0o700) == 0)
        try DurableFile.move(folder.path + "/.tmp-a", to: folder.path + "/a")
        #expect(folder.names == ["a", "file"])
        #expect(throws: DurableFileError.self) {
            try DurableFile.move(folder.path + "/none", to: path)
        }
        #expect(content() == [2])
    }
}
