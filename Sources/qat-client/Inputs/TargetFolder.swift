internal import Foundation

/// Folders that verbs write to or read from: what stands there must be one.
enum TargetFolder {
    /// Refuses a path that is, or leads through, something other than a folder.
    ///
    /// `option`: What the path was given by, such as `--to`; nil where it is no one's choice.
    ///
    /// - Throws: ``ClientError`` (`usage`), before anything is asked for or written.
    static func check(_ path: String, option: String? = nil) throws {
        guard let obstacle = obstacle(path) else { return }
        let what = obstacle.isFile ? "a file" : "no folder"
        let advice =
            option.map { "; \($0) takes a folder, which is made if it is not there" }
            ?? "; a folder is wanted there: move it, or choose another place"
        throw ClientError(.usage, "\(obstacle.path) is \(what)\(advice)")
    }

    /// What stands in the way: the first part of a path that is there and is no folder.
    static func obstacle(_ path: String) -> (path: String, isFile: Bool)? {
        var place = path
        while !place.isEmpty {
            var status = stat()
            if stat(place, &status) == 0 {
                guard status.st_mode & S_IFMT != S_IFDIR else { return nil }
                return (place, status.st_mode & S_IFMT == S_IFREG)
            }
            // A link that leads nowhere is in the way, too.
            if lstat(place, &status) == 0 { return (place, false) }
            let parent = (place as NSString).deletingLastPathComponent
            guard parent != place else { return nil }
            place = parent
        }
        return nil
    }
}
