internal import DurableFiles
public import Foundation
internal import Quantization
public import Transformer

/// Training checkpoints of one run: a folder per step, written whole or not at all.
///
/// `step-<n>/` holds model.safetensors (FP32 masters, and the scales that stay while they change),
/// optimizer.safetensors (the optimizer's moments, and scales that are learned), where the run keeps any
/// history.jsonl, files of earlier checkpoints that go with it (see ``CheckpointCompanion``), and manifest.json,
/// which names the others with their digests and is written last. A folder appears under its name by a rename, after everything in it is on disk.
public struct CheckpointStore {
    /// A checkpoint's manifest.
    public struct Manifest: Codable, Sendable, Equatable {
        /// One file.
        public struct File: Codable, Sendable, Equatable {
            /// The name in the folder.
            public var name: String
            /// Bytes.
            public var size: Int
            /// The digest, as hexadecimal text.
            public var sha256: String
        }

        /// Steps taken.
        public var step: Int
        /// Identifies the run's settings; a checkpoint of another run is not resumed.
        public var fingerprint: String
        /// The files.
        public var files: [File]
        /// What else the run wants back, by name.
        public var values: [String: Double]
    }

    /// Computes a file's SHA-256 and its length, a piece at a time: a checkpoint is as large as what is in
    /// memory.
    public typealias Digest = (_ path: String) throws -> (bytes: [UInt8], byteCount: Int)

    static let tensorNames = ["model.safetensors", "optimizer.safetensors"]
    private static let historyName = "history.jsonl"
    static let manifestName = "manifest.json"
    /// Bytes of a manifest, at most.
    static let manifestLimit = 1 << 20
    /// How JSON, which has no such numbers, writes what is not finite.
    private static let nonFinite = (positive: "Infinity", negative: "-Infinity", nan: "NaN")

    let folder: String
    private let digest: Digest

    /// A store in `folder`, which is created when the first checkpoint is saved.
    public init(folder: String, digest: @escaping Digest) {
        self.folder = folder
        self.digest = digest
    }

    /// Saves a checkpoint durably, then removes all but this and the one before.
    ///
    /// Those of later steps go, too: the run began below them because they could not be used.
    ///
    /// `companions`: Earlier checkpoints of this run whose files go with it. `values`: Any numbers, also such as are
    /// not finite.
    ///
    /// - Returns: The name of the checkpoint's folder.
    /// - Throws: ``ModelFileError``; a failed save leaves earlier checkpoints alone.
    @discardableResult
    public func save(
        step: Int,
        fingerprint: String,
        parameters: Parameters,
        state: [TrainingTensor],
        values: [String: Double] = [:],
        history: Data? = nil,
        companions: [WholeCompanion] = []
    ) throws -> String {
        let name = "\(CheckpointName(step: UInt64(step)))"
        let temporary = "\(folder)/\(CheckpointName(step: UInt64(step)).unfinished)"
        try? FileManager.default.removeItem(atPath: temporary)
        // Moved away if it is whole: half of one takes room that the disk may be short of.
        defer { try? FileManager.default.removeItem(atPath: temporary) }
        try FileSystem.makeFolder(temporary)
        try Self.write(
            parameters.layout.entries.map { entry in
                let values = UnsafeRawBufferPointer(parameters.elements(of: entry))
                return (.init(name: entry.name, type: .f32, shape: entry.shape), values)
            },
            scales: parameters.fixedScales,
            to: temporary + "/model.safetensors"
        )
        try Self.write(
            state.map { tensor in
                (
                    .init(name: tensor.name, type: Self.type(tensor.type), shape: tensor.shape),
                    UnsafeRawBufferPointer(tensor.bytes)
                )
            },
            to: temporary + "/optimizer.safetensors"
        )
        if let history {
            try FileSystem.write([UInt8](history), to: "\(temporary)/\(Self.historyName)")
        }
        let names = Self.tensorNames + (history == nil ? [] : [Self.historyName])
        let files = try names.map { try entry($0, in: temporary) }
        let links = try companions.flatMap { try link($0, into: temporary) }
        let manifest = Manifest(
            step: step,
            fingerprint: fingerprint,
            files: files + links,
            values: values
        )
        try FileSystem.write(
            try Self.bytes(manifest),
            to: "\(temporary)/\(Self.manifestName)"
        )
        let target = "\(folder)/\(name)"
        try? FileManager.default.removeItem(atPath: target)
        try ModelFileError.ofFiles { () throws(DurableFileError) in
            try DurableFile.move(temporary, to: target)
        }
        prune(around: step)
        return name
    }

