internal import DurableFiles
internal import Foundation
internal import Protocol

/// What a backup says of itself, in its file backup.json.
struct BackupManifest: Codable, Equatable {
    static let fileName = "backup.json"

    /// How the folder is laid out.
    var format = 1
    /// The program that made it.
    let version: String
    /// When it was begun, in Unix seconds: all that was acknowledged before is in it.
    let created: Int64
    let jobs: Int
    let artifacts: Int
    let bytes: UInt64
    /// Artifacts that the gateway itself did not have whole.
    let incomplete: [String]
    /// Rows that name nobody knows which artifact, in sentences; nil of older programs.
    let unreadable: [String]?

    /// Reads that of a backup.
    ///
    /// - Throws: ``StoreError`` (`unusable`) if the folder holds no whole backup.
    init(folder: String) throws {
        let path = "\(folder)/\(Self.fileName)"
        guard let data = FileManager.default.contents(atPath: path), data.count <= 64 << 20,
            let manifest = try? JSONDecoder().decode(Self.self, from: data)
        else {
            throw StoreError(.unusable, "\(path): not there or unreadable: no whole backup")
        }
        guard manifest.format == 1 else {
            throw StoreError(.unusable, "\(path): format \(manifest.format) is not known here")
        }
        self = manifest
    }

    init(
        version: String,
        created: Int64,
        jobs: Int,
        artifacts: Int,
        bytes: UInt64,
        incomplete: [String],
        unreadable: [String]
    ) {
        self.version = version
        self.created = created
        self.jobs = jobs
        self.artifacts = artifacts
        self.bytes = bytes
        self.incomplete = incomplete
        self.unreadable = unreadable
    }

    func write(folder: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        let bytes = [UInt8](try encoder.encode(self))
        try StoreError.ofFiles { () throws(DurableFileError) in
            try DurableFile.write(bytes, to: "\(folder)/\(Self.fileName)", readers: .owner)
        }
    }
}
