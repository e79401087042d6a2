internal import Foundation
internal import JobSpecs
internal import Protocol
internal import Testing
@testable internal import qat_client

@Suite struct SubmissionPlanTests {
    private let folder: TemporaryHome

    init() throws {
        folder = try TemporaryHome()
    }

    private func job(model: String = "m.gguf", text: String = "t.txt") throws -> String {
        try folder.write(
            "job.json",
            #"{"model": "\#(model)", "quantization": {"algorithm": "fp4"}, "data": {"train": ["\#(text)"]}}"#
        )
    }

    private func problems(_ file: String) -> [String] {
        let error = #expect(throws: ClientError.self) {
            try SubmissionPlan(kind: "train", file: file, name: nil)
        }
        #expect(error?.status == .usage)
        return (error?.lines ?? []).map { $0.replacing(folder.home.path, with: "") }
    }

    @Test func findsAndHashesInputsBesideTheJobFile() throws {
        try folder.writeModel("models/m.gguf")
        try folder.write("t.txt", "abc")
        let plan = try SubmissionPlan(
            kind: "train",
            file: try job(model: "models/m.gguf"),
            name: nil
        )
        #expect(plan.name == "job")
        #expect(plan.inputs.map(\.pointer) == ["/model", "/data/train/0"])
        #expect(plan.inputs.map(\.source) == ["file", "file"])
        #expect(plan.inputs[0].files[0].name == "m.gguf")
        #expect(
            plan.inputs[1].files[0].digest.hex
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        )
        #expect(plan.byteCount == 75)
    }

    @Test func namesEveryInputThatIsMissing() throws {
        #expect(
            problems(try job()) == [
                "/job.json: $.model: no such file or folder: /m.gguf",
                "/job.json: $.data.train[0]: no such file or folder: /t.txt",
            ]
        )
    }

    @Test func refusesInputsThatAreNotWhatTheyShouldBe() throws {
        try folder.write("m.gguf", "PK\u{3}\u{4} something else")
        try folder.write("t.txt", "abc")
        let lines = problems(try job())
        #expect(lines.count == 1)
        #expect(lines[0].hasPrefix("/job.json: $.model: /m.gguf is no GGUF file"))
        try folder.writeModel(version: 1)
        #expect(
            problems(try job()) == [
                "/job.json: $.model: /m.gguf has GGUF version 1; expected 2 or 3"
            ]
        )
        try folder.write("m.gguf", "GGUF\u{3}")
        #expect(problems(try job())[0].contains("is cut off: 5 bytes"))
    }

    @Test func sendsOnlyWhatAModelFolderNeeds() throws {
        try folder.write("t.txt", "abc")
        for name in [
            "config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
            "generation_config.json", "model-00001.safetensors", "model.safetensors.index.json",
            "README.md", "LICENSE", "chat_template.jinja", "additional_chat_templates/rag.jinja",
            "tokenizer.model", "modeling_own.py", "pytorch_model.bin", "training_args.json",
            "consolidated.safetensors", "model.safetensors", "pytorch_model.bin.index.json",
        ] {
            try folder.write("hf/\(name)", name)
        }
        let index = #"{"weight_map": {"a": "model-00001.safetensors"}}"#
        try folder.write("hf/model.safetensors.index.json", index)
        let plan = try SubmissionPlan(kind: "train", file: try job(model: "hf"), name: "n")
        #expect(plan.name == "n")
        #expect(plan.inputs[0].source == "folder")
        #expect(
            plan.inputs[0].files.map(\.name) == [
                "LICENSE", "README.md", "additional_chat_templates/rag.jinja",
                "chat_template.jinja", "config.json", "generation_config.json",
                "model-00001.safetensors", "model.safetensors.index.json",
                "special_tokens_map.json", "tokenizer.json", "tokenizer.model",
                "tokenizer_config.json",
            ]
        )
        #expect(
            plan.notes == [
                "$.model: consolidated.safetensors, model.safetensors stay here: the weights are in "
                    + "the files that model.safetensors.index.json names"
            ]
        )
        try FileManager.default.removeItem(at: folder.url.appending(path: "hf/config.json"))
        #expect(problems(try job(model: "hf"))[0].contains("/hf has no config.json"))
    }

    /// Seen: Mistral's 14.5 GB went twice, as shards and as `consolidated.safetensors`, which nothing reads.
    @Test(arguments: [
        (["model.safetensors", "consolidated.safetensors"], ["model.safetensors"]),
        (["model.safetensors"], ["model.safetensors"]),
        // What is read is not there: the model says so when it is opened, of all that is.
        (
            ["consolidated.safetensors", "x.safetensors"],
            ["consolidated.safetensors", "x.safetensors"]
        ),
    ])
    func sendsOnlyTheWeightsThatAreRead(there: [String], sent: [String]) throws {
        try folder.write("t.txt", "abc")
        for name in there + ["config.json"] { try folder.write("hf/\(name)", name) }
        let plan = try SubmissionPlan(kind: "train", file: try job(model: "hf"), name: "n")
        let names = plan.inputs[0].files.map(\.name)
        #expect(names.filter { $0.hasSuffix(".safetensors") } == sent)
        let left = there.filter { !sent.contains($0) }
        #expect(plan.notes.isEmpty == left.isEmpty)
        for name in left {
            #expect(
                plan.notes == ["$.model: \(name) stays here: the weights are in model.safetensors"]
            )
        }
    }

    @Test func saysWhatToDoAboutOtherModels() throws {
        try folder.write("t.txt", "abc")
        for (model, advice) in [
            ("meta-llama/Llama-3.2-1B", "hf download meta-llama/Llama-3.2-1B"),
            ("m.nemo", "NeMo archives are not read"), ("pytorch_model.bin", "safe_serialization"),
        ] {
            let lines = problems(try job(model: model))
            #expect(lines.count == 1 && lines[0].contains("$.model: no such file or folder"))
            #expect(lines[0].contains(advice), "\(lines)")
        }
        try folder.write("pt/config.json", "{}")
        try folder.write("pt/pytorch_model.bin", "PK")
        #expect(
            problems(try job(model: "pt"))[0].contains("holds pytorch_model.bin: PyTorch files")
        )
        try folder.write("gg/model.gguf", "GGUF")
        #expect(problems(try job(model: "gg"))[0].contains("holds model.gguf: write that file's"))
        try folder.write("lora/adapter_config.json", "{}")
        #expect(problems(try job(model: "lora"))[0].contains("merge it into its base model"))
        #expect(problems(folder.url.path)[0].contains("is a folder; expected a job file, in JSON"))
    }

    @Test func leavesOtherJobsOutputsToTheGateway() throws {
        try folder.write("t.txt", "abc")
        let plan = try SubmissionPlan(kind: "train", file: try job(model: "job:j-1"), name: nil)
        #expect(plan.inputs[0].source == "job:j-1/model")
        #expect(plan.inputs[0].files.isEmpty)
    }

    @Test func skipsAByteOrderMarkAndSaysSo() throws {
        try folder.writeModel()
        try folder.write("t.txt", "abc")
        let file = try job()
        let plain = try SubmissionPlan(kind: "train", file: file, name: nil)
        #expect(plain.notes.isEmpty)
        let text = try String(contentsOfFile: file, encoding: .utf8)
        try folder.write("job.json", "\u{FEFF}" + text)
        let marked = try SubmissionPlan(kind: "train", file: file, name: nil)
        #expect(marked.digest == plain.digest)
        #expect(marked.notes == ["$: the byte order mark at its start is skipped"])
    }

    @Test func hasADigestOfAllThatMakesTheJob() throws {
        try folder.writeModel()
        try folder.write("t.txt", "abc")
        let file = try job()
        let first = try SubmissionPlan(kind: "train", file: file, name: nil).digest
        #expect(try SubmissionPlan(kind: "train", file: file, name: nil).digest == first)
        #expect(try SubmissionPlan(kind: "train", file: file, name: "x").digest != first)
        try folder.write("t.txt", "abd")
        #expect(try SubmissionPlan(kind: "train", file: file, name: nil).digest != first)
    }

    @Test func namesTheFileInWhatTheSpecificationLacks() throws {
        let file = try folder.write("bad.json", #"{"model": "m", "data": {"train": ["t"]}}"#)
        #expect(
            problems(file) == ["/bad.json: $.quantization: missing; expected an object"]
        )
    }
}

