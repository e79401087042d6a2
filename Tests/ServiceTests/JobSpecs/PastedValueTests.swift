internal import Formats
@testable internal import JobSpecs
internal import Testing

/// Values that people paste from Lightning, NeMo, Hugging Face Trainer and Axolotl files.
@Suite struct PastedValueTests {
    private func job(
        _ more: String,
        quantization: String = #"{"algorithm": "mxfp4"}"#,
        data: String = ""
    ) throws -> ParsedJob {
        let text = """
            {"model": "m", "quantization": \(quantization),
             "data": {"train": ["t.txt"], "validation": ["t.txt"], "seq_length": 64\(data)}\(more)}
            """
        return try ParsedJob(kind: "train", json: Array(text.utf8))
    }

    private func trainer(_ section: String) throws -> TrainerOptions {
        let parsed = try job(", \"trainer\": \(section)")
        guard case .train(let spec) = parsed.spec else { throw CancellationError() }
        // What is submitted says the same, though canonical JSON has no 1.0.
        let again = try JobSpec.parse(kind: "train", json: parsed.document.canonicalBytes)
        #expect(again == parsed.spec)
        return spec.trainer
    }

    /// Lightning: a float is a fraction of all, 1.0 all of it; an integer is a count.
    @Test func aPointMakesAFractionOfAll() throws {
        #expect(try trainer(#"{"limit_val_batches": 1.0}"#).validationBatches == nil)
        #expect(try trainer(#"{"limit_val_batches": 1e0}"#).validationBatches == nil)
        #expect(try trainer(#"{"limit_val_batches": 1}"#).validationBatches == .count(1))
        #expect(try trainer(#"{"limit_val_batches": 0.5}"#).validationBatches == .fraction(0.5))
        #expect(try trainer(#"{"val_check_interval": 1.0}"#).validationInterval == nil)
        #expect(try trainer(#"{"val_check_interval": 1}"#).validationInterval == .count(1))
        #expect(try trainer(#"{"val_check_interval": 50}"#).validationInterval == .count(50))
    }

    /// A number is what it is worth, however it is written: a count of so many.
    @Test(arguments: ["1000", "1e3", "1E3", "1e+3", "10e2", "1000.0", "1.0e3"])
    func wholeNumbersMayHaveAnExponent(text: String) throws {
        #expect(try trainer(#"{"max_steps": \#(text)}"#).maximumSteps == 1000)
        guard !text.contains(".") else { return }
        #expect(
            try trainer(#"{"val_check_interval": \#(text)}"#).validationInterval == .count(1000)
        )
    }

