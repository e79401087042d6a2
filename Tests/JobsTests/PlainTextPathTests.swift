internal import Jobs
internal import Testing

/// Relative paths as file systems see them: by bytes, whatever the characters.
struct PlainTextPathTests {
    /// An accent behind a slash, or a letter that joins what follows, makes one character of both.
    @Test(arguments: [
        "../x", "..", "a/../b", "/a", "a//b", "a/", "./a", "a/.", "", "a\\b",
        "../\u{301}x", "/\u{301}etc", "a//\u{301}b", "a\\\u{301}b", "./\u{301}q",
        "../\u{301}x\u{D4E}/../.ssh/authorized_keys", "a/\u{D4E}/../b",
    ])
    func pathsThatLeaveTheirFolderAreRefused(path: String) {
        #expect(PlainText.pathFault(in: path, byteLimit: 1024) != nil)
    }

    @Test(arguments: ["a", "a/b.c", "café/x", "cafe\u{301}/x", "a/\u{301}b", "..a/b..", "模型/重み"])
    func otherPathsAreTaken(path: String) {
        #expect(PlainText.pathFault(in: path, byteLimit: 1024) == nil)
    }

    @Test func partsAreWhatStandsBetweenSlashes() {
        let parts = PlainText.parts(ofPath: "a/\u{301}b//\u{D4E}/c")
        #expect(
            parts.map { Array($0.utf8) }
                == ["a", "\u{301}b", "", "\u{D4E}", "c"].map { Array($0.utf8) }
        )
    }
}
