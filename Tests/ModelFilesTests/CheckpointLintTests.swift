internal import Formats
internal import Foundation
internal import Kernels
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
        let algorithm = format == .modelopt ? "nvfp4" : "mxfp4"
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

    @Test(arguments: [
        (LintSample.compressedNVFP4, "config.json"), (.compressedMixed, "config.json"),
        (.modeloptMixed, "hf_quant_config.json"), (.quarkMixed, "config.json"),
        (.sharded, "model.safetensors.index.json"), (.modeloptNVFP4, "model.safetensors"),
        (.ggufNVFP4, "model.gguf"),
    ])
    func damageNeverCrashes(sample: LintSample, file: String) throws {
        let folder = try TemporaryFolder()
        try sample.write(to: folder.path)
        let whole = try LintFault.read(file, in: folder.path)
        var random = SplitMix64(seed: 7)
        for _ in 0..<60 {
            var bytes = whole
            for _ in 0..<3 {
                // Headers and directories stand first.
                let index = Int(random.next() % UInt64(min(bytes.count, 4096)))
                bytes[index] = UInt8(truncatingIfNeeded: random.next())
            }
            if random.next() % 4 == 0 { bytes.removeLast(bytes.count / 3) }
            try LintFault.write(bytes, file, in: folder.path)
            let findings = CheckpointLint.lint(path: folder.path)
            #expect(findings.allSatisfy { !$0.place.isEmpty && !$0.message.isEmpty })
        }
    }

    @Test func valuesOfOtherTypesNeverCrash() throws {
        let folder = try TemporaryFolder()
        try LintSample.compressedMixed.write(to: folder.path)
        let whole = try LintFault.read("config.json", in: folder.path)
        let values: [Any] = [NSNull(), -1, 1e300, "x", [1, 2], ["a": 1], true]
        for key in ["config_groups", "ignore", "format", "quant_method", "kv_cache_scheme"] {
            for value in values {
                try LintFault.write(whole, "config.json", in: folder.path)
                try LintFault.quantization(folder.path) { $0[key] = value }
                // Null is as good as nothing to ignore and no scheme of the cache.
                let isOptional = value is NSNull && ["ignore", "kv_cache_scheme"].contains(key)
                #expect(CheckpointLint.lint(path: folder.path).isEmpty == isOptional, "\(key)")
                try LintFault.rewrite("config.json", in: folder.path) { root in
                    root["quantization_config"] = value
                }
                #expect(!CheckpointLint.lint(path: folder.path).isEmpty, "\(value)")
            }
        }
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

extension CheckpointLintTests {
    /// A target of the file's own must not keep the linter busy: nested repetition takes linear time.
    @Test func expressionsTakeLinearTime() {
        let list = ModuleNames(["re:([a-z_.0-9]+)+!", "re:(unclosed"], .expressions)
        #expect(list.match("model.layers.10.self_attn.q_proj.and.much.more.of.it") == nil)
        #expect(list.invalid == ["re:(unclosed"])
    }
}