    /// By hand; the limit of steps is a thousand millions.
    @Test(arguments: [
        ("1e10", "1e10 is not allowed; expected an integer from 1 to 1000000000"),
        ("1e-3", "1e-3 is not allowed; expected an integer"), ("2.5", "2.5 is not allowed"),
        (#""1_000""#, "write 1000"), (#""1,000""#, "write 1000"), (#""10k""#, "write 10000"),
        (#""2M""#, "write 2000000"), (#""+5""#, "write 5"), (#""1e3""#, "write 1e3 without quotes"),
        (#""1,5""#, "found a string; expected an integer from 1 to 1000000000"),
        (#""3G""#, "found a string; expected an integer from 1 to 1000000000"),
    ])
    func whatIsNoWholeNumberIsRefusedInASentence(text: String, expected: String) {
        let error = #expect(throws: JobSpecError.self) {
            try job(#", "trainer": {"max_steps": \#(text)}"#)
        }
        #expect(error?.description.contains(expected) == true, "\(error?.description ?? "")")
    }

    @Test(arguments: [("16", "16"), ("32", "32"), ("\"16\"", "16"), ("\"bf16\"", "bf16")])
    func precisionsMayBeIntegers(value: String, word: String) throws {
        #expect(try trainer(#"{"precision": \#(value)}"#).precision == word)
    }

    @Test(arguments: [
        (#", "trainer": {"limit_val_batches": 50.0}"#, "50.0 is not allowed", "write 50"),
        (#", "trainer": {"limit_val_batches": 0}"#, "0 is not allowed", "write 1 for one window"),
        (#", "trainer": {"max_steps": -1}"#, "-1 is not allowed", "leave it out, and max_epochs"),
        (#", "trainer": {"max_steps": "100"}"#, "found a string", "write 100 without quotes"),
        (#", "trainer": {"devices": "auto"}"#, "found a string", "write 1, or leave it out"),
        (#", "trainer": {"devices": -1}"#, "-1 is not allowed", "write 1, or leave it out"),
        (#", "trainer": {"accelerator": "cuda"}"#, "\"cuda\" is not allowed", "write \"gpu\""),
        (#", "trainer": {"precision": 64}"#, "64 is not allowed", "32-true"),
        (#", "optim": {"lr": "1e-5"}"#, "found a string", "write 1e-5 without quotes"),
        (#", "optim": {"lr": 4e7}"#, "4e7 is not allowed", "did you mean 4e-7?"),
        (#", "optim": {"name": "fused_adam"}"#, "is not allowed", "write \"adamw\""),
        (#", "optim": {"name": "AdamW"}"#, "is not allowed", "did you mean \"adamw\"?"),
        (
            #", "optim": {"sched": {"name": "cosine"}}"#, "is not allowed",
            "write \"CosineAnnealing\""
        ),
        (
            #", "optim": {"lr": 1e-5, "sched": {"name": "CosineAnnealing", "min_lr": 1e-4}}"#,
            "$.optim.sched.min_lr", "at most the learning rate"
        ),
        (#", "model": "https://h.co/m""#, "duplicate key", "$.model"),
    ])
    func saysWhatToWrite(more: String, found: String, advice: String) {
        let error = #expect(throws: JobSpecError.self) { try job(more) }
        let text = error?.description ?? ""
        #expect(text.contains(found) && text.contains(advice), "\(text)")
    }

    @Test(arguments: [
        ("$", "learning_rate", "$.optim.lr"), ("$.optim", "learning_rate", "\"lr\""),
        ("$", "batch_size", "$.trainer.micro_batch_size"),
        ("$.trainer", "batch_size", "\"micro_batch_size\""),
        ("$", "epochs", "$.trainer.max_epochs"),
        ("$", "num_train_epochs", "$.trainer.max_epochs"),
        ("$.quantization", "block_size", "\"scaling_granularity\""),
        ("$", "block_size", "$.data.seq_length"), ("$.data", "block_size", "\"seq_length\""),
        ("$.trainer", "block_size", "$.data.seq_length"),
        ("$.quantization", "group_size", "\"scaling_granularity\""),
        ("$.data", "block_size", "\"seq_length\""), ("$", "max_length", "$.data.seq_length"),
        ("$.trainer", "gradient_accumulation_steps", "\"accumulate_grad_batches\""),
        ("$.optim.sched", "warmup_ratio", "\"warmup_steps\" (a number of steps"),
        ("$.trainer", "Max-Grad-Norm", "\"gradient_clip_val\""),
        ("$", "model_name_or_path", "\"model\""),
    ])
    func namesTheKeyForThatOfAnotherTool(path: String, key: String, place: String) throws {
        let hint = KnownSynonym.hint(for: key, at: path, in: JobSchema.train)
        #expect(hint?.hasPrefix("did you mean \(place)") == true, "\(hint ?? "nil")")
    }

    @Test func everySynonymLeadsToAKeyOfSomeKind() {
        let schemas = [JobSchema.train, JobSchema.quantize, JobSchema.evaluate, JobSchema.serve]
        for (key, places) in KnownSynonym.places {
            for place in places {
                #expect(schemas.contains { $0.hasField(at: place) }, "\(key): \(place)")
            }
        }
    }

    @Test func aKeyInTheWrongPlaceIsSentToItsOwn() {
        let error = #expect(throws: JobSpecError.self) { try job(#", "seq_length": 64"#) }
        #expect(error?.description.contains("its place is $.data.seq_length") == true)
        // Nothing of the kind exists in evaluations.
        #expect(KnownSynonym.hint(for: "epochs", at: "$", in: JobSchema.evaluate) == nil)
    }

    @Test(arguments: [
        (
            #", "optim": {"sched": {"warmup_steps": 100}}, "trainer": {"max_steps": 5}"#,
            "$.optim.sched.warmup_steps: 100 is not below the 5 steps"
        ),
        (
            #", "trainer": {"precision": 16}"#,
            "$.trainer.precision: 16: CPU workers compute in FP32 then"
        ),
        (
            #", "trainer": {"gradient_clip_val": null}"#,
            "$.trainer.gradient_clip_val: null means the default"
        ),
        (#", "optim": {"sched": {"min_lr": 1e-6}}"#, "$.optim.sched.min_lr: has no effect"),
        (
            #", "optim": {"sched": {"constant_steps": 6}}"#,
            "$.optim.sched.constant_steps: has no effect"
        ),
        (
            #", "distillation": {"teacher_cache": {}}"#,
            "$.distillation.teacher_cache: windows at random offsets are hardly ever"
        ),
        (#", "distillation": {"beta": 0.3}"#, "$.distillation.beta: has no effect"),
        (
            #", "export": [{"format": "gguf", "max_beam_width": 4}]"#,
            "$.export[0].max_beam_width: has no effect"
        ),
    ])
    func warnsAboutWhatHasNoEffect(more: String, expected: String) throws {
        let warnings = try job(more).warnings
        #expect(warnings.count == 1)
        #expect(warnings.first?.description.hasPrefix(expected) == true, "\(warnings)")
        #expect(warnings.first?.line == 2)
    }

    @Test(arguments: [
        (#", "dataloader_type": "single""#, "dataloader_type"),
        (#", "skip_warmup": false"#, "skip_warmup"),
        (#", "calibration": ["c.txt"]"#, "calibration"),
    ])
    func warnsAboutDataThatIsNotRead(data: String, key: String) throws {
        #expect(try job("", data: data).warnings.map(\.path) == ["$.data.\(key)"])
    }

    @Test(arguments: [
        (#"{"algorithm": "nvfp4", "scale_mode": "even"}"#, "scale_mode"),
        (#"{"algorithm": "nvfp4", "ste": "clip"}"#, "ste"),
        (#"{"algorithm": "mxfp4", "calibration_size": 8}"#, "calibration_size"),
        (
            #"{"algorithm": "mxfp4", "scaling_granularity": 16, "enable_micro_tensor_scaling": false}"#,
            "scaling_granularity"
        ),
        (
            #"{"algorithm": "mxfp4", "schedule": {"stages": [{"until": 1, "algorithm": "fp8"}]}}"#,
            "algorithm"
        ),
    ])
    func warnsAboutFormatsThatAreNeverInForce(quantization: String, key: String) throws {
        let warnings = try job("", quantization: quantization).warnings
        #expect(warnings.map(\.path).contains("$.quantization.\(key)"), "\(warnings)")
    }

    @Test func warnsAboutKnobsOfOtherMethods() throws {
        let text = """
            {"model": "m", "seed": 1, "quantization": {"algorithm": "mxfp4", "percentile": 99,
             "damping": 0.1, "activation_order": true, "migration": 0.5, "sensitivity": "kl",
             "scale_search": "sweep", "calibration_size": 4, "enable_kv_cache": true,
             "kv_cache": "none"}, "data": {"seq_length": 64}}
            """
        let parsed = try ParsedJob(kind: "quantize", json: Array(text.utf8))
        let keys = [
            "percentile", "damping", "activation_order", "migration", "sensitivity", "scale_search",
            "calibration_size", "enable_kv_cache",
        ]
        let paths = keys.map { "$.quantization.\($0)" } + ["$.seed", "$.data.seq_length"]
        #expect(Set(parsed.warnings.map(\.path)) == Set(paths))
    }

    @Test func whatDoesSomethingIsNotWarnedAbout() throws {
        let text = """
            {"model": "m", "seed": 1, "quantization": {"algorithm": "nvfp4", "method": "gptq",
             "scale_search": "sweep", "damping": 0.1, "activation_order": true,
             "calibration_size": 4}, "data": {"calibration": ["c"], "seq_length": 64}}
            """
        #expect(try ParsedJob(kind: "quantize", json: Array(text.utf8)).warnings.isEmpty)
        #expect(try job(#", "seed": 1, "trainer": {"max_steps": 5}"#).warnings.isEmpty)
    }

    @Test(arguments: [
        ("{\"a\": 1,}", "leave out the comma before it"), ("{\"a\": [1,]}", "leave out the comma"),
        ("// a job\n{}", "JSON has no comments"), ("{\"a\": 1 # one\n}", "JSON has no comments"),
        ("{\"a\": NaN}", "JSON has no NaN"), ("{\"a\": True}", "write true"),
        ("{\"a\": None}", "write null"), ("{'a': 1}", "write \" around strings"),
        ("model: m\nquantization:\n  algorithm: fp4\n", "looks like YAML"),
        ("# a job\n---\nmodel: m\n", "looks like YAML"),
    ])
    func saysWhatJSONDoesNotHave(text: String, advice: String) {
        let error = #expect(throws: JobSpecError.self) {
            try JobSpec.parse(kind: "train", json: Array(text.utf8))
        }
        #expect(error?.code == .invalidJSON)
        #expect(error?.description.contains(advice) == true, "\(error?.description ?? "")")
    }

    @Test(arguments: [
        ("https://huggingface.co/x/y", InputReference.Role.model, "nothing is fetched"),
        ("hf://x/y", .model, "nothing is fetched"),
        ("meta-llama/Llama-3.2-1B", .model, "hf download meta-llama/Llama-3.2-1B"),
        ("models/pytorch_model.bin", .model, "safe_serialization"), ("a.pt", .model, "unpickling"),
        ("model.nemo", .model, "NeMo archives"), ("m/model.safetensors", .model, "the folder"),
        ("corpus.bin", .corpus, "prefix of .bin and .idx: corpus"), ("c.bin", .text, "data_impl"),
        ("t.parquet", .text, "UTF-8 text"),
    ])
    func saysWhatHelpsWithAnInput(text: String, role: InputReference.Role, advice: String) {
        let found = InputReference.advice(for: text, role: role)
        #expect(found?.contains(advice) == true, "\(found ?? "nil")")
    }

    @Test(arguments: ["m.gguf", "model", "models/a/b", "./a/b", "/a/b", "job:1/model"])
    func plainPathsNeedNoAdvice(text: String) {
        #expect(InputReference.advice(for: text, role: .model) == nil)
        #expect(InputReference.advice(for: "text.txt", role: .text) == nil)
    }

    @Test func aURLIsRefusedBeforeAnythingIsSought() {
        let text = #"{"model": "s3://b/m", "quantization": {"algorithm": "fp4"}}"#
        let error = #expect(throws: JobSpecError.self) {
            try JobSpec.parse(kind: "quantize", json: Array(text.utf8))
        }
        #expect(error?.description.contains("$.model: \"s3://b/m\" is not allowed") == true)
        #expect(error?.description.contains("nothing is fetched from the network") == true)
    }
}
