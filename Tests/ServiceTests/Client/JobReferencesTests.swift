internal import Foundation
internal import JobSpecs
internal import Protocol
internal import Synchronization
internal import Testing

@testable internal import Gateway
@testable internal import qat_client

/// `job:` in a file takes what every verb takes for a job (docs/CLIENT.md, Naming jobs).
///
/// Seen: `--set model=job:demo` was sent as it stood, and refused for want of a job "demo".
@Suite struct JobReferencesTests {
    private let folder: TemporaryHome

    init() throws { folder = try TemporaryHome() }

    private static let id = "00ab00000000000b"

    private func file(_ text: String, _ overrides: [String] = []) throws -> JobFile {
        try JobFile(try folder.write("j.json", text), kind: nil, overrides: overrides)
    }

    /// The file with each word taken for a job of its own, and the words in the order in which they were asked
    /// for.
    private func resolved(
        _ text: String,
        _ overrides: [String] = []
    ) async throws -> (JobReferences, asked: [String]) {
        let asked = Mutex<[String]>([])
        let references = try await JobReferences(file(text, overrides)) { words in
            asked.withLock { $0 += words }
            return Dictionary(
                uniqueKeysWithValues: words.map { ($0, JobReferences.Answer.job(Self.id)) }
            )
        }
        return (references, asked.withLock { $0 })
    }

