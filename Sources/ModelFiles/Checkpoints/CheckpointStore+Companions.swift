internal import DurableFiles
internal import Foundation
public import Transformer

/// An earlier checkpoint whose files were found, and are whole.
public struct WholeCompanion: Sendable {
    /// Which one.
    public let companion: CheckpointCompanion
    let place: Place

    /// Where files of a checkpoint are: in a folder, under names that begin with a prefix.
    struct Place: Sendable {
        let path: String
        let prefix: String
        var files: [CheckpointStore.Manifest.File]
    }
}

/// Earlier checkpoints that go with later ones.
extension CheckpointStore {
    private typealias Place = WholeCompanion.Place

    /// Finds a companion: in its own folder, or in that of the newest checkpoint that has it whole.
    ///
    /// What is found is linked into later checkpoints and outlives every other copy, so each digest is compared.
    ///
    /// - Throws: ``ModelFileError`` if it is nowhere, or damaged everywhere.
    public func find(
        _ companion: CheckpointCompanion,
        fingerprint: String
    ) throws -> WholeCompanion {
        var failure: any Error = ModelFileError(
            .corrupt,
            "\(folder): the checkpoint of step \(companion.step) is not there any more"
        )
        for place in places(of: companion, fingerprint: fingerprint) {
            do {
                return WholeCompanion(companion: companion, place: try whole(place))
            } catch let error as ModelFileError {
                failure = error
            } catch {
                failure = ModelFileError(
                    .corrupt,
                    "\(place.path): \(error.localizedDescription)"
                )
            }
        }
        throw failure
    }

    /// Restores the weights and the state of a companion.
    ///
    /// - Throws: ``ModelFileError`` if its files cannot be read, or are not of this run.
    public func restore(
        _ found: WholeCompanion,
        into parameters: Parameters,
        state: [TrainingTensor]
    ) throws {
        let place = found.place
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
        let place = try find(companion, fingerprint: fingerprint).place
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
    func link(_ found: WholeCompanion, into target: String) throws -> [Manifest.File] {
        let place = found.place
        return try place.files.map { file in
            let name = found.companion.role.prefix + file.name.dropFirst(place.prefix.count)
            try Self.link("\(place.path)/\(file.name)", to: "\(target)/\(name)")
            return Manifest.File(name: name, size: file.size, sha256: file.sha256)
        }
    }

    /// Where a companion may be, the likeliest place first.
    private func places(
        of companion: CheckpointCompanion,
        fingerprint: String
    ) -> [Place] {
        let prefix = companion.role.prefix
        let carried = checkpoints().reversed().compactMap { name -> Place? in
            let path = "\(folder)/\(name)"
            guard let manifest = try? manifest(path, fingerprint: fingerprint) else { return nil }
            let files = manifest.files.filter { $0.name.hasPrefix(prefix) }
            let inner = try? Self.manifest(
                FileSystem.read("\(path)/\(prefix)\(Self.manifestName)", limit: Self.manifestLimit)
            )
            // One that cannot be read is found to be damaged, by its name.
            guard !files.isEmpty, inner.map({ $0.step == companion.step }) ?? true else {
                return nil
            }
            return Place(path: path, prefix: prefix, files: files)
        }
        let path = "\(folder)/\(CheckpointName(step: UInt64(companion.step)))"
        guard let manifest = try? manifest(path, fingerprint: fingerprint),
            let own = try? entry(Self.manifestName, in: path)
        else { return carried }
        // The best is read for its weights alone; what a run goes back to comes with what it had.
        let files = manifest.files.filter {
            companion.role == .anchor || Self.tensorNames.contains($0.name)
        }
        return [Place(path: path, prefix: "", files: files + [own])] + carried
    }

    /// A place without what it carries itself and is damaged: that is a loss of its own.
    ///
    /// - Throws: ``ModelFileError`` of the checkpoint's own files.
    private func whole(_ place: Place) throws -> Place {
        var found = place
        found.files = []
        for file in place.files {
            let name = String(file.name.dropFirst(place.prefix.count))
            do {
                try verify(file, in: place.path)
                found.files.append(file)
            } catch  where CheckpointCompanion.Role(ofFile: name) != nil {
                continue
            }
        }
        let names = found.files.map { String($0.name.dropFirst(place.prefix.count)) }
        for name in Self.tensorNames + [Self.manifestName] where !names.contains(name) {
            throw ModelFileError(.corrupt, "\(place.path): no \(place.prefix)\(name)")
        }
        return found
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
