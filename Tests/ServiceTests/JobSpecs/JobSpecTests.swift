internal import Formats
internal import Foundation
internal import Jobs
@testable internal import JobSpecs
internal import Testing

@Suite struct JobSpecTests {
    private static let examples = URL(filePath: #filePath)
        .resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "examples")

    private func example(_ name: String, kind: String) throws -> JobSpec {
        let data = try Data(contentsOf: Self.examples.appending(path: name))
        return try JobSpec.parse(kind: kind, json: Array(data))
    }

    @Test func readsTheTrainingExample() throws {
        guard case .train(let spec) = try example("train.json", kind: "train") else {
            Issue.record("not a training job")
            return
        }
        #expect(spec.name == "smollm2-mxfp4-qad")
        #expect(spec.quantization.recipe.defaultFormat == .mxfp4)
        #expect(
            spec.quantization.recipe.rules == [
                .init(
                    pattern: "*self_attn*",
                    format: .init(element: .e2m3, blockSize: 16)
                ),
                .init(pattern: "*embed_tokens*", format: nil),
            ]
        )
        #expect(
            spec.quantization.recipe.stages.map(\.format) == [.mxfp8, .mxfp6E2M3, .mxfp4]
        )
        #expect(spec.quantization.recipe.stages.map(\.until) == [0.3, 0.7, 1])
        #expect(spec.distillation?.teacher == "model" && spec.distillation?.temperature == 1)
        #expect(spec.distillation?.loss == .forward)
        #expect(spec.trainer.maximumSteps == 200)
        #expect(spec.trainer.validationInterval == .count(50))
        #expect(spec.trainer.validationBatches == .count(8))
        #expect(spec.trainer.gradientClip == 1)
        #expect(spec.optimizer.schedule == .cosineAnnealing)
        #expect(spec.optimizer.warmupSteps == 10)
        #expect(spec.optimizer.minimumLearningRate == 1e-6)
        #expect(spec.data.validation == ["hamlet.txt"])
        #expect(spec.exports.map(\.format) == [.compressedTensors, .gguf])
        #expect(spec.frozen == ["*embed_tokens*"])
        #expect(spec.seed == 1234)
        #expect(spec.unsupported.isEmpty)
        #expect(
            spec.inputs.map(\.pointer)
                == ["/model", "/data/train/0", "/data/train/1", "/data/validation/0"]
        )
        #expect(spec.trainer.resources.waitReason == nil)
    }

    @Test func understandsTheGuidesConfigurationKeyByKey() throws {
        let job = try example("train-nemo.json", kind: "train")
        guard case .train(let spec) = job else {
            Issue.record("not a training job")
            return
        }
        #expect(spec.quantization.recipe.defaultFormat == .mxfp4)
        #expect(spec.quantization.quantizesKeyValueCache)
        #expect(spec.quantization.recipe.defaultFormat?.blockSize == 32)
        #expect(spec.trainer.resources == .init(accelerator: .gpu, devices: 8, nodes: 1))
        #expect(
            job.resources.waitReason == "waits for accelerator gpu, 8 devices; "
                + "the workers offer accelerator cpu, 1 device, 1 node"
        )
        #expect(spec.trainer.maximumEpochs == 5)
        #expect(spec.trainer.maximumSteps == nil)
        #expect(spec.trainer.validationInterval == .fraction(0.25))
        #expect(spec.data.implementation == .mmap)
        #expect(spec.data.splits == DataSplits(parsing: "99,1,0"))
        #expect(spec.data.sequenceLength == 4096)
        #expect(spec.inputs.last?.role == .corpus)
        #expect(spec.frozen.isEmpty)
        #expect(spec.data.workerCount == 4 && spec.data.loaderType == .single)
        #expect(spec.unsupported.isEmpty)
    }

    @Test func readsTheQuantizationExample() throws {
        guard case .quantize(let spec) = try example("quantize.json", kind: "quantize") else {
            Issue.record("not a quantization job")
            return
        }
        #expect(spec.quantization.method == .max)
        #expect(spec.quantization.calibrationSize == 512)
        // Nothing of max goes by a text.
        #expect(spec.data.calibration.isEmpty)
        #expect(spec.exports.map(\.format) == [.compressedTensors, .gguf])
        #expect(spec.unsupported.isEmpty)
    }

    @Test func readsWhatGoesBeyondRoundingToNearest() throws {
        guard case .quantize(let spec) = try example("quantize-mixed.json", kind: "quantize")
        else {
            Issue.record("not a quantization job")
            return
        }
        let options = try #require(spec.quantization.postTraining)
        let gptq = GPTQ(damping: 0.01, usesActivationOrder: true, search: .mse)
        #expect(options.method == .awq && options.rotation == .none)
        #expect(options.rounding == .init(rounding: .gptq(gptq), smoothing: .activationAware))
        #expect(options.cacheScales == .fp8)
        let mixed = try #require(options.mixedPrecision)
        #expect(mixed.effectiveBits == 4.75 && mixed.sensitivity == .divergence)
        #expect(mixed.candidates == [.mxfp4, .mxfp6E2M3, .mxfp8])
        #expect(spec.unsupported.isEmpty)
    }

    @Test func formatsHaveTheirUsualBlocks() throws {
        for (name, size) in [("nvfp4", 16), ("nvfp8", 16), ("fp4", 32), ("mxint8", 32)] {
            let text = #"{"model":"m","quantization":{"algorithm":"\#(name)"}}"#
            guard
                case .quantize(let spec) = try JobSpec.parse(
                    kind: "quantize",
                    json: Array(text.utf8)
                )
            else {
                Issue.record("not a quantization job")
                return
            }
            #expect(spec.quantization.recipe.defaultFormat?.blockSize == size, "\(name)")
        }
    }

    @Test func readsTheExampleOfPublicTasks() throws {
        let job = try example("evaluate-tasks.json", kind: "evaluate")
        guard case .evaluate(let spec) = job else {
            Issue.record("not an evaluation job")
            return
        }
        let types: [EvaluateSpec.TaskType] = [
            .mmlu, .hellaswag, .arcChallenge, .gsm8k, .divergence,
        ]
        #expect(spec.tasks.map(\.type) == types)
        guard case .choices(let questions) = spec.tasks[0] else {
            Issue.record("no questions with answers to choose from")
            return
        }
        #expect(questions.exampleCount == 5 && questions.subjects.isEmpty)
        let pointers = job.inputReferences.map(\.pointer)
        #expect(pointers.contains("/tasks/0/examples/1") && pointers.contains("/tasks/4/text"))
    }

    @Test func readsTheEvaluationExample() throws {
        let job = try example("evaluate.json", kind: "evaluate")
        guard case .evaluate(let spec) = job else {
            Issue.record("not an evaluation job")
            return
        }
        let windows = EvaluateSpec.TextWindows(
            text: "hamlet.txt",
            sequenceLength: 512,
            windowCount: 16
        )
        #expect(spec.models.map(\.label) == ["baseline", "PTQ", "QAT"])
        #expect(spec.tasks.prefix(2) == [.perplexity(windows), .accuracy(windows)])
        #expect(
            spec.tasks.last
                == .benchmark(
                    .init(
                        batchSize: 1,
                        inputLength: 256,
                        outputLength: 64,
                        runCount: 10,
                        warmUpCount: 2
                    )
                )
        )
        #expect(
            job.inputReferences.map(\.location) == [
                .path("SmolLM2-135M-Instruct.Q4_1.gguf"),
                .job(id: "PTQ_JOB_ID", output: nil),
                .job(id: "QAT_JOB_ID", output: nil),
                .path("hamlet.txt"),
                .path("hamlet.txt"),
            ]
        )
        #expect(job.inputReferences.map(\.pointer)[3...] == ["/tasks/0/text", "/tasks/1/text"])
    }

    @Test func fillsInEveryDefault() throws {
        let minimal = #"{"model":"m","quantization":{"algorithm":"nvfp4"},"data":{"train":["t"]}}"#
        guard case .train(let spec) = try JobSpec.parse(kind: "train", json: Array(minimal.utf8))
        else {
            Issue.record("not a training job")
            return
        }
        #expect(spec.quantization.recipe.defaultFormat?.blockSize == 16)
        #expect(spec.distillation == nil)
        #expect(spec.trainer.maximumEpochs == 1)
        #expect(spec.trainer.validationInterval == nil)
        #expect(spec.optimizer.schedule == .constant)
        #expect(spec.optimizer.minimumLearningRate == spec.optimizer.learningRate)
        #expect(spec.exports.map(\.format) == [.compressedTensors])
        #expect(spec.data.sequenceLength == 256)
        let quantize = #"{"model":"m","quantization":{"algorithm":"fp4"}}"#
        _ = try JobSpec.parse(kind: "quantize", json: Array(quantize.utf8))
        let tasks = [
            #"{"type":"benchmark"}"#, #"{"type":"perplexity","text":"t"}"#,
            #"{"type":"accuracy","text":"t"}"#,
        ]
        let evaluate =
            #"{"models":[{"label":"a","model":"m"}],"tasks":[\#(tasks.joined(separator: ","))]}"#
        _ = try JobSpec.parse(kind: "evaluate", json: Array(evaluate.utf8))
    }

    @Test func evaluationsRoundActivationsAsExportedUnlessTold() throws {
        let tasks = #""tasks":[{"type":"benchmark"}]"#
        func spec(_ job: String, _ model: String) throws -> EvaluateSpec? {
            let json = #"{\#(job)"models":[{"label":"a","model":"m"\#(model)}],\#(tasks)}"#
            let parsed = try JobSpec.parse(kind: "evaluate", json: Array(json.utf8))
            guard case .evaluate(let spec) = parsed else { return nil }
            return spec
        }
        let plain = try #require(try spec("", ""))
        #expect(plain.activations == .asExported && plain.models[0].activations == nil)
        let told = try #require(
            try spec(#""activations":"none","#, #","activations":"as-exported""#)
        )
        #expect(told.activations == .none && told.models[0].activations == .asExported)
        let error = #expect(throws: (any Error).self) { try spec("", #","activations":"mxfp4""#) }
        #expect("\(error.map { "\($0)" } ?? "")".contains("as-exported"))
    }

    @Test func treatsNullAsMissing() throws {
        let source =
            #"{"model":"m","name":null,"quantization":{"algorithm":"fp4"},"data":{"train":["t"]},"#
            + #""distillation":null,"trainer":{"max_steps":3,"gradient_clip_val":null}}"#
        guard case .train(let spec) = try JobSpec.parse(kind: "train", json: Array(source.utf8))
        else {
            Issue.record("not a training job")
            return
        }
        #expect(spec.name == nil)
        #expect(spec.distillation == nil)
        #expect(spec.trainer.gradientClip == 1)
    }

    @Test func aPipelineIsNoJob() {
        let error = #expect(throws: JobSpecError.self) {
            try JobSpec.parse(kind: "pipeline", json: Array("{}".utf8))
        }
        #expect(error?.code == .unknownKind)
    }

    @Test(arguments: [
        ("job:abc", InputReference.Location.job(id: "abc", output: nil)),
        ("job:abc/model", .job(id: "abc", output: "model")),
        ("job:abc/model/config.json", .job(id: "abc", output: "model/config.json")),
        (
            "sha256:" + String(repeating: "Ab", count: 32),
            .digest(String(repeating: "ab", count: 32))
        ),
        ("models/m.gguf", .path("models/m.gguf")),
        ("jobs:abc", .path("jobs:abc")),
    ])
    func classifiesReferences(text: String, expected: InputReference.Location) {
        #expect(InputReference.Location(parsing: text) == expected)
    }

    @Test(arguments: ["", "job:", "job:a b", "job:a/", "job:a/../b", "sha256:12", "a\u{0}b"])
    func refusesMalformedReferences(text: String) {
        #expect(InputReference.Location(parsing: text) == nil)
    }
}