@Suite struct ProfileTests {
    private let folder: TemporaryHome

    init() throws {
        folder = try TemporaryHome()
    }

    @Test func keepsWhatItSavesAndLetsTheEnvironmentOverride() throws {
        let profile = Profile(
            gateway: "127.0.0.1:7443",
            certificatePath: "/c.pem",
            privateKeyPath: "/c.key",
            trustRootsPath: "/ca.pem"
        )
        try profile.save(folder.home)
        #expect(try Profile.load(folder.home, environment: [:]) == profile)
        let moved = try Profile.load(folder.home, environment: ["QAT_GATEWAY": "h:1"])
        #expect(moved.gateway == "h:1")
    }

    @Test func saysWhatIsMissing() throws {
        let none = #expect(throws: ClientError.self) {
            try Profile.load(folder.home, environment: [:])
        }
        #expect(none?.status == .usage)
        try folder.write("profile.json", #"{"gateway": 1}"#)
        let wrong = #expect(throws: ClientError.self) {
            try Profile.load(folder.home, environment: [:])
        }
        #expect(wrong?.status == .usage)
        #expect(wrong?.lines.first?.contains("$.gateway: missing") == true)
    }

    @Test func findsTheHomeInTheEnvironment() {
        #expect(QatHome(environment: ["QAT_HOME": "/x/y/../z"]).path == "/x/z")
        #expect(QatHome(environment: ["QAT_HOME": ""]).path.hasSuffix("/.qat"))
    }
}

