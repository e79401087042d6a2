internal import Formats
internal import JobSpecs
internal import Testing

@Suite struct JobSpecErrorTests {
    /// Seen: `max_step` beside `max_steps` got the list of all keys.
    @Test func aKeyThatIsThereInTwoSpellingsIsNamed() {
        let text = """
            {"model": "m", "quantization": {"algorithm": "fp4"}, "data": {"train": ["t"]},
             "trainer": {"max_steps": 2, "max_step": 3}}
            """
        let error = #expect(throws: JobSpecError.self) {
            try JobSpec.parse(kind: "train", json: Array(text.utf8))
        }
        let message = error.map { "\($0)" } ?? ""
        #expect(message.contains(#"did you mean "max_steps", which is there already?"#))
    }

    struct Mistake: Sendable, CustomTestStringConvertible {
        let source: String
        let expected: String

        init(_ source: String, _ expected: String...) {
            self.source = source
            self.expected = expected.joined()
        }

        var testDescription: String { expected }
    }

    private static func train(
        quantization: String = #"{"algorithm": "fp4"}"#,
        more: String = ""
    ) -> String {
        #"{"model": "m", "quantization": \#(quantization), "data": {"train": ["t"]}\#(more)}"#
    }

    private static let trainingMistakes: [Mistake] = [
        .init(
            train(more: #", "optim": {"lr": -1}"#),
            "$.optim.lr: -1 is not allowed; expected a number > 0 and <= 1"
        ),
        .init(
            train(quantization: #"{"algorithm": "fp4", "activatons": "none"}"#),
            "$.quantization.activatons: unknown key; did you mean \"activations\"?"
        ),
        .init(
            train(more: #", "optim": {"learning": 1}"#),
            "$.optim.learning: unknown key; known keys: name, lr, weight_decay, betas, eps, moments, sched, ",
            "stage_change"
        ),
        .init(
            train(more: #", "trainer": {"max_steps": "ten"}"#),
            "$.trainer.max_steps: found a string; expected an integer from 1 to 1000000000"
        ),
        .init(
            train(more: #", "trainer": {"max_steps": 1.5}"#),
            "$.trainer.max_steps: 1.5 is not allowed; expected an integer from 1 to 1000000000"
        ),
        .init(train(more: #", "trainer": []"#), "$.trainer: found an array; expected an object"),
        .init(
            train(quantization: #"{"algorithm": "mxpf4"}"#),
            "$.quantization.algorithm: \"mxpf4\" is not allowed; expected one of ",
            (["none"] + QuantizationFormat.names).joined(separator: ", ") + "; ",
            "did you mean \"mxfp4\"?"
        ),
        .init(
            train(quantization: #"{"algorithm": "fp4", "scaling_granularity": 1}"#),
            "$.quantization.scaling_granularity: 1 is not allowed; expected an integer from 2 to 4096"
        ),
        .init(
            train(quantization: #"{"algorithm": "fp8_per_tensor", "scaling_granularity": 32}"#),
            "$.quantization.scaling_granularity: not allowed with fp8_per_tensor, which has no blocks"
        ),
        .init(
            train(more: #", "optim": {"betas": [0.9]}"#),
            "$.optim.betas: an array of 1 is not allowed; expected an array of 2 numbers ",
            ">= 0 and < 1"
        ),
        .init(
            train(more: #", "optim": {"betas": [0.9, 1]}"#),
            "$.optim.betas[1]: 1 is not allowed; expected a number >= 0 and < 1"
        ),
        .init(
            train(more: #", "optim": {"name": "sgd"}"#),
            "$.optim.name: \"sgd\" is not allowed; expected one of adamw, lion"
        ),
        .init(
            train(more: #", "trainer": {"val_check_interval": 1.5}"#),
            "$.trainer.val_check_interval: 1.5 is not allowed; expected an integer >= 1 (a count; ",
            "1 is one), or a fraction > 0 up to 1.0 (all)"
        ),
        .init(
            train(more: #", "distillation": {"temperature": 0}"#),
            "$.distillation.temperature: 0 is not allowed; expected a number > 0 and <= 1000"
        ),
        .init(
            train(more: #", "distillation": {"loss": "mse"}"#),
            "$.distillation.loss: \"mse\" is not allowed; expected one of kl, reverse_kl, js"
        ),
        .init(
            train(more: #", "distillation": {"loss": "jsd"}"#),
            "$.distillation.loss: \"jsd\" is not allowed; expected one of kl, reverse_kl, js; write \"js\""
        ),
        .init(
            train(more: #", "distillation": {"loss": "js", "beta": 1}"#),
            "$.distillation.beta: 1 is not allowed; expected a number > 0 and < 1; that is loss ",
            "reverse_kl, which js divided by 1 - beta goes to"
        ),
        .init(
            train(more: #", "distillation": {"loss": "js", "beta": -0.5}"#),
            "$.distillation.beta: -0.5 is not allowed; expected a number > 0 and < 1"
        ),
        .init(
            train(more: #", "distillation": {"cross_entropy": 1}"#),
            "$.distillation.cross_entropy: 1 is not allowed; expected a number >= 0 and < 1; leave the distillation section out, ",
            "which trains on the text alone"
        ),
        .init(
            train(more: #", "distillation": {"cross_entropy": 1.5}"#),
            "$.distillation.cross_entropy: 1.5 is not allowed; expected a number >= 0 and < 1"
        ),
        .init(
            train(more: #", "distillation": {"teacher_cache": {"top_k": 1025}}"#),
            "$.distillation.teacher_cache.top_k: 1025 is not allowed; expected an integer from 1 to 1024"
        ),
        .init(
            train(more: #", "distillation": {"teacher_cache": {}, "hidden": 1}"#),
            "$.distillation.teacher_cache: not allowed with hidden; the cache holds the teacher's most ",
            "likely tokens and no hidden states"
        ),
        .init(
            train(more: #", "distillation": {"hidden": -1}"#),
            "$.distillation.hidden: -1 is not allowed; expected a number >= 0"
        ),
        .init(
            train(
                more:
                    #", "optim": {"lr": 1e-6, "sched": {"name": "CosineAnnealing", "min_lr": 1e-5}}"#
            ),
            "$.optim.sched.min_lr: 0.00001 is not allowed; expected at most the learning rate ",
            "0.000001"
        ),
        .init(
            train(
                quantization:
                    #"{"algorithm": "fp4", "schedule": {"stages": [{"until": 0.5, "algorithm": "fp8"}]}}"#
            ),
            "$.quantization.schedule.stages[0].until: 0.5 is not allowed; expected 1 for the last ",
            "stage"
        ),
        .init(
            train(
                quantization:
                    #"{"algorithm": "fp4", "layers": [{"pattern": "re:(", "algorithm": "fp8"}]}"#
            ),
            "$.quantization.layers[0].pattern: \"re:(\" is not allowed; expected a glob (* and ?), or ",
            "a regular expression after re:"
        ),
        .init(
            #"{"quantization": {"algorithm": "fp4"}, "data": {"train": ["t"]}}"#,
            "$.model: missing; expected a path, job:ID[/output] or sha256:DIGEST"
        ),
        .init(
            #"{"model": "sha256:12", "quantization": {"algorithm": "fp4"}, "data": {"train": ["t"]}}"#,
            "$.model: \"sha256:12\" is not allowed; expected a path, job:ID[/output] or ",
            "sha256:DIGEST; sha256: takes 64 hexadecimal digits, not 2"
        ),
        .init(
            #"{"model": "m", "quantization": {"algorithm": "fp4"}, "data": {"train": "t"}}"#,
            "$.data.train: found a string; expected an array of 1 to 1024 strings; write [\"t\"]"
        ),
        .init(
            #"{"model": "m", "quantization": {"algorithm": "fp4"}, "data": {"train": ["t"], "splits_string": "1,2"}}"#,
            "$.data.splits_string: \"1,2\" is not allowed; expected three shares such as ",
            "\"99,1,0\", none negative, not all zero"
        ),
        .init("[]", "$: found an array; expected an object"),
    ]

    private static let evaluationMistakes: [Mistake] = [
        .init(
            #"{"models": [], "tasks": [{"type": "benchmark"}]}"#,
            "$.models: an array of 0 is not allowed; expected an array of 1 to 32 objects (line 1)"
        ),
        .init(
            #"{"models": [{"label": "a", "model": "m"}], "tasks": [{"type": "perplexty"}]}"#,
            "$.tasks[0].type: \"perplexty\" is not allowed; expected one of perplexity, accuracy, ",
            "kl_divergence, benchmark, mmlu, hellaswag, arc_easy, arc_challenge, piqa, winogrande, ",
            "truthfulqa_mc1, truthfulqa_mc2, boolq, gsm8k, humaneval; did you mean \"perplexity\"? (line 1)"
        ),
        .init(
            #"{"models": [{"label": "a", "model": "m"}], "tasks": [{"text": "t"}]}"#,
            "$.tasks[0].type: missing; expected one of perplexity, accuracy, kl_divergence, benchmark, ",
            "mmlu, hellaswag, arc_easy, arc_challenge, piqa, winogrande, truthfulqa_mc1, truthfulqa_mc2, ",
            "boolq, gsm8k, humaneval"
        ),
        .init(
            #"{"models": [{"label": "a", "model": "m"}, {"label": "a", "model": "n"}], "tasks": [{"type": "benchmark"}]}"#,
            "$.models[1].label: \"a\" is not allowed twice; expected a label of its own for each ",
            "model (line 1)"
        ),
    ]

    @Test(arguments: trainingMistakes)
    func saysWhatWasFoundAndWhatIsAllowed(mistake: Mistake) {
        let error = #expect(throws: JobSpecError.self) {
            try JobSpec.parse(kind: "train", json: Array(mistake.source.utf8))
        }
        let missingHasNoLine = error?.violations.first?.line == nil
        #expect(error?.description == mistake.expected + (missingHasNoLine ? "" : " (line 1)"))
    }

    @Test(arguments: evaluationMistakes)
    func refusesEvaluationsThatMeasureNothing(mistake: Mistake) {
        let error = #expect(throws: JobSpecError.self) {
            try JobSpec.parse(kind: "evaluate", json: Array(mistake.source.utf8))
        }
        #expect(error?.description == mistake.expected)
    }

    @Test func reportsAllMistakesInTheOrderOfTheFile() {
        let source = """
            {
              "model": "m",
              "optim": {"lr": 0},
              "quantization": {"algoritm": "fp4", "algorithm": "fp4"},
              "data": {"train": [3]}
            }
            """
        let error = #expect(throws: JobSpecError.self) {
            try JobSpec.parse(kind: "train", json: Array(source.utf8))
        }
        #expect(
            error?.lines(file: "job.json").map { String($0.prefix { $0 != ";" }) } == [
                "job.json: $.optim.lr: 0 is not allowed",
                "job.json: $.quantization.algoritm: unknown key",
                "job.json: $.data.train[0]: found an integer",
            ]
        )
        #expect(error?.violations.map(\.line) == [3, 4, 5])
    }

    @Test func namesTheNearestKind() {
        let error = #expect(throws: JobSpecError.self) {
            try JobSpec.parse(kind: "quantise", json: [])
        }
        #expect(error?.description == "$: unknown job kind \"quantise\"; did you mean quantize?")
        #expect(error?.code == .unknownKind)
    }

    @Test(arguments: [
        ("algoritm", "algorithm"), ("algorithm_", "algorithm"), ("Activations", "activations"),
        ("scale-mode", "scale_mode"), ("scael_mode", "scale_mode"), ("lerning", nil), ("x", nil),
    ])
    func suggestsOnlyCloseKeys(word: String, expected: String?) {
        let candidates = ["algorithm", "activations", "scale_mode"]
        #expect(NearestKey.suggestion(for: word, among: candidates) == expected)
    }
}
