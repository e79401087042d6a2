internal import Foundation

/// The links on the way to files: what a root folder that holds only the files themselves needs beside them.
struct SymbolicLinks: Sendable, Hashable {
    /// Targets by the links' own paths, in which no part is a link.
    private(set) var targets: [String: String] = [:]

    private static let maximumCount = 40

    /// Goes along a path, notes the links on it, and returns the path without links; nil where nothing is there.
    mutating func follow(_ path: String) -> String? {
        var left = Array(path.split(separator: "/").map(String.init).reversed())
        var found: [String] = []
        var count = 0
        while let part = left.popLast() {
            if part == "." { continue }
            if part == ".." {
                _ = found.popLast()
                continue
            }
            let place = "/" + (found + [part]).joined(separator: "/")
            var status = stat()
            guard lstat(place, &status) == 0 else { return nil }
            guard status.st_mode & S_IFMT == S_IFLNK else {
                found.append(part)
                continue
            }
            count += 1
            guard count <= Self.maximumCount,
                let target = try? FileManager.default.destinationOfSymbolicLink(atPath: place)
            else { return nil }
            targets[place] = target
            if target.hasPrefix("/") { found = [] }
            left += target.split(separator: "/").map(String.init).reversed()
        }
        return "/" + found.joined(separator: "/")
    }

    /// Those that lie beneath none of the folders, path and target in turn.
    func outside(_ folders: [String]) -> [String] {
        targets.sorted { $0.key < $1.key }
            .filter { link in !folders.contains { link.key.hasPrefix($0 + "/") } }
            .flatMap { [$0.key, $0.value] }
    }
}
