internal import Devices
internal import Formats
internal import Foundation
internal import JobSpecs
internal import Jobs
internal import Kernels
internal import ModelFiles
internal import Testing
internal import Transformer

@testable internal import EvalService
@testable internal import ServiceKit
@testable internal import qat_client

/// Evaluation jobs on a tiny model of bytes, in this process.
@Suite struct EvaluationJobTests {
    private let home: TemporaryHome
    private let text = String(repeating: "all that glisters is not gold. ", count: 12)

    init() throws {
        home = try TemporaryHome()
        try TinyModelFolder().write(to: home.home.path + "/model")
        try home.write("text.txt", text)
        try home.write("output/.keep", "")
    }

    private func request(_ tasks: [String], kind: String = "evaluate") -> ComputeRequest {
        var inputs = ["/models/0/model": home.home.path + "/model"]
        inputs["/models/1/model"] = inputs["/models/0/model"]
        for index in tasks.indices { inputs["/tasks/\(index)/text"] = home.home.path + "/text.txt" }
        return ComputeRequest(
            jobID: "j",
            kind: kind,
            attempt: 1,
            spec: """
                {"models": [{"label": "a", "model": "model"}, {"label": "b", "model": "model"}],
                 "tasks": [\(tasks.joined(separator: ", "))]}
                """,
            inputs: inputs,
            outputFolder: home.home.path + "/output",
            checkpointFolder: home.home.path + "/checkpoints",
            threads: 2
        )
    }

    /// Runs a job; returns what it reported.
    ///
    /// `interval`: Time between reports within a step.
    private func run(
        _ request: ComputeRequest,
        stopping: Bool = false,
        interval: Duration = .seconds(3600)
    ) throws -> [ComputeEvent] {
        let path = try home.write("events.jsonl", "")
        let handle = try #require(FileHandle(forWritingAtPath: path))
        let reporter = ComputeReporter(output: handle, isPaced: false)
        if stopping { reporter.requestStop() }
        let job = try EvaluationJob(request, reporter, interval: interval)
        _ = reporter.tellLife()
        try job.run()
        // Whatever it does, work is what its daemon takes for a sign of life.
        #expect(reporter.tellLife() && !reporter.tellLife())
        return try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map {
            try ComputeEvent(line: String($0))
        }
    }

    /// What the tests read of results; JSONSerialization would lose digits.
    private struct Results: Decodable {
        struct Measurement: Decodable {
            let task: String
            let index: Int
            let name: String
            let value: Double
            let count: Int
        }

        struct Row: Decodable {
            let label: String
            let perplexity: Double?
            let latencyMs: Double?
            let tokensPerS: Double?
            let measurements: [Measurement]
        }

        let rows: [Row]
    }

    private func results(_ events: [ComputeEvent]) throws -> [Results.Row] {
        let json = try #require(events.last { $0.type == .result }?.json)
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(Results.self, from: Data(json.utf8)).rows
    }

    private func windows(_ type: String, _ count: Int) -> String {
        #"{"type": "\#(type)", "text": "text.txt", "seq_length": 32, "windows": \#(count)}"#
    }

