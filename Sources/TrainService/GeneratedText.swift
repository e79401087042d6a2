internal import ComputeKit
internal import Devices
internal import DurableFiles
internal import Foundation
internal import JobInputs
internal import JobSpecs
internal import Kernels
internal import ModelFiles
internal import Protocol
internal import ServiceKit
internal import Transformer

/// The training text that a job's teacher makes, and the file that keeps it for another attempt.
///
/// The file is eight bytes that name its kind, a digest of what the text depends on, the tokens (int32)
/// and a SHA-256 of all that. One of other settings, or that is damaged, counts as not there; a disk that
/// takes no more costs another attempt its time, not the job.
struct GeneratedText {
    private static let kind = Array("QATGEN1\n".utf8)

    let options: DataOptions.Generated
    let length: Int
    let seed: UInt64
    let request: ComputeRequest
    let reporter: ComputeReporter

    private var path: String { request.checkpointFolder + "/generated-text" }
    private var count: Int { options.windows * length }

    /// The tokens, read or made.
    ///
    /// - Throws: ``TransformerError``, `stopped` where that is asked for.
    func tokens(
        of teacher: Parameters,
        _ tokenizer: Tokenizer,
        team: ThreadTeam
    ) throws -> [Int32] {
        if let kept = read(vocabularySize: teacher.configuration.vocabularySize) {
            reporter.log("generated text: \(options.windows) windows of an earlier attempt")
            return kept
        }
        let special = Set(tokenizer.addedTokens.filter(\.isSpecial).map(\.id))
        let known = min(tokenizer.vocabulary.count, teacher.configuration.vocabularySize)
        let generator = try WindowGenerator(
            parameters: teacher,
            length: length,
            starts: (0..<Int32(known)).filter { !special.contains($0) },
            options: .init(temperature: options.temperature, seed: seed),
            device: CPUDevice(team: team)
        )
        let start = ContinuousClock.now
        let tokens = try generator.windows(options.windows) { done in
            reporter.progress(phase: "generating text \(done / length)/\(options.windows)")
            try reporter.checkStop()
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        reporter.log(
            String(
                format: "generated text: %d windows of %d tokens, %.0f tokens/s",
                options.windows,
                length,
                Double(count) / max(seconds, 1e-9)
            )
        )
        keep(tokens)
        return tokens
    }

    private var identity: [UInt8] { Self.digest(Array(request.spec.utf8)) }

    private func keep(_ tokens: [Int32]) {
        var bytes = Self.kind + identity
        for token in tokens { withUnsafeBytes(of: token.littleEndian) { bytes += $0 } }
        do {
            try FileManager.default.createDirectory(
                atPath: request.checkpointFolder,
                withIntermediateDirectories: true
            )
            try DurableFile.write(bytes + Self.digest(bytes), to: path, readers: .owner)
        } catch {
            reporter.log("generated text: \(error): another attempt will make it again")
        }
    }

    private func read(vocabularySize: Int) -> [Int32]? {
        let expected = Self.kind.count + 32 + 4 * count + 32
        guard let data = try? Data(contentsOf: URL(filePath: path)), data.count == expected
        else { return nil }
        let bytes = [UInt8](data)
        let body = Array(bytes.dropLast(32))
        guard body.starts(with: Self.kind + identity), Self.digest(body) == bytes.suffix(32) else {
            return nil
        }
        let start = Self.kind.count + 32
        let tokens = (0..<count).map { index -> Int32 in
            let place = start + 4 * index
            return (0..<4).reduce(0) { $0 | Int32(body[place + $1]) << (8 * $1) }
        }
        let limit = Int32(vocabularySize)
        return tokens.allSatisfy { $0 >= 0 && $0 < limit } ? tokens : nil
    }

    private static func digest(_ bytes: [UInt8]) -> [UInt8] {
        SHA256Digest.digest(of: bytes).bytes
    }
}