    /// Restores the newest checkpoint of this run whose own files' digests verify.
    ///
    /// Those of companions count when they are used: a damaged one costs no weights but its own.
    ///
    /// `onSkip`: Told why a checkpoint was passed over. Returns its manifest, or nil if there is
    /// none to resume from.
    public func restoreNewest(
        fingerprint: String,
        into parameters: Parameters,
        state: [TrainingTensor],
        onSkip: (String) -> Void
    ) -> Manifest? {
        for name in checkpointNames().reversed() {
            do {
                let manifest = try verified("\(folder)/\(name)", fingerprint: fingerprint)
                try restore("\(folder)/\(name)", into: parameters, state: state)
                return manifest
            } catch {
                onSkip("checkpoint \(name) is passed over: \(error)")
            }
        }
        return nil
    }

    /// The history that was saved with a restored checkpoint; nil if there is none.
    ///
    /// - Throws: ``ModelFileError`` if it cannot be read any more.
    public func history(of manifest: Manifest) throws -> [UInt8]? {
        guard let file = manifest.files.first(where: { $0.name == Self.historyName }) else {
            return nil
        }
        let name = CheckpointName(step: UInt64(manifest.step))
        return try FileSystem.read("\(folder)/\(name)/\(file.name)", limit: file.size)
    }

    /// Names of checkpoint folders, oldest first.
    public func checkpointNames() -> [String] {
        checkpoints().map(\.description)
    }

    /// Steps of the checkpoints, in rising order.
    public func steps() -> [Int] { checkpoints().map { Int(clamping: $0.step) } }

    func checkpoints() -> [CheckpointName] {
        CheckpointName.all(in: folder).sorted()
    }

