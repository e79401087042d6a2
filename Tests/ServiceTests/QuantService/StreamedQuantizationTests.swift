internal import ComputeKit
internal import Formats
internal import Foundation
internal import JobSpecs
internal import Kernels
internal import Testing
internal import Transformer

@testable internal import ModelFiles
@testable internal import QuantService
@testable internal import ServiceKit
@testable internal import qat_client

/// Weight by weight from a file to its exports, in every family: what is rounded is the matrices of
/// linear layers, as rounding in memory has them, and everything else is as it was.
@Suite struct StreamedQuantizationTests {
    private let home: TemporaryHome
    private let team = ThreadTeam(threadCount: 1)

    init() throws { home = try TemporaryHome() }

    private static let families = [
        "llama", "qwen2", "qwen3", "phi3", "olmo2", "granite", "nemotron",
    ]

    @Test(arguments: families)
    func roundsMatricesAndCopiesTheRest(family: String) throws {
        let path = home.home.path
        var architecture = try #require(ModelFamilies.named(family)).architecture
        // Granite always says it.
        if family == "granite" { architecture.attentionScale = 0.25 }
        try TinyModelFolder(architecture: architecture).write(to: path + "/source")
        let source = try ModelLoader.open(path: path + "/source")
        let recipe = QuantizationRecipe(
            defaultFormat: .mxfp4,
            rules: [.init(pattern: "*embed_tokens", format: nil)]
        )
        let streamed = StreamedQuantization(
            recipe: recipe,
            method: .max,
            needsTokenizer: true,
            progress: LayerProgress(ComputeReporter(output: .nullDevice)),
            team: team
        )
        let outcome = try streamed.quantize(source) { description in
            try ModelExport(
                description,
                ExportGroup([
                    .init(format: .compressedTensors), .init(format: .gguf, onObstacle: .skip),
                ]),
                outputFolder: path + "/out"
            )
        }
        #expect(outcome.layers.count == source.configuration.linearModules.count)
        let expected = try ModelLoader.parameters(of: source, team: team)
        try expected.fakeQuantize(by: recipe, team: team)
        let names = ["model", "model-gguf"].filter {
            FileManager.default.fileExists(atPath: "\(path)/out/\($0)")
        }
        // llama.cpp's OLMo 2 and Nemotron have no tied head.
        #expect(names.count == (["olmo2", "nemotron"].contains(family) ? 1 : 2))
        for name in names {
            let written = try ModelLoader.open(path: "\(path)/out/\(name)")
            let found = try ModelLoader.parameters(of: written, team: team)
            for entry in expected.layout.entries {
                let isRounded = recipe.format(forModule: entry.module, progress: 1) != nil
                let values = expected.elements(of: entry).map { value in
                    // What is not quantized stands in BF16, but for vectors in GGUF.
                    isRounded && entry.shape.count == 2 ? value : Self.bf16(value)
                }
                #expect(
                    found.elements(of: entry).map(Self.bf16) == values,
                    "\(name): \(entry.name)"
                )
            }
        }
    }

    private static func bf16(_ value: Float) -> Float {
        [value].withUnsafeBufferPointer { HalfPrecision.bfloats($0) }.withUnsafeBytes {
            Float(bitPattern: UInt32($0.loadUnaligned(as: UInt16.self)) << 16)
        }
    }
}
