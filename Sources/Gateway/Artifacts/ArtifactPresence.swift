internal import DurableFiles
internal import Foundation
internal import Protocol

/// Whether a folder of artifacts is the one that the database refers to: a mount that did not come looks like a
/// store that holds nothing, and one that came in its place like a store whose artifacts nobody needs.
enum ArtifactPresence {
    /// A file in the folder by which an operator says that what is gone is gone.
    static let acceptance = "accepted-gaps"

    /// What a database knows of its store.
    struct Expected: Sendable {
        /// The database, for sentences.
        let database: String
        /// Some of the artifacts that it names, as jobs' or as what users brought: the first by digest.
        var named: [SHA256Digest] = []
        /// The identity of its store; nil of a database of an earlier version, or one that was restored.
        var known: String?

        /// Artifacts of a database that a folder is looked through for.
        static let sample = 256
    }

    /// Checks, before anything is made in the folder, that it is the database's own: neither another store, nor
    /// empty or missing while it names artifacts.
    ///
    /// - Throws: ``StoreError`` (`unusable`) that names folder and database, and says what to do.
    static func check(root: String, _ expected: Expected) throws {
        guard holdsAny(root) else { return try checkEmpty(root, expected) }
        let found = StoreIdentity.known(root)
        let present = expected.named.count { isThere($0, in: root) }
        let isOwn =
            expected.known.map { $0 == found } ?? (present > 0 || expected.named.isEmpty)
        let exchanged = exchange(root, of: expected.known ?? "none")
        guard !isOwn, !FileManager.default.fileExists(atPath: exchanged) else { return }
        let ids =
            switch (found, expected.known) {
            case (nil, let known?):
                "has no id, and the store of \(expected.database) has the id \(known): if it is the same, "
                    + "write that back (printf %s \(known) > \(root)/id)"
            case (let found?, let known?):
                "is not the store that \(expected.database) knows: its id is \(found), and not \(known)"
            case (_, nil): "is not the store of \(expected.database)"
            }
        throw StoreError(
            .unusable,
            """
            \(root) \(ids); \(present) of \(expected.named.count) artifacts that were looked for are in it. What \
            the database does not name would be removed: mount or move the right folder to its place; to go on \
            with this one for good, touch \(exchanged)
            """
        )
    }

    private static func checkEmpty(_ root: String, _ expected: Expected) throws {
        let accepted = "\(root)/\(acceptance)"
        guard let named = expected.named.first,
            !FileManager.default.fileExists(atPath: accepted)
        else { return }
        let isThere = FileManager.default.fileExists(atPath: root)
        throw StoreError(
            .unusable,
            """
            \(root) \(isThere ? "holds no artifacts" : "is missing"), but \(expected.database) names some \
            (sha256:\(named.hex.prefix(12))…); mount or move them to their place, or \
            \(GatewayDatabase.restoration); to go on without them, mkdir -p \(root) && touch \(accepted)
            """
        )
    }

    /// Whether an artifact is there, whole or damaged.
    private static func isThere(_ digest: SHA256Digest, in root: String) -> Bool {
        ["sha256/\(digest.hex.prefix(2))", "damaged"].contains {
            access("\(root)/\($0)/\(digest.hex)", F_OK) == 0
        }
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
        unlink(exchange(root, of: known ?? "none"))
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
        // As durable as the database that is to know it.
        let file = path
        try StoreError.ofFiles { () throws(DurableFileError) in
            try DurableFile.write(Array(fresh.utf8), to: file, readers: .owner)
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
        // Written back by hand it may have a line's end.
        FileManager.default.contents(atPath: path).map {
            String(decoding: $0, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        }
    }
}
