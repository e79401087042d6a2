@testable internal import DurableFiles
internal import Foundation
internal import Testing

/// Names of files beside others stay within what file systems take: 255 bytes (`NAME_MAX` of Linux).
///
/// Seen: a download of a name above 237 bytes failed with "File name too long".
@Suite struct AsideNameTests {
    private static let suffix = ".0123456789ab.part"

    private static func last(_ path: String) -> String {
        String(path.split(separator: "/").last ?? "")
    }

    @Test(arguments: [1, 236, 237, 238, 254, 255])
    func aNameOfAnyLengthHasRoomForItsSuffix(count: Int) {
        for letter in ["a", "é", "本", "😀"] {
            let size = letter.utf8.count
            let rest = String(repeating: "b", count: count % size)
            let name = String(repeating: letter, count: count / size) + rest
            let aside = AsideName.path("folder/\(name)", suffix: Self.suffix)
            #expect(aside.hasPrefix("folder/") && aside.hasSuffix(Self.suffix))
            #expect(Self.last(aside).utf8.count <= 255)
            // As it always was where there is room.
            #expect((aside == "folder/\(name)" + Self.suffix) == (count <= 237), "\(count)")
            // No part of a letter: what is there are letters of the name.
            #expect(!aside.unicodeScalars.contains("\u{FFFD}"))
            #expect(aside == AsideName.path("folder/\(name)", suffix: Self.suffix))
        }
    }

    @Test func namesOfOneBeginningAreApart() {
        let names = (0..<100).map { String(repeating: "n", count: 252) + String($0 + 100) }
        let asides = Set(names.map { AsideName.path($0, suffix: ".tmp") })
        #expect(asides.count == names.count)
    }

    @Test func onlyTheLastPartIsCut() {
        let folder = String(repeating: "f", count: 255)
        #expect(AsideName.path("/\(folder)/a", suffix: ".tmp") == "/\(folder)/a.tmp")
        #expect(AsideName.path("a", suffix: ".tmp") == "a.tmp")
        #expect(AsideName.path("", suffix: ".tmp") == ".tmp")
    }

    /// Every writer of durable files: what is written, replaced and left by a crash.
    @Test(arguments: [250, 251, 252, 255])
    func aFileOfALongNameIsWrittenAndReplaced(count: Int) throws {
        let folder = NSTemporaryDirectory() + "qat-aside-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let name = String(repeating: "n", count: count)
        let path = folder + "/" + name
        try Data("left".utf8).write(to: URL(filePath: AsideName.path(path, suffix: ".tmp")))
        for bytes in [[1, 2, 3], [4]] as [[UInt8]] {
            try DurableFile.write(bytes, to: path)
            #expect(FileManager.default.contents(atPath: path) == Data(bytes))
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [name])
        }
    }
}
