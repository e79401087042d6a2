internal import Foundation
internal import Kernels
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// A tiny random model and what transformers computes from it; see `Fixtures/README.md`.
struct ArchitectureFixture: CustomTestStringConvertible, Sendable {
    /// One of the logits' rows.
    struct Row: Decodable {
        let rowOf: [Int]
        let values: [Float]
    }

    /// One step of PyTorch's AdamW.
    struct Step: Decodable {
        let lr: Double
        let gradNorm: Double
        let lossAfter: Double
    }

    /// Generation across the original length, where frequencies depend on the length.
    struct Crossing: Decodable {
        let prompt: [Int32]
        let cached: [Int32]
        let recomputed: [Int32]
    }

    /// `expected.json`.
    struct Expected: Decodable {
        let optional: Bool
        let tokenizer: String
        let tokens: [[Int32]]
        let loss: Double
        let logits: [Row]
        let prompt: [Int32]
        let greedy: [Int32]
        let step: Step?
        let crossing: Crossing?
    }

    let name: String

    var testDescription: String { name }

    static func folder() throws -> URL {
        try #require(Bundle.module.resourceURL).appending(path: "Fixtures")
    }

    /// The cases that are computed; mixtures of experts are refused.
    static let all: [ArchitectureFixture] = names { !$0.optional }
    /// The cases that are refused by name.
    static let refused: [ArchitectureFixture] = names { $0.optional }

    private static func names(_ isIncluded: (Expected) -> Bool) -> [ArchitectureFixture] {
        let folders = try? FileManager.default.contentsOfDirectory(atPath: folder().path)
        return (folders ?? []).sorted().map { ArchitectureFixture(name: $0) }
            .filter { (try? isIncluded($0.expected())) ?? false }
    }

    func url() throws -> URL { try Self.folder().appending(path: name) }

    func expected() throws -> Expected {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let data = try Data(contentsOf: try url().appending(path: "expected.json"))
        return try decoder.decode(Expected.self, from: data)
    }

    /// The model's folder as a user has it: with its tokenizer, and the `config.json` of `style`.
    ///
    /// - Returns: A temporary folder, which the caller removes.
    func checkout(configuration style: String = "config.json") throws -> URL {
        let target = FileManager.default.temporaryDirectory
            .appending(path: "qat-architecture-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: target, withIntermediateDirectories: true)
        let source = try url()
        func copy(_ file: URL, to name: String) throws {
            try FileManager.default.copyItem(at: file, to: target.appending(path: name))
        }
        try copy(source.appending(path: style), to: "config.json")
        for name in ["model.safetensors", "generation_config.json"] {
            try copy(source.appending(path: name), to: name)
        }
        let tokenizer = try Self.folder().appending(path: "tokenizers/\(try expected().tokenizer)")
        for name in ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]
        where FileManager.default.fileExists(atPath: tokenizer.appending(path: name).path) {
            try copy(tokenizer.appending(path: name), to: name)
        }
        return target
    }

    /// The model's parameters.
    func parameters(configuration style: String = "config.json") throws -> Parameters {
        let folder = try checkout(configuration: style)
        defer { try? FileManager.default.removeItem(at: folder) }
        let source = try ModelLoader.open(path: folder.path)
        let parameters = try Parameters(configuration: source.configuration)
        let team = ThreadTeam(threadCount: 1)
        for entry in parameters.layout.entries {
            try source.read(entry, into: parameters.elements(of: entry), team: team)
        }
        return parameters
    }

    /// The gradients that PyTorch computes, by the model's own parameter names.
    func gradients() throws -> [String: [Float]] {
        let file = try SafetensorsFile(
            path: try url().appending(path: "gradients.safetensors").path
        )
        return try file.tensors.mapValues { tensor in
            let count = tensor.shape.reduce(1, *)
            return try [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
                let rows = tensor.shape.count > 1 ? tensor.shape[0] : 1
                guard let start = buffer.baseAddress else { return }
                try tensor.copyFloats(
                    rows: 0..<rows,
                    columns: count / rows,
                    to: UnsafeMutableBufferPointer(start: start, count: count),
                    path: name
                )
                initialized = count
            }
        }
    }
}
