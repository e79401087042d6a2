internal import Foundation
internal import JobSpecs
internal import Protocol
internal import Testing
@testable internal import qat_client

@Suite struct PipelinePlanTests {
    private let folder: TemporaryHome

    init() throws {
        folder = try TemporaryHome()
        try TinyModelFolder().write(to: folder.home.path + "/model")
        try folder.write("text.txt", String(repeating: "enough text for windows ", count: 50))
    }

    private static let quantize = #"{"model": "model", "quantization": {"algorithm": "mxfp4"}}"#
    private static let train =
        #"{"model": "model", "quantization": {"algorithm": "mxfp4"}, "trainer": {"max_steps": 2}, "#
        + #""data": {"train": ["text.txt"], "validation": ["text.txt"], "seq_length": 32}}"#
    private static let compare =
        #"{"models": [{"label": "PTQ", "model": "job:ptq"}, {"label": "QAT", "model": "job:qat"}], "#
        + #""tasks": [{"type": "perplexity", "text": "text.txt", "seq_length": 32}]}"#
    private static let jobs =
        #"{"jobs": {"compare": \#(compare), "qat": \#(train), "ptq": \#(quantize)}}"#

    private func plan(
        _ text: String = jobs,
        _ overrides: [String] = []
    ) throws -> PipelinePlan {
        let path = try folder.write("all.json", text)
        return try PipelinePlan(
            try JobFile(path, kind: nil, overrides: overrides),
            name: nil
        )
    }

    private func problems(_ text: String, _ overrides: [String] = []) -> [String] {
        let error = #expect(throws: ClientError.self) { try plan(text, overrides) }
        #expect(error?.status == .usage)
        return (error?.lines ?? []).map { $0.replacing(folder.home.path + "/", with: "") }
    }

    @Test func findsTheInputsOfAllJobsAndKeepsTheirReferences() throws {
        let plan = try plan()
        #expect(plan.name == "all")
        #expect(plan.parts.map(\.name).last == "compare")
        let compare = try #require(plan.parts.last)
        #expect(Set(compare.waitsFor) == ["ptq", "qat"])
        #expect(compare.plan.name == "all/compare")
        #expect(
            compare.plan.inputs.map(\.source) == ["job:ptq/model", "job:qat/model", "file"]
        )
        // A file that several jobs need is sent once.
        #expect(plan.uniqueFiles.filter { $0.name == "text.txt" }.count == 1)
        let schedule = Schedule(after: ["00aa000000000001"], priority: 7, deadline: .after(5))
        let request = plan.request(key: "k", schedule)
        #expect(request.key == "k" && request.jobs.count == 3)
        for job in request.jobs {
            #expect(job.job.after == ["00aa000000000001"] && job.job.priority == 7)
            #expect(job.job.deadlineMs == 5 && job.job.key.isEmpty)
        }
        let typed = TypedSchedule(after: ["latest"], rest: Schedule(priority: 7))
        #expect(plan.digest(typed) != plan.digest(TypedSchedule()))
    }

    @Test func overridesReachIntoAJobByItsName() throws {
        let plan = try plan(
            Self.jobs,
            ["qat.trainer.max_steps=9", "jobs.ptq.seed=5", "name=other"]
        )
        #expect(plan.name == "other")
        func spec(_ name: String) throws -> JSONValue {
            JobAnswer.document(
                try #require(plan.parts.first { $0.name == name }).plan.specJSON
            )
        }
        #expect(try spec("qat")["trainer"]?["max_steps"]?.integerValue == 9)
        #expect(try spec("ptq")["seed"]?.integerValue == 5)
        #expect(
            problems(Self.jobs, ["qta.seed=1"])
                == ["all.json: $.qta: unknown key; known keys: name, jobs"]
        )
    }

    /// What a single submission would refuse is refused here, by its place in the whole file.
    @Test func eachJobIsCheckedAsIfSubmittedAlone() throws {
        let cases = [
            (
                Self.jobs.replacing("\"max_steps\"", with: "\"max_step\""),
                "all.json: $.jobs.qat.trainer.max_step: unknown key; did you mean \"max_steps\"?"
            ),
            (
                Self.jobs.replacing("\"train\": [\"text.txt\"]", with: "\"train\": [\"no.txt\"]"),
                "all.json: $.jobs.qat.data.train[0]: no such file or folder: no.txt"
            ),
            (
                Self.jobs.replacing("\"job:ptq\"", with: "\"job:pq\""),
                "all.json: $.jobs.compare.models[0].model: no job of the pipeline is called"
            ),
            (
                Self.jobs.replacing("\"seq_length\": 32}}", with: "\"seq_length\": 65}}"),
                "all.json: $.jobs.qat.data.seq_length: "
            ),
        ]
        for (text, start) in cases {
            let lines = problems(text)
            #expect(lines.count == 1 && lines[0].hasPrefix(start), "\(lines)")
        }
    }

    @Test func aPipelineMayBeYAML() throws {
        let yaml = """
            name: two
            jobs:
              ptq: {model: model, quantization: {algorithm: mxfp4}}
              again:
                kind: quantize
                after: [ptq]
                model: job:ptq/model
                quantization: {algorithm: mxfp8}
            """
        let path = try folder.write("two.yaml", yaml)
        let file = try JobFile(path, kind: nil)
        #expect(file.kind == "pipeline")
        let plan = try PipelinePlan(file, name: nil)
        #expect(plan.parts.map(\.name) == ["ptq", "again"])
        #expect(plan.parts[1].after == ["ptq"])
    }
}
