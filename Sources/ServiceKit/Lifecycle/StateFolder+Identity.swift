internal import DurableFiles
internal import Foundation

extension StateFolder {
    /// Names this folder, the same as long as it exists: made at the first call.
    ///
    /// Since one process at a time can lock the folder, whoever shows this name takes the place of a
    /// process that is gone.
    ///
    /// - Throws: If the file cannot be written.
    public func identity() throws -> String {
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
