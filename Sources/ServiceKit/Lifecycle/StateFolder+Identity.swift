internal import DurableFiles
internal import Foundation

extension StateFolder {
    /// Names this folder, the same as long as it exists: made at the first call.
    ///
    /// Since one process at a time can lock the folder, whoever shows this name takes the place of a
    /// process that is gone. A copy of the folder has another name, since it is another inode.
    ///
    /// - Throws: If the file cannot be written.
    public func identity() throws -> String {
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw ServiceError(
                .inputOutput,
                "state folder \(path): \(String(cString: strerror(errno)))"
            )
        }
        return try "\(mark())-\(String(status.st_ino, radix: 16))"
    }

    /// What stands in the folder, and goes along with a copy.
    private func mark() throws -> String {
        let file = path + "/id"
        if let text = try? String(contentsOfFile: file, encoding: .utf8),
            let known = UUID(uuidString: text.trimmingCharacters(in: .whitespacesAndNewlines))
        {
            return known.uuidString.lowercased()
        }
        let new = UUID().uuidString.lowercased()
        try DurableFile.write(Array((new + "\n").utf8), to: file)
        return new
    }
}