    @Test func everyTaskMeasuresEveryModel() throws {
        let events = try run(
            request([windows("perplexity", 4), windows("accuracy", 4), windows("perplexity", 2)])
        )
        let rows = try results(events)
        #expect(rows.map(\.label) == ["a", "b"])
        let team = ThreadTeam(threadCount: 1)
        let model = try ModelLoader.load(path: home.home.path + "/model", team: team)
        let evaluator = try PerplexityEvaluator(
            parameters: model.parameters,
            recipe: .none,
            length: 32,
            device: CPUDevice(team: team)
        )
        // The tokens of this model are bytes.
        let tokens = text.utf8.map { Int32($0) }
        let four = try evaluator.evaluate(tokens: tokens, windows: 4)
        let two = try evaluator.evaluate(tokens: tokens, windows: 2)
        for row in rows {
            let list = row.measurements
            #expect(list.map(\.task) == ["perplexity", "accuracy", "perplexity"])
            #expect(list.map(\.index) == [0, 1, 2])
            #expect(list.map(\.count) == [4, 4, 2])
            #expect(
                list.map(\.value) == [four.perplexity, four.accuracy, two.perplexity]
            )
            #expect(row.perplexity == four.perplexity)
            #expect(row.latencyMs == nil)
        }
        #expect(events.filter { $0.type == .metric }.map(\.step) == [1, 2])
        let report = home.home.path + "/output/report.json"
        #expect(FileManager.default.fileExists(atPath: report))
    }

    @Test func fewerWindowsThanAskedForAreSaid() throws {
        let events = try run(request([windows("perplexity", 100)]))
        let count = text.utf8.count / 32
        #expect(
            events.contains {
                $0.type == .log && $0.message?.contains("has \(count) windows, fewer than") == true
            }
        )
    }

    @Test func otherJobsAreRefused() throws {
        var other = request([])
        other.kind = "quantize"
        other.spec = #"{"model": "m", "quantization": {"algorithm": "mxfp4"}}"#
        let error = #expect(throws: ComputeFailure.self) { try run(other) }
        #expect(error?.reason == .invalidSpec)
    }

    /// A line of the file of samples.
    private struct Sample: Decodable {
        let model: String
        let taskId: String
        let completion: String
        let passed: Bool
        let result: String
    }

    /// What the model writes stands in a comment, as long as it writes no line end: then tests alone decide.
    @Test func programsThatPassAreCounted() throws {
        let lines = [("T/0", 1), ("T/1", 2)].map { id, value in
            """
            {"task_id": "\(id)", "prompt": "f = lambda: 1\\n#a", "entry_point": "f", \
            "canonical_solution": "", "test": "def check(c):\\n    assert c() == \(value)"}
            """
        }
        var job = request([
            #"{"type": "humaneval", "problems": "p.jsonl", "max_tokens": 5, "timeout_s": 20}"#
        ])
        job.inputs["/tasks/0/problems"] = try home.write(
            "p.jsonl",
            lines.joined(separator: "\n")
        )
        let refusal = #expect(throws: ComputeFailure.self) { try run(job) }
        #expect(refusal?.reason == .userError)
        #expect(refusal?.message.contains("--allow-code-execution") == true)
        job.codeInterpreter = "/usr/bin/python3"
        let events = try run(job)
        #expect(events.contains { $0.message?.contains("Landlock") == true })

        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let samples = try String(
            contentsOfFile: home.home.path + "/output/samples/0-humaneval.jsonl",
            encoding: .utf8
        ).split(separator: "\n").map { try decoder.decode(Sample.self, from: Data($0.utf8)) }
        #expect(samples.map(\.model) == ["a", "a", "b", "b"])
        #expect(samples.map(\.taskId) == ["T/0", "T/1", "T/0", "T/1"])
        for sample in samples {
            let isComment = sample.completion.unicodeScalars.allSatisfy { $0.value >= 0x20 }
            #expect(sample.passed == (isComment && sample.taskId == "T/0"), "\(sample)")
            if isComment, !sample.passed { #expect(sample.result == "failed: AssertionError") }
        }
        for row in try results(events) {
            let passed = samples.count { $0.model == row.label && $0.passed }
            #expect(row.measurements.map(\.name) == ["pass@1"])
            #expect(row.measurements.map(\.value) == [Double(passed) / 2])
            #expect(row.measurements.map(\.count) == [2])
        }
    }

    @Test func stopsBetweenWindows() throws {
        #expect(throws: AttemptStopped.self) {
            try run(request([windows("perplexity", 4)]), stopping: true)
        }
    }

    /// docs/OPERATIONS.md, Stopping.
    ///
    /// Seen: a benchmark's run heard no stop, told nothing, and was killed as
    /// stalled while it computed.
    @Test func aBenchmarkStopsBetweenTokensAndTellsThem() throws {
        let settings = """
            {"type": "benchmark", "input_len": 8, "output_len": 5, "num_runs": 1, "warm_up": 1}
            """
        #expect(throws: AttemptStopped.self) {
            try run(request([settings]), stopping: true)
        }
        let path = home.home.path + "/events.jsonl"
        let told = try String(contentsOfFile: path, encoding: .utf8)
        #expect(told.contains("a: load") && !told.contains("a: benchmark"), "\(told)")
        let events = try run(request([settings]), interval: .zero)
        let phases = events.compactMap(\.phase).filter { $0.hasPrefix("a: benchmark") }
        let tokens = (9...12).map { "a: benchmark tokens \($0)/13" }
        #expect(
            phases == tokens + ["a: benchmark 1/2"] + tokens + ["a: benchmark 2/2"],
            "\(phases)"
        )
        // Four runs of 13 tokens in all: the time left shrinks with every token of a run.
        let steps = events.filter { $0.phase?.hasPrefix("a: benchmark") == true }.map(\.step)
        #expect(steps == [0, 0, 0, 0, 1, 1, 1, 1, 1, 2])
        #expect(events.filter { $0.phase == tokens[0] }.allSatisfy { $0.etaSeconds != nil })
    }

    @Test func generationIsTimed() throws {
        let settings = """
            {"type": "benchmark", "input_len": 8, "output_len": 5, "num_runs": 3, "warm_up": 2}
            """
        let events = try run(request([settings]))
        let row = try results(events)[0]
        let latency = try #require(row.latencyMs)
        let throughput = try #require(row.tokensPerS)
        // Five tokens in the median run.
        #expect(latency > 0 && abs(latency / 1000 * throughput - 5) <= 1e-9)
        #expect(
            row.measurements.map(\.name) == [
                "latency_ms", "tokens_per_s", "latency_ms_p99", "ttft_ms", "ttft_ms_p99", "itl_ms",
                "itl_ms_p99",
            ]
        )
        #expect(row.measurements.map(\.count) == [3, 3, 3, 3, 3, 12, 12])
        // Warm-ups are runs, too, but do not count.
        let runs = events.filter { $0.phase?.hasPrefix("a: benchmark") == true }
        #expect(runs.map(\.step) == [1, 2, 3, 4, 5])
        #expect(runs.last?.phase == "a: benchmark 5/5")
        // Model b has as many.
        #expect(runs.allSatisfy { $0.totalSteps == 10 })
    }

    /// Four windows that perplexity and accuracy share, two others and three runs, for each of two
    /// models: 18 steps, none of them counted twice.
    @Test func stepsAreCountedOverAllModelsAndTasks() throws {
        let timing = """
            {"type": "benchmark", "input_len": 8, "output_len": 5, "num_runs": 2, "warm_up": 1}
            """
        let events = try run(
            request([
                windows("perplexity", 4), windows("accuracy", 4), windows("perplexity", 2), timing,
            ])
        )
        let progress = events.filter { $0.type == .progress && $0.phase != "check inputs" }
        #expect(progress.allSatisfy { $0.totalSteps == 18 }, "\(progress.map(\.totalSteps))")
        let steps = progress.compactMap(\.step)
        #expect(steps == steps.sorted() && Set(steps) == Set(0...18))
        #expect(progress.first { $0.phase == "b: load" }?.step == 9)
        // Once something is done, the end is in sight; at the end there is nothing to wait for.
        #expect(progress.allSatisfy { ($0.etaSeconds != nil) == (1..<18).contains($0.step ?? 0) })
    }

    /// Three texts at once: as many first tokens as texts, and four times between tokens of each.
    @Test func severalTextsAreTimedAtOnce() throws {
        let settings = """
            {"type": "benchmark", "batch_size": 3, "input_len": 8, "output_len": 5, "num_runs": 2, "warm_up": 1}
            """
        let row = try results(try run(request([settings])))[0]
        let latency = try #require(row.latencyMs)
        let throughput = try #require(row.tokensPerS)
        #expect(abs(latency / 1000 * throughput - 15) <= 1e-9)
        #expect(row.measurements.map(\.count) == [2, 2, 2, 6, 6, 24, 24])
        let values = row.measurements.map(\.value)
        // A text begins before its run ends, and tails are no shorter than medians.
        #expect(values[3] <= values[4] && values[4] <= values[2] && values[5] <= values[6])
    }

    /// Of a hundred values, the 50th and the 99th; of few, the nearest that no smaller share exceeds.
    @Test func percentilesAreValues() {
        let hundred = (1...100).map(Double.init).shuffled()
        #expect(BenchmarkTask.percentile(50, of: hundred) == 50)
        #expect(BenchmarkTask.percentile(99, of: hundred) == 99)
        #expect(BenchmarkTask.percentile(50, of: [3, 1, 2]) == 2)
        #expect(BenchmarkTask.percentile(99, of: [3, 1, 2]) == 3)
        #expect(BenchmarkTask.percentile(50, of: [7]) == 7)
    }
}