    private static func bytes(_ manifest: Manifest) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: nonFinite.positive,
            negativeInfinity: nonFinite.negative,
            nan: nonFinite.nan
        )
        return [UInt8](try encoder.encode(manifest))
    }

    static func manifest(_ bytes: [UInt8]) throws -> Manifest {
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: nonFinite.positive,
            negativeInfinity: nonFinite.negative,
            nan: nonFinite.nan
        )
        return try decoder.decode(Manifest.self, from: Data(bytes))
    }

    /// The manifest of a checkpoint of this run, its files' digests not looked at.
    func manifest(_ path: String, fingerprint: String) throws -> Manifest {
        let bytes = try FileSystem.read("\(path)/\(Self.manifestName)", limit: Self.manifestLimit)
        let manifest = try Self.manifest(bytes)
        guard manifest.fingerprint == fingerprint else {
            throw ModelFileError(.corrupt, "\(path): it belongs to a run with other settings")
        }
        return manifest
    }

    /// The manifest of a checkpoint whose own files are whole.
    func verified(_ path: String, fingerprint: String) throws -> Manifest {
        let manifest = try manifest(path, fingerprint: fingerprint)
        let own = manifest.files.filter { CheckpointCompanion.Role(ofFile: $0.name) == nil }
        guard Set(own.map(\.name)).subtracting([Self.historyName]) == Set(Self.tensorNames) else {
            throw ModelFileError(.corrupt, "\(path): the manifest names other files")
        }
        for file in own { try verify(file, in: path) }
        return manifest
    }

    func verify(_ file: Manifest.File, in path: String) throws {
        let (bytes, size) = try digest("\(path)/\(file.name)")
        guard size == file.size, Self.hex(bytes) == file.sha256 else {
            throw ModelFileError(.corrupt, "\(path)/\(file.name): the digest does not match")
        }
    }

    /// What a manifest says of a file.
    func entry(_ name: String, in path: String) throws -> Manifest.File {
        let (bytes, size) = try digest("\(path)/\(name)")
        return Manifest.File(name: name, size: size, sha256: Self.hex(bytes))
    }

    /// Reads the tensors of a checkpoint whose files' names begin with `prefix`.
    func restore(
        _ path: String,
        prefix: String = "",
        into parameters: Parameters,
        state: [TrainingTensor]
    ) throws {
        let model = try SafetensorsFile(path: "\(path)/\(prefix)\(Self.tensorNames[0])")
        for entry in parameters.layout.entries {
            let values = UnsafeMutableRawBufferPointer(parameters.elements(of: entry))
            try copy(model, entry.name, .f32, shape: entry.shape, to: values)
        }
        parameters.fixedScales = Self.scales(in: model, of: parameters.layout)
        let file = try SafetensorsFile(path: "\(path)/\(prefix)\(Self.tensorNames[1])")
        for tensor in state {
            try copy(
                file,
                tensor.name,
                Self.type(tensor.type),
                shape: tensor.shape,
                to: tensor.bytes
            )
        }
    }

    private static func type(_ element: TrainingTensor.Element) -> SafetensorsType {
        switch element {
        case .float32: .f32
        case .bfloat16: .bf16
        case .uint8: .u8
        }
    }

    private func copy(
        _ file: SafetensorsFile,
        _ name: String,
        _ type: SafetensorsType,
        shape: [Int],
        to output: UnsafeMutableRawBufferPointer
    ) throws(ModelFileError) {
        guard let tensor = file.tensors[name], tensor.type == type, tensor.shape == shape,
            tensor.bytes.count == output.count
        else {
            throw ModelFileError(
                .corrupt,
                "\(file.file.path): no \(type.rawValue) tensor \(name) of \(shape)"
            )
        }
        output.copyMemory(from: tensor.bytes)
        MappedFile.dropPages(of: tensor.bytes)
    }

    private static func write(
        _ tensors: [(tensor: SafetensorsWriter.Tensor, values: UnsafeRawBufferPointer)],
        scales: [String: BlockScales] = [:],
        to path: String
    ) throws {
        let ordered = scales.sorted { $0.key < $1.key }
        let writer = try SafetensorsWriter(
            path: path,
            tensors: tensors.map(\.tensor)
                + ordered.flatMap { name, scales in
                    [
                        .init(name: name + blocks, type: .u8, shape: [scales.blocks.count]),
                        .init(name: name + factors, type: .f32, shape: [scales.factors.count]),
                    ]
                }
        )
        for (tensor, values) in tensors { try writer.write(tensor.name, values) }
        for (name, scales) in ordered {
            try scales.blocks.withUnsafeBytes { try writer.write(name + blocks, $0) }
            try scales.factors.withUnsafeBytes { try writer.write(name + factors, $0) }
        }
        try writer.finish()
    }

    // What a parameter's name ends with where its fixed scales are meant.
    private static let blocks = ".block_scales"
    private static let factors = ".scale_factors"

    /// The scales of a checkpoint, whose digests are verified, by parameter name.
    private static func scales(
        in file: SafetensorsFile,
        of layout: ParameterLayout
    ) -> [String: BlockScales] {
        var found: [String: BlockScales] = [:]
        for entry in layout.entries {
            guard let bytes = file.tensors[entry.name + blocks],
                let numbers = file.tensors[entry.name + factors], numbers.type == .f32
            else { continue }
            found[entry.name] = BlockScales(
                blocks: [UInt8](bytes.bytes),
                factors: stride(from: 0, to: numbers.bytes.count, by: 4).map {
                    numbers.bytes.loadUnaligned(fromByteOffset: $0, as: Float.self)
                }
            )
        }
        return found
    }

    /// Keeps the checkpoint of a step and the newest below it.
    private func prune(around step: Int) {
        let names = checkpoints()
        let kept = names.filter { $0.step <= step }.suffix(2)
        for name in names where !kept.contains(name) {
            try? FileManager.default.removeItem(atPath: "\(folder)/\(name)")
        }
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        bytes.map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }.joined()
    }
}
