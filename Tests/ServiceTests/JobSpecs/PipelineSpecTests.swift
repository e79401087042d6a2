internal import Testing

@testable internal import JobSpecs

@Suite struct PipelineSpecTests {
    private static let quantize =
        #"{"model": "m.gguf", "quantization": {"algorithm": "mxfp4"}, "export": [{"format": "bf16"}, {"format": "gguf"}]}"#
    private static let train =
        #"{"model": "job:ptq", "quantization": {"algorithm": "mxfp4"}, "trainer": {"max_steps": 3}, "#
        + #""data": {"train": ["t.txt"], "seq_length": 16}}"#
    private static func evaluate(_ model: String) -> String {
        #"{"models": [{"label": "a", "model": "\#(model)"}], "#
            + #""tasks": [{"type": "perplexity", "text": "t.txt"}]}"#
    }

    private static func spec(_ text: String) throws -> PipelineSpec {
        try PipelineSpec(document: JSONParser.parse(Array(text.utf8)))
    }

    private static func jobs(_ jobs: String) -> String { #"{"jobs": {"# + jobs + "}}" }

    @Test func readsJobsOfEveryKindInTheOrderOfTheirReferences() throws {
        let spec = try Self.spec(
            """
            {"name": "all", "jobs": {
              "compare": \(Self.evaluate("job:qat/model")),
              "qat": \(Self.train),
              "ptq": \(Self.quantize)
            }}
            """
        )
        #expect(spec.name == "all")
        #expect(spec.parts.map(\.name) == ["ptq", "qat", "compare"])
        #expect(spec.parts.map(\.kind) == ["quantize", "train", "evaluate"])
        #expect(spec.parts[1].path == "$.jobs.qat")
        #expect(spec.warnings.isEmpty)
    }

    @Test func whatNeedsNothingKeepsTheOrderOfTheFile() throws {
        let lines = ["z", "b", "y"].map { "\"\($0)\": \(Self.quantize)" }
        let spec = try Self.spec(Self.jobs(lines.joined(separator: ",\n")))
        #expect(spec.parts.map(\.name) == ["z", "b", "y"])
    }

    @Test func jobsMayStartAfterOthersAndSayTheirKind() throws {
        let after = Self.quantize.replacing(
            "{\"model\"",
            with: #"{"kind": "quantize", "after": ["b", "00aa000000000001"], "model""#
        )
        let spec = try Self.spec(Self.jobs("\"a\": \(after), \"b\": \(Self.quantize)"))
        #expect(spec.parts.map(\.name) == ["b", "a"])
        #expect(spec.parts[1].after == ["b", "00aa000000000001"])
        // What only pipelines know is no part of the job.
        #expect(spec.parts[1].job.document["kind"] == nil)
        #expect(spec.parts[1].job.document["after"] == nil)
    }

    @Test func anOutputThatTheJobMakesMayBeNamed() throws {
        for output in ["", "/model", "/model/config.json", "/model-gguf", "/model-gguf/model.gguf"]
        {
            let text = Self.jobs(
                "\"ptq\": \(Self.quantize), \"e\": \(Self.evaluate("job:ptq" + output))"
            )
            #expect(try Self.spec(text).parts.count == 2)
        }
    }

    private static func with(_ member: String) -> String {
        jobs("\"a\": " + quantize.replacing("{\"model\"", with: "{\(member), \"model\""))
    }

    /// What a job of a pipeline has beside the keys of its kind is known where those are.
    private static let members: [(String, String, String)] = [
        (with(#""afer": ["b"]"#), "$.jobs.a.afer", "did you mean \"after\"?"),
        (with(#""knd": "quantize""#), "$.jobs.a.knd", "did you mean \"kind\"?"),
        (
            with(#""after": [], "afters": []"#), "$.jobs.a.afters",
            "did you mean \"after\", which is there already?"
        ),
        (with(#""zzzzzz": 1"#), "$.jobs.a.zzzzzz", "export, seed, kind, after"),
    ]

    private static let faults: [(String, String, String)] =
        members + [
            ("[]", "$", "found an array"), ("{}", "$.jobs", "missing"),
            (
                #"{"jobs": {}}"#, "$.jobs",
                "0 jobs are not allowed; expected an object of 1 to 64 jobs"
            ),
            (#"{"jobs": []}"#, "$.jobs", "found an array"),
            (#"{"job": {}}"#, "$.job", "did you mean \"jobs\"?"),
            (jobs(#""a": 3"#), "$.jobs.a", "found an integer; expected a job"),
            (jobs(#""a": {"seed": 1}"#), "$.jobs.a", "write its \"kind\""),
            (jobs(#""a b": \#(quantize)"#), #"$.jobs["a b"]"#, "is no name"),
            (
                jobs(#""00aa000000000001": \#(quantize)"#), "$.jobs.00aa000000000001",
                "looks like an id"
            ),
            (
                jobs(#""a": {"kind": "pipeline", "jobs": {}}"#), "$.jobs.a.kind",
                "expected one of quantize, train, evaluate, serve"
            ),
            (
                jobs(#""a": \#(quantize.replacing("algorithm", with: "algoritm"))"#),
                "$.jobs.a.quantization.algoritm", "did you mean \"algorithm\"?"
            ),
            (
                jobs(
                    #""ptq": \#(quantize), "qat": \#(train.replacing("job:ptq", with: "job:ptk"))"#
                ),
                "$.jobs.qat.model", "called \"ptk\"; did you mean \"ptq\"?"
            ),
            (
                jobs(#""ptq": \#(quantize), "e": \#(evaluate("job:ptq/logits"))"#),
                "$.jobs.e.models[0].model",
                "the quantize job ptq makes no logits; it makes model, model-gguf, report.json"
            ),
            (
                jobs(#""e": \#(evaluate("m.gguf")), "f": \#(evaluate("job:e"))"#),
                "$.jobs.f.models[0].model",
                "the evaluate job e makes no model; it makes report.json, report.html, report.md"
            ),
            (
                jobs(
                    #""ptq": \#(quantize.replacing("m.gguf", with: "job:qat")), "qat": \#(train)"#
                ),
                "$.jobs.ptq", "ptq → qat → ptq"
            ),
            (
                jobs(
                    #""a": \#(quantize.replacing("{\"model\"", with: "{\"after\": [\"nobody\"], \"model\""))"#
                ),
                "$.jobs.a.after[0]", "called \"nobody\"; expected one of a, or an id"
            ),
        ]

    @Test(arguments: faults)
    func aFaultNamesItsPlace(text: String, place: String, message: String) {
        let error = #expect(throws: JobSpecError.self) { try Self.spec(text) }
        let found = error?.violations.first
        #expect(found?.path == place, "\(found?.description ?? "")")
        #expect(found?.message.contains(message) == true, "\(found?.description ?? "")")
        #expect(found?.line != nil || place == "$.jobs", "\(found?.description ?? "")")
    }

    @Test func twoJobsOfOneNameAreRefusedByTheirLine() {
        let text = "{\"jobs\": {\n\"a\": \(Self.quantize),\n\"a\": \(Self.quantize)}}"
        let error = #expect(throws: JobSpecError.self) { try Self.spec(text) }
        #expect(error?.violations.first?.line == 3)
    }

    @Test func moreThanSixtyFourJobsAreRefused() {
        let many = (0...64).map { "\"n\($0)\": \(Self.quantize)" }.joined(separator: ",")
        let error = #expect(throws: JobSpecError.self) { try Self.spec(Self.jobs(many)) }
        #expect(error?.violations.first?.message.hasPrefix("65 jobs are not allowed") == true)
    }

    @Test func aNameWithinAJobIsWarnedOf() throws {
        let named = Self.quantize.replacing("{\"model\"", with: #"{"name": "n", "model""#)
        let spec = try Self.spec(Self.jobs("\"a\": \(named)"))
        #expect(spec.warnings == ["$.jobs.a.name: has no effect: the job is called a here"])
    }

    /// What each kind leaves, as docs/EXPORT.md and the workers have it.
    @Test func outputsAreThoseOfTheKind() throws {
        let spec = try Self.spec(
            Self.jobs(
                "\"ptq\": \(Self.quantize), \"qat\": \(Self.train), \"e\": \(Self.evaluate("m"))"
            )
        )
        let outputs = Dictionary(
            uniqueKeysWithValues: spec.parts.map { ($0.name, $0.job.spec.outputs) }
        )
        #expect(outputs["ptq"] == ["model", "model-gguf", "report.json", "report.html"])
        #expect(outputs["qat"] == ["model", "report.json", "report.html", "run"])
        #expect(outputs["e"] == ["json", "html", "md", "csv", "tex"].map { "report." + $0 })
    }

    /// Seen: a pipeline was taken whose second job could never have its input.
    ///
    /// An export was skipped, and the next one had taken its place: `model` is whatever was written first.
    @Test(arguments: [
        (["fail", "fail"], ["model", "model-gguf"]), (["skip", "fail"], ["model"]),
        (["fail", "skip"], ["model"]), (["skip", "skip"], ["model"]),
        (["skip", "fail", "fail"], ["model", "model-bf16"]),
        (["fail", "skip", "fail"], ["model", "model-bf16"]),
    ])
    func anExportThatMayBeSkippedIsNotPromised(rules: [String], models: [String]) throws {
        let exports = zip(["compressed-tensors", "gguf", "bf16"], rules).map {
            #"{"format": "\#($0)", "on_obstacle": "\#($1)"}"#
        }
        let job = """
            {"kind": "quantize", "model": "m.gguf", "quantization": {"algorithm": "mxfp4"},
             "export": [\(exports.joined(separator: ", "))]}
            """
        let outputs = try #require(try Self.spec(Self.jobs("\"q\": \(job)")).parts.first).job.spec
            .outputs
        #expect(outputs == models + ["report.json", "report.html"])
    }

    /// What is read of whom, as docs/JOBS.md has it: every place that names an input, and every output.
    ///
    /// Seen: `job:t/run` as a model and `job:q/model` as a text were taken, and found out after the training.
    @Test(arguments: [
        ("model", true, false), ("model-gguf", true, false), ("model/README.md", true, true),
        ("report.json", false, true), ("report.html", false, true), ("run", false, false),
        ("run/metrics.csv", false, true),
    ])
    func anOutputServesForWhatItIs(output: String, isModel: Bool, isText: Bool) throws {
        let exports = #""export": [{"format": "bf16"}, {"format": "gguf"}]"#
        let first = Self.train.replacing("job:ptq", with: "m.gguf")
            .replacing("{\"model\"", with: "{\(exports), \"model\"")
        let source = "job:t/\(output)"
        let data = #""data": {"train": ["t.txt"], "seq_length": 16}"#
        let quantize = #"{"model": "m.gguf", "quantization": {"algorithm": "mxfp4"}"#
        let corpus = Self.train.replacing("job:ptq", with: "m.gguf").replacing(
            #"["t.txt"]"#,
            with: #"["\#(source)"], "data_impl": "mmap""#
        )
        let places: [(String, String, Bool)] = [
            ("$.jobs.e.model", quantize.replacing("m.gguf", with: source) + "}", isModel),
            ("$.jobs.e.models[0].model", Self.evaluate(source), isModel),
            (
                "$.jobs.e.start",
                Self.train.replacing("job:ptq", with: "m.gguf")
                    .replacing("{\"model\"", with: "{\"start\": \"\(source)\", \"model\""), isModel
            ),
            (
                "$.jobs.e.distillation.teacher",
                Self.train.replacing("job:ptq", with: "m.gguf").replacing(
                    "{\"model\"",
                    with: "{\"distillation\": {\"teacher\": \"\(source)\"}, \"model\""
                ), isModel
            ),
            (
                "$.jobs.e.tasks[0].text",
                Self.evaluate("m.gguf").replacing("t.txt", with: source), isText
            ),
            (
                "$.jobs.e.data.calibration[0]",
                quantize + ", "
                    + data.replacing("train", with: "calibration")
                    .replacing("t.txt", with: source) + "}", isText
            ),
            (
                "$.jobs.e.data.train[0]",
                Self.train.replacing("job:ptq", with: "m.gguf").replacing("t.txt", with: source),
                isText
            ),
            ("$.jobs.e.data.train[0]", corpus, false),
        ]
        for (place, job, isTaken) in places {
            let text = Self.jobs("\"t\": \(first),\n\"e\": \(job)")
            guard !isTaken else {
                #expect(throws: Never.self, "\(place)") { try Self.spec(text) }
                continue
            }
            let error = #expect(throws: JobSpecError.self, "\(place)") { try Self.spec(text) }
            let found = error?.violations.first
            #expect(found?.path == place, "\(found?.description ?? "")")
            #expect(
                found?.message.contains("is not allowed: of the train job t, \(output) ") == true,
                "\(found?.description ?? "")"
            )
            #expect(found?.line == 2)
        }
    }

    /// The advice is to write what may be written.
    @Test func aRefusalSaysWhatThereIs() {
        let outputs = [
            JobOutput(path: "model", kind: .model), JobOutput(path: "report.json", kind: .report),
            JobOutput(path: "run", kind: .records),
        ]
        let models = JobOutput.fault(of: "run", as: .model, among: outputs)
        #expect(models == "run holds records, no model; expected model")
        let none = JobOutput.fault(of: "report.json", as: .model, among: Array(outputs[1...]))
        #expect(none == "report.json is a report, no model; the job makes no model")
        let texts = JobOutput.fault(of: "model", as: .text, among: outputs)
        #expect(texts == "model is a folder with a model, no text; expected report.json")
        // What nobody promised may be there all the same.
        #expect(JobOutput.fault(of: "model-bf16", as: .text, among: outputs) == nil)
    }
}
