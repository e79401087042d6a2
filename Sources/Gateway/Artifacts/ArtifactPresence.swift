internal import Foundation
internal import Protocol

/// Whether a folder of artifacts is the one that the database refers to: a mount that did not come looks like a
/// store that holds nothing.
enum ArtifactPresence {
    /// A file in the folder by which an operator says that what is gone is gone.
    static let acceptance = "accepted-gaps"

    /// Checks, before anything is made in the folder, that it is not empty or missing while jobs have files in it.
    ///
    /// `referenced`: One of the artifacts that the database refers to, if it refers to any.
    ///
    /// - Throws: ``StoreError`` (`unusable`) that names folder and database, and says what to do.
    static func check(root: String, database: String, referenced: SHA256Digest?) throws {
        let accepted = "\(root)/\(acceptance)"
        guard !holdsAny(root) else {
            unlink(accepted)
            return
        }
        guard let referenced, !FileManager.default.fileExists(atPath: accepted) else { return }
        let isThere = FileManager.default.fileExists(atPath: root)
        throw StoreError(
            .unusable,
            """
            \(root) \(isThere ? "holds no artifacts" : "is missing"), but jobs in \(database) refer to some \
            (sha256:\(referenced.hex.prefix(12))…); mount or move them to their place, or \
            \(GatewayDatabase.restoration); to go on without them, mkdir -p \(root) && touch \(accepted)
            """
        )
    }

    /// Says of a folder that holds none of its artifacts that this is known.
    static func accept(root: String) throws {
        guard FileManager.default.createFile(atPath: "\(root)/\(acceptance)", contents: nil) else {
            throw StoreError(.unusable, "\(root)/\(acceptance): cannot be written")
        }
    }

    /// Whether there are artifacts, whole or damaged.
    private static func holdsAny(_ root: String) -> Bool {
        if GatewayDatabase.firstArtifact(root) != nil { return true }
        let damaged = try? FileManager.default.contentsOfDirectory(atPath: root + "/damaged")
        return damaged?.isEmpty == false
    }
}

/// What makes a folder of artifacts this one and no other: a file with a name that occurs once.
///
/// While the gateway runs the folder may go: a mount that is taken away leaves an empty folder, or another store.
struct StoreIdentity: Sendable {
    private let path: String
    private let folder: String
    private let text: String

    /// The identity of a folder, which it gets if it has none.
    ///
    /// - Throws: ``StoreError`` (`unusable`).
    init(root: String) throws {
        path = root + "/id"
        folder = root + "/sha256"
        if let known = Self.read(path), !known.isEmpty {
            text = known
            return
        }
        let fresh = UUID().uuidString.lowercased()
        do {
            try Data(fresh.utf8).write(to: URL(filePath: path))
        } catch {
            throw StoreError(.unusable, "\(path): cannot be written: \(error)")
        }
        text = fresh
    }

    /// Whether the folder is there now.
    var isThere: Bool {
        Self.read(path) == text && FileManager.default.fileExists(atPath: folder)
    }

    private static func read(_ path: String) -> String? {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
    }
}
