internal import Foundation
internal import Kernels
internal import Quantization
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// Our exports are clean, and every fault put into one is found where it is.
struct CheckpointLintTests {
    @Test(arguments: LintSample.allCases)
    func exportsAreClean(sample: LintSample) throws {
        let folder = try TemporaryFolder()
        try sample.write(to: folder.path)
        #expect(CheckpointLint.lint(path: folder.path) == [])
    }

    @Test(arguments: HuggingFaceWriter.Format.allCases)
    func untiedHeadsAreClean(format: HuggingFaceWriter.Format) throws {
        let folder = try TemporaryFolder()
        let algorithm = ["modelopt": "nvfp4"][format.rawValue] ?? "mxfp4"
        try LintSample.export(algorithm, as: format, to: folder.path, tied: false)
        #expect(CheckpointLint.lint(path: folder.path) == [])
    }

    @Test(arguments: LintFault.all)
    func faultsAreFound(fault: LintFault) throws {
        let folder = try TemporaryFolder()
        try fault.sample.write(to: folder.path)
        try fault.inject(folder.path)
        let findings = CheckpointLint.lint(path: folder.path)
        let found = findings.contains { finding in
            finding.severity == fault.severity && finding.place == fault.place
                && finding.message.contains(fault.message)
        }
        #expect(found, "\(fault.name): \(findings)")
        #expect(findings.allSatisfy { !$0.message.contains("\n") })
    }

    @Test func whatCannotBeReadIsOneError() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write([UInt8]("GGUX and more".utf8), "x.gguf")
        let findings = CheckpointLint.lint(path: file)
        #expect(findings.map(\.place) == ["x.gguf"])
        #expect(findings.first?.message.contains("not a GGUF file") == true)
        #expect(CheckpointLint.lint(path: folder.path + "/none").count == 1)
        let empty = CheckpointLint.lint(path: folder.path)
        #expect(empty.map(\.place) == ["config.json"])
        #expect(empty.first?.message.contains("no checkpoint") == true)
    }

    /// llm-compressor writes scales in the model's type.
    @Test func scalesInBF16AreWarnings() throws {
        let folder = try TemporaryFolder()
        try LintSample.compressedFP8Channel.write(to: folder.path)
        let name = "model.layers.0.mlp.up_proj.weight_scale"
        try LintFault.stored(folder.path) { tensors in
            let bytes = [UInt8](repeating: 0x3C, count: 2 * 96)
            tensors[name] = .init(type: .bf16, shape: [96, 1], bytes: bytes)
        }
        let findings = CheckpointLint.lint(path: folder.path)
        #expect(findings.map(\.place) == [name])
        #expect(findings.first?.severity == .warning)
    }

    @Test func targetsMayBeExpressions() throws {
        let folder = try TemporaryFolder()
        try LintSample.compressedMixed.write(to: folder.path)
        try LintFault.rewrite("config.json", in: folder.path) { root in
            LintFault.edit(&root, "quantization_config") { quantization in
                LintFault.edit(&quantization, "config_groups") { groups in
                    LintFault.edit(&groups, "group_0") { $0["targets"] = ["re:.*mlp", "x"] }
                    LintFault.edit(&groups, "group_1") { $0["targets"] = ["Linear"] }
                }
            }
        }
        #expect(CheckpointLint.lint(path: folder.path) == [])
    }
}