    /// All places of docs/PROTOCOL.md where an input stands, and `start`.
    @Test func theyAreResolvedWhereverAnInputStands() async throws {
        let train = """
            {"name": "job:stays", "model": "job:a", "start": "job:b/model",
             "distillation": {"teacher": "job:c.1"}, "quantization": {"algorithm": "mxfp4"},
             "data": {"train": ["t.txt", "job:Über uns/x/y"], "validation": ["job:latest/v"],
                      "calibration": ["job:00ab/c"]}}
            """
        let (references, asked) = try await resolved(train)
        #expect(Set(asked) == ["a", "b", "c.1", "Über uns", "latest", "00ab"] && asked.count == 6)
        let value = references.file.document.value
        #expect(value["name"]?.stringValue == "job:stays")
        #expect(value["model"]?.stringValue == "job:\(Self.id)")
        #expect(value["start"]?.stringValue == "job:\(Self.id)/model")
        #expect(value["distillation"]?["teacher"]?.stringValue == "job:\(Self.id)")
        let texts = value["data"]?["train"]?.arrayValue?.compactMap(\.stringValue)
        #expect(texts == ["t.txt", "job:\(Self.id)/x/y"])
        #expect(value["data"]?["validation"] == .array([.string("job:\(Self.id)/v")]))
        #expect(value["data"]?["calibration"] == .array([.string("job:\(Self.id)/c")]))
        let evaluate = """
            {"models": [{"label": "a", "model": "job:x"}, {"label": "b", "model": "m.gguf"}],
             "tasks": [{"type": "perplexity", "text": "job:y/t"}, {"type": "benchmark"}]}
            """
        let (compared, words) = try await resolved(evaluate, ["models[1].model=job:x/model-mxfp4"])
        // One question for one word.
        #expect(Set(words) == ["x", "y"] && words.count == 2)
        let inputs = try SubmissionPlan(compared.file, name: nil).inputs
        #expect(
            inputs.map(\.source)
                == ["job:\(Self.id)/model", "job:\(Self.id)/model-mxfp4", "job:\(Self.id)/t"]
        )
        #expect(
            compared.resolved.map(\.path)
                == ["$.models[0].model", "$.models[1].model", "$.tasks[0].text"]
        )
        #expect(compared.resolved.map(\.from) == ["job:x", "job:x/model-mxfp4", "job:y/t"])
        #expect(compared.ids == ["x": Self.id, "y": Self.id])
    }

    /// Whole ids and what examples have where yours belong ask nobody: no gateway is needed for them.
    @Test(arguments: ["job:0000bb03c91c6898", "job:PTQ_JOB_ID", "job:ID/x", "job:", "m.gguf"])
    func whatNeedsNoGatewayAsksNone(model: String) async throws {
        let text = #"{"model":"\#(model)","quantization":{"algorithm":"mxfp4"}}"#
        let (references, asked) = try await resolved(text)
        #expect(asked.isEmpty && references.resolved.isEmpty && references.ids.isEmpty)
        #expect(references.file.document.value["model"]?.stringValue == model)
    }

    private static let pipeline = """
        {"jobs": {
          "train": {"model": "job:base", "quantization": {"algorithm": "mxfp4"},
                    "trainer": {"max_steps": 1}, "data": {"train": ["job:text/t"]}},
          "compare": {"models": [{"label": "a", "model": "job:train"},
                                 {"label": "b", "model": "job:base/model"}],
                      "tasks": [{"type": "benchmark"}]}}}
        """

    @Test func namesOfAPipelineGoBeforeOthers() async throws {
        let (references, asked) = try await resolved(Self.pipeline)
        #expect(Set(asked) == ["base", "text"])
        let plan = try PipelinePlan(references.file, name: nil)
        let sources = Dictionary(
            uniqueKeysWithValues: plan.parts.map { ($0.name, $0.plan.inputs.map(\.source)) }
        )
        #expect(
            sources == [
                "train": ["job:\(Self.id)/model", "job:\(Self.id)/t"],
                "compare": ["job:train/model", "job:\(Self.id)/model"],
            ]
        )
    }

    @Test func whatIsNotToBeFoundIsToldByItsPlace() async throws {
        let file = try file(Self.pipeline, ["compare.models[0].model=job:trian"])
        let error = await #expect(throws: ClientError.self) {
            _ = try await JobReferences(file) { words in
                words.reduce(into: [:]) { $0[$1] = .problem("no \($1)") }
            }
        }
        #expect(error?.status == .usage)
        #expect(
            error?.lines == [
                "\(file.name): $.jobs.compare.models[0].model: no trian; did you mean \"train\", a "
                    + "job of this pipeline?",
                "\(file.name): $.jobs.compare.models[1].model: no base",
                "\(file.name): $.jobs.train.model: no base",
                "\(file.name): $.jobs.train.data.train[0]: no text",
            ]
        )
        // Where no gateway is, a slip of the pen is told all the same; what may be somebody's job is not.
        let gone = RPCError(.unavailable, "no gateway")
        let slip = try await JobReferences(file) { _ in throw gone }
        #expect(slip.resolved.isEmpty)
        let other = try self.file(Self.pipeline)
        await #expect(throws: RPCError.self) {
            _ = try await JobReferences(other) { _ in throw gone }
        }
    }

    /// As for verbs that change jobs, a word must mean one job.
    @Test func aGatewaysJobsAreMeant() async throws {
        try await GatewayFixture.run { gateway in
            let demo = try await gateway.jobs.submit("demo")
            let other = try await gateway.jobs.submit("other")
            let pipeline = try await gateway.jobs.engine.submit(gateway.jobs.pipeline("pipe")).id
            let parts = try await gateway.jobs.engine.pipeline(pipeline).jobs
            // Called as another one's id begins.
            try await gateway.jobs.submit(String(other.prefix(14)))
            let selector = JobSelector(client: try gateway.user("ada"), caller: { "ada" })
            let words = ["demo", String(demo.prefix(14)), "pipe", "none", String(other.prefix(14))]
            let answers = try await JobReferences.answers(to: words, selector)
            #expect(answers[words[0]] == .job(demo) && answers[words[1]] == .job(demo))
            #expect(
                answers["pipe"]
                    == .problem(
                        "\"pipe\" is pipeline \(pipeline), and no job; write one of its jobs: "
                            + parts.map { "job:\($0.jobID) (\($0.part))" }
                            .joined(separator: ", ")
                    )
            )
            #expect(answers["none"] == .problem("no job has the id or the name \"none\""))
            guard case .problem(let problem) = answers[words[4]] else {
                Issue.record("\(answers)")
                return
            }
            #expect(problem.contains(other) && problem.contains("write the whole id"))
        }
    }
}
