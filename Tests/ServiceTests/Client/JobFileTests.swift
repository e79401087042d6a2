internal import Foundation
internal import JobSpecs
internal import Testing
@testable internal import qat_client

@Suite struct JobFileTests {
    private let folder: TemporaryHome

    init() throws {
        folder = try TemporaryHome()
    }

    private func file(
        _ name: String,
        _ text: String,
        kind: String? = nil,
        _ overrides: [String] = []
    ) throws -> JobFile {
        try JobFile(try folder.write(name, text), kind: kind, overrides: overrides)
    }

    private func problems(_ work: () throws -> Void) -> [String] {
        let error = #expect(throws: ClientError.self) { try work() }
        #expect(error?.status == .usage)
        return (error?.lines ?? []).map { $0.replacing(folder.home.path + "/", with: "") }
    }

    @Test(arguments: [
        (#"{"model":"m","quantization":{"algorithm":"fp4"}}"#, "quantize"),
        (
            #"{"model":"m","quantization":{"algorithm":"fp4"},"data":{"calibration":["t"]}}"#,
            "quantize"
        ),
        (#"{"model":"m","quantization":{"algorithm":"fp4"},"data":{"train":["t"]}}"#, "train"),
        (#"{"quantization":{},"trainer":{}}"#, "train"), (#"{"models":[]}"#, "evaluate"),
        (#"{"tasks":[]}"#, "evaluate"), (#"{"jobs":{}}"#, "pipeline"),
    ])
    func theKeysTellTheKind(text: String, kind: String) throws {
        #expect(try file("j.json", text).kind == kind)
        guard kind == "pipeline" else {
            #expect(try file("j.json", text, kind: "train").kind == "train")
            return
        }
        // Seen: four errors, none of which said what it is.
        let lines = problems { _ = try file("j.json", text, kind: "train") }
        #expect(lines == ["j.json: this is a pipeline, not a train job: submit pipeline j.json"])
    }

    @Test(arguments: ["{}", "[]", #"{"tasks":[],"trainer":{}}"#, #"{"model":"m"}"#])
    func aKindThatCannotBeToldIsAskedFor(text: String) {
        let lines = problems { _ = try file("j.json", text) }
        #expect(lines.count == 1 && lines[0].hasPrefix("j.json: cannot tell whether this is to"))
    }

    @Test func examplesTellTheirKind() throws {
        let examples = URL(filePath: #filePath).resolvingSymlinksInPath().path
            .replacing("Tests/ServiceTests/Client/JobFileTests.swift", with: "examples/")
        let kinds = [
            "quantize": "quantize", "quantize-mixed": "quantize", "train": "train",
            "train-nemo": "train", "evaluate": "evaluate", "pipeline": "pipeline",
        ]
        for (name, kind) in kinds {
            #expect(try JobFile("\(examples)\(name).json", kind: nil).kind == kind, "\(name)")
        }
    }

    @Test func valuesAreSetByTheirPlace() throws {
        let text = #"{"quantization":{"algorithm":"fp4"},"data":{"train":["a","b"]}}"#
        let read = try file(
            "j.json",
            text,
            [
                "trainer.max_steps=10", "$.data.train[1]=c.txt", "data.train[2]=d.txt",
                "quantization.algorithm=mxfp8", "name=\"a=b\"", "data.seq_length=null",
                "optim={\"lr\": 1e-5}", "trainer.limit_val_batches=1.0",
            ]
        )
        #expect(
            read.document.value.canonicalText
                == #"{"data":{"seq_length":null,"train":["a","c.txt","d.txt"]},"name":"a=b","#
                + #""optim":{"lr":0.00001},"quantization":{"algorithm":"mxfp8"},"#
                + #""trainer":{"limit_val_batches":1,"max_steps":10}}"#
        )
        // 1.0 stays a fraction: all of them.
        #expect(read.document.fractions["$.trainer.limit_val_batches"] == "1.0")
        #expect(read.document.lines["$.quantization"] == 1)
        #expect(read.document.lines["$.quantization.algorithm"] == nil)
        let once = try file("j.json", text, ["name=x", "name=y"])
        #expect(once.document.value["name"] == .string("y"))
    }

    /// One rule for JSON, YAML and `--set`: a number is what it is worth, and none is taken for text.
    @Test(
        arguments: [
            ("1e9", 1_000_000_000), ("1e3", 1000), ("12e2", 1200), ("1.5e3", 1500), ("7", 7),
            ("1e999", nil), ("-1e999", nil),
        ] as [(String, Double?)]
    )
    func numbersAreReadAlike(text: String, value: Double?) throws {
        let notations: [(String, [String])] = [
            ("{\"trainer\": {\"max_steps\": \(text)}}", []),
            ("trainer:\n  max_steps: \(text)\n", []),
            ("trainer: {}\n", ["trainer.max_steps=\(text)"]),
        ]
        for (content, overrides) in notations {
            guard let value else {
                let lines = problems { _ = try file("j", content, kind: "train", overrides) }
                #expect(lines.count == 1)
                #expect(
                    lines.first?.contains("\(text) is too large for a number") == true,
                    "\(lines)"
                )
                continue
            }
            let read = try file("j", content, kind: "train", overrides)
            #expect(read.document.value["trainer"]?["max_steps"] == .number(value))
        }
        // In quotes it is text.
        let named = try file("j.json", "{}", kind: "train", ["name=\"\(text)\""])
        #expect(named.document.value["name"] == .string(text))
    }

    @Test(arguments: [
        ("max_steps", "expected KEY=VALUE"), ("=3", "a key is missing"),
        ("a..b=3", "a key is missing"),
        ("a[x]=3", "expected an index"), ("a[0=3", "expected an index"), ("a[99999]=3", "an index"),
        ("data.train.x=3", "$.data.train.x: an array has no \"x\""),
        ("model[0]=3", "$.model[0]: a string has no elements"),
        ("data.train[2]=3", "there are 1 elements only"),
    ])
    func saysWhatIsWrongWithAnOverride(argument: String, message: String) {
        let text = #"{"model":"m","data":{"train":["a"]}}"#
        let lines = problems { _ = try file("j.json", text, kind: "train", [argument]) }
        #expect(lines.count == 1 && lines[0].contains(message), "\(lines)")
    }

    @Test func whatIsSetIsCheckedLikeTheRest() throws {
        try folder.writeModel()
        let text = #"{"model":"m.gguf","quantization":{"algorithm":"fp4"}}"#
        let lines = problems {
            _ = try SubmissionPlan(file("j.json", text, ["quantization.activatons=fp8"]), name: nil)
        }
        #expect(
            lines == [
                "j.json: $.quantization.activatons: unknown key; did you mean \"activations\"?"
            ]
        )
    }

    @Test(arguments: ["j.yaml", "j.yml", "j.YAML", "j.job", "j"])
    func YAMLIsTheSameJob(name: String) throws {
        try folder.writeModel()
        try folder.write("t.txt", "abc")
        let json = """
            {"model": "m.gguf", "quantization": {"algorithm": "fp4", "enable_micro_tensor_scaling": true},
             "trainer": {"max_steps": 10, "limit_val_batches": 1.0, "gradient_clip_val": null},
             "optim": {"lr": 1e-5, "betas": [0.9, 0.95]}, "data": {"train": ["t.txt"]}}
            """
        let yaml = """
            # What trains.
            model: m.gguf
            quantization: {algorithm: fp4, enable_micro_tensor_scaling: true}
            trainer:
              max_steps: 10
              limit_val_batches: 1.0   # all
              gradient_clip_val: ~
            optim:
              lr: 1e-5
              betas: [0.9, 0.95]
            data:
              train:
                - "t.txt"
            """
        let first = try SubmissionPlan(file("a.json", json), name: "n")
        let second = try SubmissionPlan(file(name, yaml), name: "n")
        #expect(second.digest == first.digest)
        #expect(second.spec == first.spec)
    }

    @Test func problemsInYAMLNameTheirLine() {
        let yaml = """
            model: m.gguf
            quantization:
              algorithm: fp5
              enable_kv_cache: on
            data:
              seq_length: 0x100
            """
        let lines = problems {
            _ = try SubmissionPlan(file("j.yaml", yaml, kind: "quantize"), name: nil)
        }
        #expect(lines.count == 3, "\(lines)")
        #expect(lines[0].hasPrefix("j.yaml: $.quantization.algorithm: \"fp5\" is not allowed"))
        #expect(lines[0].hasSuffix("(line 3)"))
        #expect(
            lines[1].hasPrefix(
                "j.yaml: $.quantization.enable_kv_cache: found a string; expected true or false"
            )
        )
        #expect(
            lines[2].hasPrefix("j.yaml: $.data.seq_length: found a string; expected an integer")
        )
    }

    @Test func placeholdersOfExamplesAreRefused() throws {
        for id in ["PTQ_JOB_ID", "YOUR-JOB", "ID", "job_id"] {
            let text =
                #"{"models":[{"label":"a","model":"job:\#(id)"}],"tasks":[{"type":"benchmark"}]}"#
            let lines = problems { _ = try SubmissionPlan(file("j.json", text), name: nil) }
            #expect(
                lines == [
                    "j.json: $.models[0].model: \(id) is no job's id but stands for one; write the "
                        + "id that submit printed, in the file or with --set"
                ]
            )
            let job = "models[0].model=job:0000bb03c91c6898"
            #expect(try SubmissionPlan(file("j.json", text, [job]), name: nil).inputs.count == 1)
        }
    }
}

/// YAML is read as JSON has its types; expectations follow YAML 1.2's core schema where that is JSON, and
/// nothing of YAML 1.1's.
@Suite struct YAMLReaderTests {
    private func value(_ yaml: String) throws -> String {
        try YAMLReader.parse(Array(yaml.utf8)).value.canonicalText
    }

