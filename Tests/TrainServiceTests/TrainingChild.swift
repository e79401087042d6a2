internal import Foundation
internal import Kernels
internal import ServiceKit
internal import TestProgram
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// Trainings in real compute children, as a daemon starts them, on a tiny model: killed where a test wants it,
/// and moved to other machines.
final class TrainingChild: Sendable {
    /// How an attempt ends before its time: once something is told of a step.
    enum Break {
        case kill(Int)
        /// Asked to, as by a daemon that stops: with a checkpoint.
        case stop(Int)
        /// The process of a rank is killed.
        case killRank(Int, at: Int)

        var step: Int {
            switch self {
            case .kill(let step), .stop(let step), .killRank(_, let step): step
            }
        }
    }

    /// What came of a job.
    struct Outcome {
        /// All that was printed, of all attempts.
        var events: [[String: Any]] = []
        var attempts = 0
        var statuses: [Int32] = []
        /// What was printed on standard error.
        var errors = ""
        /// The folder of its outputs.
        let folder: String

        var log: [String] {
            events.filter { $0["type"] as? String == "log" }.compactMap { $0["message"] as? String }
        }

        /// What each warning of a layer is of, without the step and the numbers.
        var layerWarnings: [String] {
            log.filter { $0.contains(": model.layers.") && $0.contains("lower optim.lr") }
                .map { line in
                    let parts = line.components(separatedBy: ": ")
                    return parts[1] + parts[2].filter { !$0.isNumber && $0 != "." }
                }
        }

        /// The failure, as `DIVERGED: …`; nil of a success.
        var failure: String? {
            events.last { $0["type"] as? String == "error" }.map {
                "\($0["reason"] as? String ?? ""): \($0["message"] as? String ?? "")"
            }
        }

        func results() throws -> [String: Any] {
            let event = try #require(events.last { $0["type"] as? String == "result" })
            return try TrainingChild.object(try #require(event["json"] as? String))
        }

        /// A file of its outputs.
        func file(_ name: String) throws -> Data {
            try Data(contentsOf: URL(filePath: "\(folder)/\(name)"))
        }

        /// Lines of run/metrics.jsonl.
        func rows() throws -> [[String: Any]] {
            String(decoding: try file("run/metrics.jsonl"), as: UTF8.self).split(separator: "\n")
                .compactMap { try? TrainingChild.object(String($0)) }
        }
    }

    let folder: String
    private let program: String

    /// Writes a model and texts.
    ///
    /// `deviation`: Of the model's weights. `chatTemplate`: The model's; nil for none. `endTokens`: Those that end a
    /// text.
    init(deviation: Float = 0.3, chatTemplate: String? = nil, endTokens: [Int] = []) throws {
        folder = NSTemporaryDirectory() + "/qat-training-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let named = ProcessInfo.processInfo.environment["QAT_TEST_BIN"]
        let beside = Bundle.main.bundleURL.path
        program = try #require(
            [named, beside].compactMap(\.self).map { $0 + "/qat-traind" }.first {
                FileManager.default.isExecutableFile(atPath: $0)
            },
            "qat-traind is not built; run scripts/test"
        )
        try writeModel(deviation: deviation, chatTemplate: chatTemplate, endTokens: endTokens)
        let lines = (0..<200).map { "line \($0): the quick brown fox jumps over \($0 * 7 % 13)\n" }
        try write(lines.joined(), "train.txt")
        try write(String(lines.reversed().joined().prefix(1500)), "validation.txt")
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func write(_ text: String, _ name: String) throws {
        try Data(text.utf8).write(to: URL(filePath: "\(folder)/\(name)"))
    }

    static func object(_ text: String) throws -> [String: Any] {
        let value = try JSONSerialization.jsonObject(with: Data(text.utf8))
        return try #require(value as? [String: Any])
    }

    /// Runs a job to its end.
    ///
    /// `breaks`: How attempts end, one after the other, before one that is left alone. `moves`: Whether each
    /// begins on another machine, which has the newest checkpoint and nothing else. `ranks`: Of each attempt, the
    /// last one's of all after it. `text`: What stands at `/data/train/0`, and `validation` at `/data/validation/0`. `between`: Given the folder of checkpoints
    /// between attempts.
    func run(
        _ name: String,
        _ members: String,
        breaks: [Break] = [],
        moves: Bool = false,
        ranks: [Int] = [1],
        spec given: String? = nil,
        text: String = "train.txt",
        validation: String = "validation.txt",
        between: (_ checkpoints: String) throws -> Void = { _ in }
    ) throws -> Outcome {
        let spec =
            given ?? """
                {"model": "model",
                 \(members.contains("\"quantization\"") ? "" : #""quantization": {"algorithm": "mxfp4"},"#)
                 "data": {"train": ["train.txt"], "validation": ["validation.txt"], "seq_length": 32},
                 "export": [{"format": "compressed-tensors"}], "seed": 7, \(members)}
                """
        var outcome = Outcome(folder: "\(folder)/\(name)/output")
        for (index, end) in (breaks.map(Optional.some) + [nil]).enumerated() {
            let checkpoints = "\(folder)/\(name)/checkpoints-\(moves ? index : 0)"
            if moves, index > 0 {
                try move("\(folder)/\(name)/checkpoints-\(index - 1)", to: checkpoints)
            }
            if index > 0 { try between(checkpoints) }
            try? FileManager.default.removeItem(atPath: outcome.folder)
            try FileManager.default.createDirectory(
                atPath: outcome.folder,
                withIntermediateDirectories: true
            )
            let request = ComputeRequest(
                jobID: name,
                kind: "train",
                attempt: index + 1,
                spec: spec,
                inputs: [
                    "/model": "\(folder)/model", "/data/train/0": "\(folder)/\(text)",
                    "/data/validation/0": "\(folder)/\(validation)",
                ],
                inputFiles: ["/data/train/0": [.init(path: "train.txt", size: 1, sha256: "ab")]],
                outputFolder: outcome.folder,
                checkpointFolder: checkpoints,
                threads: 1
            )
            outcome.attempts += 1
            let count = ranks[min(index, ranks.count - 1)]
            try attempt(request, ranks: count, until: end, &outcome)
        }
        return outcome
    }

