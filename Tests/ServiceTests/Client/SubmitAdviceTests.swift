internal import Foundation
internal import JobInputs
internal import JobSpecs
internal import Testing

@testable internal import qat_client

/// What is refused or said at submit of a tiny model with one layer of seven matrices.
@Suite struct SubmitAdviceTests {
    private let folder: TemporaryHome

    init() throws {
        folder = try TemporaryHome()
        try TinyModelFolder().write(to: folder.home.path + "/m")
        try folder.write("t.txt", String(repeating: "words ", count: 40))
    }

    private func validate(_ kind: String, _ json: String) throws -> [String] {
        let file = try folder.write("job.json", json)
        let plan = try SubmissionPlan(kind: kind, file: file, name: nil)
        return try InputValidation(plan, file: file).remarks
    }

    /// The lines of a refusal, without the job file's name.
    private func problems(_ kind: String, _ json: String) -> [String] {
        let error = #expect(throws: ClientError.self) { try validate(kind, json) }
        let file = folder.home.path + "/job.json: "
        return (error?.lines ?? []).map { $0.replacing(file, with: "") }
    }

    private func quantize(
        _ quantization: String,
        data: String = "",
        exports: String = #"{"format": "compressed-tensors"}"#
    ) -> String {
        """
        {"model": "m", "quantization": {\(quantization)}, \(data)"export": [\(exports)]}
        """
    }

    private let calibration = #""data": {"calibration": ["t.txt"], "seq_length": 32}, "#

    private func train(
        _ algorithm: String = "mxfp4",
        _ more: String = "",
        validation: String = #""validation": ["t.txt"], "#
    ) -> String {
        """
        {"model": "m", "quantization": {"algorithm": "\(algorithm)"},
         "data": {"train": ["t.txt"], \(validation)"seq_length": 32},
         "trainer": {"max_steps": 1}\(more)}
        """
    }

