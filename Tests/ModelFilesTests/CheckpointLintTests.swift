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
        #expect(empty.contains { $0.place == "config.json" && $0.severity == .error })
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
