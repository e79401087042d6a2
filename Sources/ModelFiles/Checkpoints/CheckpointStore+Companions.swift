internal import DurableFiles
internal import Foundation
public import Transformer

/// Earlier checkpoints that go with later ones.
extension CheckpointStore {
    /// Where files of a checkpoint are: in a folder, under names that begin with a prefix.
    private struct Place {
        let path: String
        let prefix: String
        let files: [Manifest.File]
    }

    /// Restores the weights and the state of a companion of the newest checkpoint that has it, or of its own
    /// folder if that is there still.
    ///
    /// - Throws: ``ModelFileError`` if it is nowhere, or damaged.
    public func restore(
        _ companion: CheckpointCompanion,
        fingerprint: String,
        into parameters: Parameters,
        state: [TrainingTensor]
    ) throws {
        let place = try place(of: companion, fingerprint: fingerprint)
        for name in Self.tensorNames {
            guard let file = place.files.first(where: { $0.name == place.prefix + name }) else {
                throw ModelFileError(.corrupt, "\(place.path): no \(place.prefix)\(name)")
            }
            try verify(file, in: place.path)
        }
        try restore(place.path, prefix: place.prefix, into: parameters, state: state)
    }

    /// Makes the checkpoint of a step the newest: later ones go, and it comes out of one that it went with if
    /// its own folder is gone.
    ///
    /// Step 0 is before the first checkpoint: all of them go.
    ///
    /// - Throws: ``ModelFileError`` if it is nowhere, or damaged; then nothing is changed.
    public func goBack(to step: Int, fingerprint: String) throws {
        if step > 0 { try bringBack(.init(.anchor, step: step), fingerprint: fingerprint) }
        for name in checkpoints() where name.step > step {
            try? FileManager.default.removeItem(atPath: "\(folder)/\(name)")
        }
    }

    private func bringBack(_ companion: CheckpointCompanion, fingerprint: String) throws {
        let own = "\(folder)/\(CheckpointName(step: UInt64(companion.step)))"
        if (try? verified(own, fingerprint: fingerprint)) != nil { return }
        let place = try carried(companion, fingerprint: fingerprint)
        let temporary = "\(folder)/.tmp-\(companion.role.rawValue)"
        try? FileManager.default.removeItem(atPath: temporary)
        try FileSystem.makeFolder(temporary)
        for file in place.files {
            let name = String(file.name.dropFirst(place.prefix.count))
            try Self.link("\(place.path)/\(file.name)", to: "\(temporary)/\(name)")
        }
        _ = try verified(temporary, fingerprint: fingerprint)
        try? FileManager.default.removeItem(atPath: own)
        try ModelFileError.ofFiles { () throws(DurableFileError) in
            try DurableFile.move(temporary, to: own)
        }
    }

    /// Links a companion's files into a folder; what a manifest says of them there.
    func link(
        _ companion: CheckpointCompanion,
        fingerprint: String,
        into target: String
    ) throws -> [Manifest.File] {
        let place = try place(of: companion, fingerprint: fingerprint)
        return try place.files.map { file in
            let name = companion.role.prefix + file.name.dropFirst(place.prefix.count)
            try Self.link("\(place.path)/\(file.name)", to: "\(target)/\(name)")
            return Manifest.File(name: name, size: file.size, sha256: file.sha256)
        }
    }

    private func place(
        of companion: CheckpointCompanion,
        fingerprint: String
    ) throws -> Place {
        let path = "\(folder)/\(CheckpointName(step: UInt64(companion.step)))"
        guard let manifest = try? manifest(path, fingerprint: fingerprint) else {
            return try carried(companion, fingerprint: fingerprint)
        }
        // The best is read for its weights alone; what a run goes back to comes with what it had.
        let files = manifest.files.filter {
            companion.role == .anchor || Self.tensorNames.contains($0.name)
        }
        return Place(
            path: path,
            prefix: "",
            files: files + [try entry(Self.manifestName, in: path)]
        )
    }

    /// Where later checkpoints have it.
    private func carried(
        _ companion: CheckpointCompanion,
        fingerprint: String
    ) throws -> Place {
        let prefix = companion.role.prefix
        for name in checkpoints().reversed() {
            let path = "\(folder)/\(name)"
            guard let manifest = try? manifest(path, fingerprint: fingerprint),
                let bytes = try? FileSystem.read(
                    "\(path)/\(prefix)\(Self.manifestName)",
                    limit: 1 << 20
                ),
                let inner = try? JSONDecoder().decode(Manifest.self, from: Data(bytes)),
                inner.step == companion.step
            else { continue }
            return Place(
                path: path,
                prefix: prefix,
                files: manifest.files.filter { $0.name.hasPrefix(prefix) }
            )
        }
        throw ModelFileError(
            .corrupt,
            "\(folder): the checkpoint of step \(companion.step) is not there any more"
        )
    }

    private static func link(_ source: String, to target: String) throws {
        do {
            try FileManager.default.linkItem(atPath: source, toPath: target)
        } catch {
            // A disk without hard links, or with as many of a file as it allows.
            try FileManager.default.copyItem(atPath: source, toPath: target)
        }
    }
}

extension CheckpointCompanion.Role {
    /// The role of the checkpoint that a file goes with; nil of a checkpoint's own files.
    init?(ofFile name: String) {
        guard let found = Self.allCases.first(where: { name.hasPrefix($0.prefix) }) else {
            return nil
        }
        self = found
    }
}