    /// Whether a job waits for what not every worker offers the gateway alone knows.
    ///
    /// Seen: "the job waits for code execution" of one that a worker took at once.
    @Test func whatOneWorkerMayOfferIsNotSaidToBeWaitedFor() throws {
        let file = try folder.write(
            "job.json",
            #"{"models": [{"label": "m", "model": "m"}], "tasks": [{"type": "humaneval", "problems": "t.txt"}]}"#
        )
        let plan = try SubmissionPlan(kind: "evaluate", file: file, name: nil)
        let notes = SubmitCommand.warnings(plan.spec).filter { $0.contains("code execution") }
        #expect(
            notes == [
                "the job takes code execution, which eval workers with --allow-code-execution offer; "
                    + "while none does, it waits, and status says so"
            ]
        )
    }

    /// MX blocks of 32 elements share a scale of 8 bits (OCP MX 1.0): 4.25 bits, and 8.25.
    @Test func aBudgetHasToHoldTheSmallestCandidates() throws {
        func job(_ bits: String, _ rules: String = "") -> String {
            quantize(
                """
                "algorithm": "mxfp4", "effective_bits": \(bits), "candidates": ["mxfp4", "mxfp8"]\(rules)
                """,
                data: calibration
            )
        }
        for bits in ["2.0", "4.2"] {
            let lines = problems("quantize", job(bits))
            #expect(lines.count == 1)
            let start = "$.quantization.effective_bits: \(bits) is below the 4.25 stored bits"
            #expect(
                lines[0].hasPrefix(start) && lines[0].contains("write at least 4.25"),
                "\(lines)"
            )
        }
        #expect(try validate("quantize", job("4.25")).isEmpty)
        #expect(try validate("quantize", job("8.2")).isEmpty)
        let wide = try validate("quantize", job("8.25"))
        #expect(wide.count == 1 && wide[0].contains("8.25 limits nothing"), "\(wide)")
        let rules = #", "layers": [{"pattern": "*", "algorithm": "mxfp8"}]"#
        let lines = problems("quantize", job("5", rules))
        #expect(lines.contains { $0.contains("there is nothing to choose") }, "\(lines)")
    }

    @Test func exportsSayWhatTheyLeaveOut() throws {
        let found = try validate(
            "quantize",
            quantize(
                #""algorithm": "mxfp4", "activations": "mxfp4", "kv_cache": "fp8_cast""#,
                exports:
                    #"{"format": "compressed-tensors"}, {"format": "bf16"}, {"format": "gguf"}"#
            )
        )
        #expect(found.filter { $0.hasPrefix("$.export[0]") }.isEmpty)
        for place in ["$.export[1].format: bf16", "$.export[2].format: "] {
            let own = found.filter { $0.hasPrefix(place) }
            #expect(
                own.contains { $0.contains("the inputs of 7 modules are rounded to mxfp4") }
            )
            #expect(own.contains { $0.contains("scales of the key-value cache") }, "\(found)")
        }
        // Its values are held exactly: nothing to warn about.
        let plain = quantize(#""algorithm": "mxfp4""#, exports: #"{"format": "bf16"}"#)
        #expect(try validate("quantize", plain).isEmpty)
    }

    @Test func aTrainingFindsScalesOfInputsWhereItIsAskedTo() throws {
        let export = #", "export": [{"format": "modelopt"}]"#
        let lines = problems("train", train("fp8_per_tensor", export))
        #expect(lines.count == 1 && lines[0].hasPrefix("$.export[0].format: "))
        #expect(lines[0].contains(#"a training with "activations": "fp8_per_tensor" and"#))
        // The advice can be followed.
        let calibrated = train("fp8_per_tensor", export).replacing(
            #""algorithm": "fp8_per_tensor""#,
            with: #""algorithm": "fp8_per_tensor", "activations": "fp8_per_tensor", "#
                + #""activation_scales": "calibrated""#
        )
        #expect(throws: Never.self) { try validate("train", calibrated) }
        let job = quantize(
            #""algorithm": "fp8_per_tensor", "activations": "fp8_per_tensor""#,
            data: calibration,
            exports: #"{"format": "modelopt"}"#
        )
        #expect(try validate("quantize", job).isEmpty)
        let plain = train("fp8_per_tensor", #", "export": [{"format": "bf16"}]"#)
        #expect(throws: Never.self) { try validate("train", plain) }
    }

    /// Scales that inputs are trained under need a place in every export, and in one at least.
    @Test func thresholdsNeedAPlaceInTheExport() throws {
        func job(_ format: String, _ inputs: String, _ exports: String = "") -> String {
            train(format, exports).replacing(
                #""algorithm": "\#(format)""#,
                with: #""algorithm": "\#(format)", "activations": "\#(inputs)", "#
                    + #""activation_scales": "learned""#
            )
        }
        for layout in ["compressed-tensors", "modelopt"] {
            let export = #", "export": [{"format": "\#(layout)"}]"#
            #expect(throws: Never.self) { try validate("train", job("nvfp4", "nvfp4", export)) }
            #expect(throws: Never.self) {
                try validate("train", job("fp8_per_tensor", "fp8_per_tensor", export))
            }
        }
        for layout in ["gguf", "bf16", "quark"] {
            let export = #", "export": [{"format": "\#(layout)"}]"#
            let lines = problems("train", job("nvfp4", "nvfp4", export))
            #expect(lines.contains { $0.contains("\(layout) has no place for them") }, "\(lines)")
        }
        // The usual export is skipped where it cannot hold something: then nothing would be as trained.
        let none = problems("train", job("mxfp4", "nvfp4"))
        #expect(none.count == 1, "\(none)")
        #expect(none[0].hasPrefix("$.quantization.activation_scales: none of the exports holds"))
    }

    /// Adapters have layers to be added to.
    @Test func adaptersThatNameNoLayerAreRefused() throws {
        let none = problems(
            "train",
            train("mxfp4", #", "lora": {"target_modules": ["lm_head", "fc1"]}"#)
        )
        #expect(
            none.count == 1 && none[0].hasPrefix("$.lora.target_modules: names no linear layer")
        )
        #expect(none[0].contains("self_attn.q_proj"))
        let some = try validate(
            "train",
            train("mxfp4", #", "lora": {"target_modules": ["q_proj", "lm_head"], "r": 2}"#)
        )
        #expect(some.count == 1 && some[0].hasPrefix("$.lora.target_modules[1]: names no linear"))
        let wide = try validate("train", train("mxfp4", #", "lora": {"r": 512}"#))
        #expect(wide.count == 1 && wide[0].hasPrefix("$.lora.r: 512 is no low rank"))
    }

    @Test func whatDoesNothingIsSaid() throws {
        let lines = problems("train", train("mxfp4", #", "frozen": ["*"]"#))
        #expect(lines.count == 1 && lines[0].hasPrefix("$.frozen: names every parameter"))
        let halves = #", "frozen": ["*proj*", "*norm*", "*embed*"]"#
        #expect(problems("train", train("mxfp4", halves)).count == 1)
        let part = train("mxfp4", #", "frozen": ["*proj*", "*embed*"]"#)
        #expect(try validate("train", part).isEmpty)
        #expect(
            try validate("train", train(validation: ""))
                == ["$.data.validation: is empty: validated on the training text"]
        )
        for method in ["max", "percentile"] {
            let job = quantize(
                #""algorithm": "mxfp4", "method": "\#(method)""#,
                data: calibration
            )
            let found = try validate("quantize", job)
            #expect(found.count == 1)
            #expect(
                found[0].hasPrefix("$.data.calibration: nothing goes by the text: method \(method)")
            )
        }
        for more in [
            #""method": "gptq""#, #""method": "mse""#, #""method": "awq""#, #""kv_cache": "fp8""#,
        ] {
            let job = quantize(#""algorithm": "mxfp4", "# + more, data: calibration)
            #expect(try validate("quantize", job).isEmpty, "\(more)")
        }
    }

    @Test func aMissingTokenizerSaysWhoNeedsItAndWhatWouldDo() throws {
        let path = folder.home.path + "/m/"
        try FileManager.default.removeItem(atPath: path + "tokenizer.json")
        let exports = #"{"format": "compressed-tensors"}, {"format": "gguf"}"#
        let job = quantize(#""algorithm": "mxfp4""#, exports: exports)
        let lines = problems("quantize", job)
        #expect(lines.count == 1)
        #expect(lines[0].contains("no tokenizer.json and no tokenizer.model; either will do"))
        #expect(lines[0].hasSuffix("; $.export[1].format needs the tokenizer"))
        let gptq = quantize(#""algorithm": "mxfp4", "method": "gptq""#, data: calibration)
        #expect(problems("quantize", gptq)[0].hasSuffix("; $.data.calibration needs the tokenizer"))
        #expect(problems("train", train())[0].hasSuffix("; $.data.train needs the tokenizer"))
        for name in ["vocab.json", "merges.txt"] { try folder.write("m/" + name, "{}") }
        #expect(problems("quantize", job)[0].contains("AutoTokenizer.from_pretrained(folder)"))
    }

    @Test func missingShardsAreNamed() throws {
        let path = folder.home.path + "/m/"
        try FileManager.default.moveItem(
            atPath: path + "model.safetensors",
            toPath: path + "model-00001-of-00003.safetensors"
        )
        let index = """
            {"weight_map": {"a": "model-00001-of-00003.safetensors",
              "b": "model-00002-of-00003.safetensors", "c": "model-00003-of-00003.safetensors"}}
            """
        try folder.write("m/model.safetensors.index.json", index)
        let lines = problems("quantize", quantize(#""algorithm": "mxfp4""#))
        #expect(
            lines[0].contains(
                "2 of the 3 shards that model.safetensors.index.json names are missing: "
                    + "model-00002-of-00003.safetensors, model-00003-of-00003.safetensors"
            ),
            "\(lines)"
        )
    }

    @Test func aModelInTheJobFilesPlaceIsNamed() throws {
        let path = try folder.writeModel()
        for kind in [nil, "train"] {
            let error = #expect(throws: ClientError.self) { try JobFile(path, kind: kind) }
            let line = error?.lines.first ?? ""
            #expect(line.hasPrefix(path + " is a GGUF file; expected a job file, in JSON or YAML"))
        }
        let large = try folder.write("large.json", [UInt8](repeating: 0x20, count: 300_000))
        let error = #expect(throws: ClientError.self) { try JobFile(large, kind: nil) }
        #expect(error?.lines.first?.hasPrefix(large + " has 300.0 kB; expected a job file") == true)
    }
}