    /// What another machine is given: the newest checkpoint's files.
    private func move(_ source: String, to target: String) throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: source)
        let newest = try #require(names.filter { $0.hasPrefix("step-") }.max())
        try FileManager.default.createDirectory(atPath: target, withIntermediateDirectories: true)
        try FileManager.default.copyItem(
            atPath: "\(source)/\(newest)",
            toPath: "\(target)/\(newest)"
        )
    }

    private func attempt(
        _ request: ComputeRequest,
        ranks: Int,
        until end: Break?,
        _ outcome: inout Outcome
    ) throws {
        let (input, output) = (Pipe(), Pipe())
        let command =
            ranks == 1
            ? [program, "compute"]
            : try OpenMPI.command(ranks) + [program, "compute", "--ranks", "\(ranks)"]
        let errors = "\(folder)/errors-\(UUID().uuidString)"
        let child = try TestProgram(
            command[0],
            Array(command.dropFirst()),
            environment: OpenMPI.environment(folder),
            input: .descriptor(input.fileHandleForReading.fileDescriptor),
            output: .descriptor(output.fileHandleForWriting.fileDescriptor),
            errors: .file(errors)
        )
        try output.fileHandleForWriting.close()
        var line = try JSONEncoder().encode(request)
        line.append(UInt8(ascii: "\n"))
        // It ends when this is closed.
        try input.fileHandleForWriting.write(contentsOf: line)
        var rest = Data()
        var isEnding = false
        while case let data = output.fileHandleForReading.availableData, !data.isEmpty {
            rest.append(data)
            while let newline = rest.firstIndex(of: UInt8(ascii: "\n")) {
                let event = try Self.object(String(decoding: rest[..<newline], as: UTF8.self))
                rest = Data(rest[(newline + 1)...])
                outcome.events.append(event)
                let isResult = event["type"] as? String == "result"
                guard !isResult, !isEnding, let end, event["step"] as? Int ?? 0 >= end.step else {
                    continue
                }
                isEnding = true
                switch end {
                case .kill: child.signal(SIGKILL)
                case .killRank(let rank, _):
                    kill(try OpenMPI.process(ofRank: rank, of: folder), SIGKILL)
                case .stop:
                    let line = Data("{\"command\":\"cancel\"}\n".utf8)
                    try input.fileHandleForWriting.write(contentsOf: line)
                }
            }
        }
        outcome.statuses.append(child.wait().status)
        try input.fileHandleForWriting.close()
        outcome.errors += (try? String(contentsOfFile: errors, encoding: .utf8)) ?? ""
    }

    /// A random model whose tokens are single bytes.
    private func writeModel(
        deviation: Float,
        chatTemplate: String?,
        endTokens: [Int]
    ) throws {
        var vocabulary: [String] = []
        var next: UInt32 = 256
        // GPT-2's alphabet: what prints stands for itself, the rest for what follows 255.
        for byte in UInt32(0)...255 {
            let isPrintable =
                (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || byte >= 0xAE
            vocabulary.append(
                String(try #require(UnicodeScalar(isPrintable ? byte : next)))
            )
            next += isPrintable ? 0 : 1
        }
        let model = LoadedModel(
            parameters: try Parameters.random(
                configuration: ModelConfiguration(
                    vocabularySize: 256,
                    hiddenSize: 64,
                    intermediateSize: 96,
                    layerCount: 2,
                    headCount: 4,
                    keyValueHeadCount: 2,
                    tiedEmbeddings: true,
                    eosTokens: endTokens
                ),
                seed: 4,
                deviation: deviation
            ),
            tokenizer: try Tokenizer(
                vocabulary: vocabulary,
                merges: [],
                addedTokens: [],
                preTokenizer: .gpt2
            ),
            source: .huggingFace,
            storedByteCount: 0,
            tokenizerJSON: nil,
            chatTemplate: chatTemplate
        )
        let plain = QuantizedModel(model: model, stored: [:])
        _ = try plain.write(
            to: HuggingFaceWriter(plain.description, format: .f32, folder: folder + "/model")
        )
    }
}