@Suite struct SchemaRowTests {
    @Test func explainsEveryKeyOfEveryKind() throws {
        for kind in JobSchema.kinds {
            let rows = SchemaRow.rows(of: try JobSchema.schema(fileKind: kind))
            #expect(rows.count > 8)
            #expect(rows.allSatisfy { $0.documentation.hasSuffix(".") })
            #expect(rows.allSatisfy { !$0.expectation.isEmpty })
        }
    }

    @Test func namesNestedKeysByTheirPaths() throws {
        let rows = SchemaRow.rows(of: try JobSchema.schema(fileKind: "train"))
        let row = try #require(rows.first { $0.path == "$.optim.sched.warmup_steps" })
        #expect(row.remark == "; default 0")
        #expect(rows.contains { $0.path == "$.quantization.layers[].pattern" && $0.isRequired })
        let tasks = SchemaRow.rows(of: try JobSchema.schema(fileKind: "evaluate"))
        #expect(tasks.contains { $0.path == "$.tasks[](benchmark).num_runs" })
    }

    /// Seen: `/model: no job first; …`, where everything else says `$.model`.
    @Test(arguments: [
        ("/model: no job \"a\"; write", "$.model: no job \"a\"; write"),
        ("/data/train/0: no job", "$.data.train[0]: no job"),
        ("/models/1/model: no", "$.models[1].model: no"),
        ("job train: /model: no job", "job train: $.model: no job"),
        ("no job /model: x", "no job /model: x"), ("", ""),
        ("/tmp/A file: no", "/tmp/A file: no"),
    ])
    func aGatewaysSentenceNamesThePlaceInTheFile(sentence: String, expected: String) {
        #expect(SubmitCommand.placed(sentence) == expected)
    }
}