    @Test(arguments: [
        ("a: on", #"{"a":"on"}"#), ("a: yes", #"{"a":"yes"}"#), ("a: no", #"{"a":"no"}"#),
        ("a: off", #"{"a":"off"}"#), ("a: y", #"{"a":"y"}"#), ("on: 1", #"{"on":1}"#),
        ("a: true", #"{"a":true}"#), ("a: False", #"{"a":false}"#), ("a: 'true'", #"{"a":"true"}"#),
        ("a: null", #"{"a":null}"#), ("a: ~", #"{"a":null}"#), ("a:", #"{"a":null}"#),
        ("a: ''", #"{"a":""}"#), ("a: 10", #"{"a":10}"#), ("a: -1.5e3", #"{"a":-1500}"#),
        ("a: '10'", #"{"a":"10"}"#), ("a: 0o17", #"{"a":"0o17"}"#), ("a: 0x1F", #"{"a":"0x1F"}"#),
        ("a: 0b11", #"{"a":"0b11"}"#), ("a: 1_000", #"{"a":"1_000"}"#), ("a: +5", #"{"a":"+5"}"#),
        ("a: .5", #"{"a":".5"}"#), ("a: .inf", #"{"a":".inf"}"#), ("a: .nan", #"{"a":".nan"}"#),
        ("a: 12:30:45", #"{"a":"12:30:45"}"#), ("a: 2026-11-26", #"{"a":"2026-11-26"}"#),
        ("a: 1.0.0", #"{"a":"1.0.0"}"#), ("a: =", #"{"a":"="}"#), ("a: !!str 5", #"{"a":"5"}"#),
        ("a: 0", #"{"a":0}"#), ("a: -0.5", #"{"a":-0.5}"#), ("010: x", #"{"010":"x"}"#),
        ("a: |\n  one\n  two\n", #"{"a":"one\ntwo\n"}"#),
        ("- 1\n- [a, {b: c}]", #"[1,["a",{"b":"c"}]]"#),
        ("a: &x [1, 2]\nb: *x", #"{"a":[1,2],"b":[1,2]}"#), ("---\na: 1\n...\n", #"{"a":1}"#),
        (#"{"a": [1, "b\u00e9", true, null]}"#, #"{"a":[1,"bé",true,null]}"#),
    ])
    func scalarsAreWhatJSONHas(yaml: String, json: String) throws {
        #expect(try value(yaml) == json)
    }

    @Test(
        arguments: [
            // The second one is the one too many, as JSON's parser says of the same file.
            ("a: 1\nb:\n  c: 2\n  c: 3", "$.b.c", "duplicate key", 4),
            ("a: 1\n'a': 2", "$.a", "duplicate key", 2),
            (
                "c: 1\nl:\n- a: 1\n  c: 2\n- b: 1\n  # more\n  c: 2\n\n  b: 3", "$.l[1].b",
                "duplicate key", 9
            ),
            ("l:\n  - x: {c: 1}\n    c: 2\nc: 3\nm: 1\nl: 4", "$.l", "duplicate key", 6),
            ("x: 1\na: 010", "$.a", "write 10 for a number, \"010\" for text", 2),
            ("a: -007", "$.a", "write 7 for a number", 1),
            ("a: 00", "$.a", "write 0 for a number", 1),
            ("a: !!int \"5\"", "$.a", "the tag tag:yaml.org,2002:int is not read", 1),
            ("a: !!python/object:os.system x", "$.a", "is not read", 1),
            ("a: !!binary aGk=", "$.a", "is not read", 1),
            ("a: !!set {b}", "$.a", "is not read", 1),
            ("b: &x {c: 1}\na:\n  <<: *x", "$.a", "merge keys are not read", 3),
            ("? [1]\n: 2", "$", "a key that is no text", 1),
            ("a: 1\n---\nb: 2", "$", "another document", 2), ("a: [1, 2", "$", "expected", 2),
            ("a:\n\t- 1", "$", "cannot start any token", 2), ("a: *x", "$", "undefined alias", 1),
            ("", "$", "the file is empty", nil), ("# nothing\n", "$", "the file is empty", nil),
        ] as [(String, String, String, Int?)]
    )
    func whatCannotBeReadIsRefusedWithItsPlace(
        yaml: String,
        path: String,
        message: String,
        line: Int?
    ) throws {
        let error = #expect(throws: JobSpecError.self) { try value(yaml) }
        let found = try #require(error?.violations.first)
        #expect(error?.code == .invalidJSON)
        #expect(found.message.contains(message), "\(found)")
        #expect(found.path == path || found.path.hasPrefix(path), "\(found)")
        if let line {
            #expect(found.line.map { abs($0 - line) <= 1 } ?? false, "\(found)")
        }
    }

    @Test func hugeDocumentsAreRefusedInTime() throws {
        let deep = String(repeating: "[", count: 40) + String(repeating: "]", count: 40)
        #expect(throws: JobSpecError.self) { try value("a: " + deep) }
        let compact = String(repeating: "- ", count: 100_000) + "1"
        #expect(throws: JobSpecError.self) { try value(compact) }
        // Nine aliases of nine aliases …: a billion values in some hundred bytes.
        var laughs = "a0: &a0 [x]\n"
        for level in 1...9 {
            let aliases = [String](repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
            laughs += "a\(level): &a\(level) [\(aliases)]\n"
        }
        let error = #expect(throws: JobSpecError.self) { try value(laughs) }
        #expect(error?.description.contains("more than 100000 values") == true)
        let long = "a: " + String(repeating: "x", count: 300_000)
        #expect(throws: JobSpecError.self) { try value(long) }
        #expect(throws: JobSpecError.self) { try YAMLReader.parse([0x61, 0x3A, 0x20, 0xFF]) }
    }
}
