internal import Foundation
internal import Testing

@testable internal import ModelFiles

/// What an export makes of sources that say too little, or what llama.cpp would stumble over.
@Suite struct CarriedNotesTests {
    private static func members(_ path: String) throws -> [String: Any] {
        let data = try Data(contentsOf: URL(fileURLWithPath: path + "/config.json"))
        return try JSONSerialization.jsonObject(with: data) as? [String: Any] ?? [:]
    }

    /// Servers choose the model's class by `architectures`, which Transformers can do without.
    @Test(arguments: [nil, NSNull()] as [NSNull?])
    func architecturesAreWrittenWhereTheSourceHasNone(value: NSNull?) throws {
        let sample = try SourceSample(["tokenizer_config.json": "{}"])
        try LintFault.rewrite("config.json", in: sample.path) { $0["architectures"] = value }
        let out = try sample.export(.bf16)
        #expect(try Self.members(out)["architectures"] as? [String] == ["LlamaForCausalLM"])
        let errors = CheckpointLint.lint(path: out).filter { $0.severity == .error }
        #expect(errors.isEmpty, "\(errors)")
    }

    @Test func theModelTypeIsWrittenWhereTheClassAloneNamesIt() throws {
        let sample = try SourceSample()
        try LintFault.rewrite("config.json", in: sample.path) { $0["model_type"] = nil }
        #expect(try Self.members(sample.export(.bf16))["model_type"] as? String == "llama")
    }

    /// llama.cpp 0.3.36 fails on a name with `phi3` or `phi-3` unless four tokens are there.
    @Test(arguments: [
        ("My-Phi3-mini", "My-Phi 3-mini"), ("l-phi-3", "l-phi 3"), ("Phi-4-mini", "Phi-4-mini"),
    ])
    func namesThatAskForMissingTokensAreSpelledOtherwise(name: String, written: String) throws {
        let card = "---\nmodel_name: \(name)\n---\n"
        let sample = try SourceSample(["README.md": card])
        #expect(try sample.gguf().text("general.name") == written)
        let summary = try SourceSample.export(
            sample.path,
            to: sample.folder.path + "/noted",
            format: nil
        )
        let notes = summary.notes.filter { $0.contains("llama.cpp looks for </s>, <unk>, <s>") }
        #expect(notes.isEmpty == (name == written))
    }

    @Test func aModelWithoutAnEndIsNoted() throws {
        let sample = try SourceSample()
        try LintFault.rewrite("config.json", in: sample.path) { $0["eos_token_id"] = nil }
        let summary = try SourceSample.export(
            sample.path,
            to: sample.folder.path + "/out",
            format: nil
        )
        #expect(summary.notes.contains { $0.contains("names no token that ends a text") })
    }
}
