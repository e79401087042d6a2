internal import Foundation
internal import Kernels
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// The fixtures of ArchitectureTests, as Transformers 4 and 5 spell their configurations.
@Suite struct FamilyFixtureTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "ArchitectureTests/Fixtures")

    private static let cases: [String] = {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.filter {
            FileManager.default.fileExists(atPath: folder.path + "/\($0)/config.json")
        }.sorted()
    }()

    private static let mixtures: Set = ["mixtral", "qwen3-moe"]

    @Test func fixturesAreThere() { #expect(Self.cases.count > 30) }

    @Test(arguments: cases)
    func bothSpellingsSayTheSame(name: String) throws {
        let path = Self.folder.path + "/\(name)"
        guard !Self.mixtures.contains(name) else {
            for file in ["config.json", "config.v5.json"] {
                #expect {
                    try HuggingFaceConfiguration(path: "\(path)/\(file)")
                } throws: { "\($0)".contains("mixtures of experts") }
            }
            return
        }
        let old = try HuggingFaceConfiguration(path: path + "/config.json").model
        let new = try HuggingFaceConfiguration(path: path + "/config.v5.json").model
        #expect(old == new)
        let family = try #require(ModelFamilies.named(old.architecture.family))
        #expect(try FamilySamples.read(family.keys(of: old)) == old)
    }

    @Test(arguments: cases.filter { !mixtures.contains($0) })
    func everyTensorIsRead(name: String) throws {
        let source = try ModelLoader.open(path: Self.folder.path + "/\(name)")
        let team = ThreadTeam(threadCount: 1)
        for entry in ParameterLayout(configuration: source.configuration).entries {
            var values = [Float](repeating: .nan, count: entry.count)
            try values.withUnsafeMutableBufferPointer {
                try source.read(entry, into: $0, team: team)
            }
            #expect(values.allSatisfy { $0.isFinite }, "\(entry.name)")
        }
    }

    /// Whether llama.cpp computes a case is what the fixtures say, but for windows, which it leaves
    /// out with a note; the choice of LongRoPE's factors is noted of every case that has one.
    @Test(arguments: cases.filter { !mixtures.contains($0) })
    func ggufIsRefusedWhereLlamaCppComputesOtherwise(name: String) throws {
        let path = Self.folder.path + "/\(name)"
        let json = try FamilySamples.keys(
            String(
                decoding: FileSystem.read(path + "/expected.json", limit: 8 << 20),
                as: UTF8.self
            )
        )
        let limit = json["llama_cpp_limit"] as? String
        let model = try HuggingFaceConfiguration(path: path + "/config.json").model
        let export = Result { try GGUFExport(model) }
        switch (limit, export) {
        case (nil, .success(let export)):
            let others = export.notes.filter { !$0.contains("LongRoPE's factors") }
            #expect(others.isEmpty)
            let configuration = try FileSystem.read(path + "/config.json", limit: 8 << 20)
            let hasFactors = String(decoding: configuration, as: UTF8.self).contains("short_factor")
            #expect((others.count < export.notes.count) == hasFactors)
        case (nil, .failure(let error)): Issue.record("\(error)")
        case (.some, .success(let export)):
            let isCarried = !export.notes.isEmpty || limit?.contains("mscale") == true
            #expect(isCarried, "\(limit ?? "")")
        case (.some, .failure): break
        }
    }
}
