internal import DurableFiles
internal import Foundation
internal import Protocol

/// What an attempt came to, left in the job's folder until the gateway has it: when the worker ends
/// before that, the job's next attempt on this machine takes it up instead of computing it again.
///
/// `finished.json` beside the folder of the outputs; their digests are compared before they are believed.
struct FinishedWork: Codable, Equatable {
    /// One of the outputs.
    struct File: Codable, Equatable {
        let name: String
        let digest: String
        let size: UInt64
    }

    /// Identifies what was asked for, see ``task(of:)``.
    let task: String
    /// The job's results, as JSON text.
    let results: String
    let files: [File]

    static let name = "finished.json"
    /// No list of outputs that a gateway takes is longer.
    private static let byteLimit = 1 << 20

    init(_ lease: Lease, results: String, outputs: [OutputFile]) {
        task = Self.task(of: lease)
        self.results = results
        files = outputs.map { File(name: $0.name, digest: $0.digest.hex, size: $0.size) }
    }

    /// The digest of a job's kind, specification and inputs.
    private static func task(of lease: Lease) -> String {
        var hasher = SHA256Hasher()
        // Lengths keep what follows one another apart.
        func add(_ bytes: [UInt8]) {
            hasher.update(Array("\(bytes.count):".utf8) + bytes)
        }
        add(Array(lease.kind.utf8))
        add(lease.specJSON)
        for input in lease.inputs {
            add(Array(input.pointer.utf8))
            for file in input.files {
                add(Array(file.path.utf8))
                add(Array(file.digest.hex.utf8))
            }
        }
        return hasher.finalize().hex
    }

    /// Leaves it in a job's folder, durably.
    ///
    /// - Throws: If it cannot be written; whoever computes can go on without.
    func write(to folder: String) throws {
        try DurableFile.write(
            [UInt8](try JSONEncoder().encode(self)),
            to: folder + "/" + Self.name
        )
    }

    /// What an earlier attempt left in a job's folder, if it is what the lease asks for and its outputs are
    /// all there, unchanged, and no others.
    static func found(in folder: String, for lease: Lease) -> FinishedWork? {
        guard let data = FileManager.default.contents(atPath: folder + "/" + name),
            data.count <= byteLimit,
            let work = try? JSONDecoder().decode(Self.self, from: data),
            work.task == task(of: lease),
            let outputs = try? OutputPublisher.inventory(JobFolders.output(in: folder)),
            work == FinishedWork(lease, results: work.results, outputs: outputs)
        else { return nil }
        return work
    }

    /// Whether an earlier attempt left something in a job's folder, whatever it is worth.
    static func isLeft(in folder: String) -> Bool {
        FileManager.default.fileExists(atPath: folder + "/" + name)
    }

    /// Forgets what an earlier attempt left.
    static func remove(from folder: String) {
        unlink(folder + "/" + name)
    }
}
