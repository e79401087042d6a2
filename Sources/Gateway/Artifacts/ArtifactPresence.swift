internal import Foundation
internal import Protocol

/// Whether a folder of artifacts is the one that the database refers to: a mount that did not come looks like a
/// store that holds nothing, and one that came in its place like a store whose artifacts nobody needs.
enum ArtifactPresence {
    /// A file in the folder by which an operator says that what is gone is gone.
    static let acceptance = "accepted-gaps"

    /// Checks, before anything is made in the folder, that it is the database's own: neither another store, nor
    /// empty or missing while jobs have files in it.
    ///
    /// `referenced`: One of the artifacts that the database refers to, if it refers to any. `known`: The
    /// identity of the database's store, if it has one.
    ///
    /// - Throws: ``StoreError`` (`unusable`) that names folder and database, and says what to do.
    static func check(
        root: String,
        database: String,
        referenced: SHA256Digest?,
        known: String?
    ) throws {
        let accepted = "\(root)/\(acceptance)"
        if holdsAny(root) {
            let found = StoreIdentity.known(root)
            guard let known, found != known else { return }
            let exchanged = exchange(root, of: known)
            guard !FileManager.default.fileExists(atPath: exchanged) else { return }
            throw StoreError(
                .unusable,
                """
                \(root) holds the artifacts of another gateway (its id is \(found ?? "missing")), and \
                \(database) those of \(known): most of it would be taken for what nobody needs, and removed; \
                mount or move its own folder to its place; to go on with this one for good, \
                touch \(exchanged)
                """
            )
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

    /// A file in a folder by which an operator says that it takes the place of the database's own.
    private static func exchange(_ root: String, of known: String) -> String {
        "\(root)/in-place-of-\(known)"
    }

    /// Takes an operator's word for used, once the database knows the folder: what is empty, or another one,
    /// again is asked about again.
    ///
    /// `known`: What the database knew before.
    static func settle(root: String, known: String?) {
        guard holdsAny(root) else { return }
        unlink("\(root)/\(acceptance)")
        if let known { unlink(exchange(root, of: known)) }
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
    /// What it says.
    let text: String
    private let path: String
    private let folder: String

    /// The identity of a folder, which it gets if it has none.
    ///
    /// - Throws: ``StoreError`` (`unusable`).
    init(root: String) throws {
        path = root + "/id"
        folder = root + "/sha256"
        if let known = Self.known(root) {
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

    /// The identity of a folder; nil if it has none.
    static func known(_ root: String) -> String? {
        read(root + "/id").flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Whether the folder is there now.
    var isThere: Bool {
        Self.read(path) == text && FileManager.default.fileExists(atPath: folder)
    }

    private static func read(_ path: String) -> String? {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
    }
}
