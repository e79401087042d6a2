internal import Foundation
internal import JobSpecs
internal import Jobs
internal import ServiceKit
internal import Testing

@testable internal import EvalService
@testable internal import ServiceKit
@testable internal import qat_client

/// Tasks over public sets of questions, as jobs, on two tiny models of bytes.
@Suite struct QuestionTasksTests {
    private let home: TemporaryHome

    init() throws {
        home = try TemporaryHome()
        try TinyModelFolder(context: 512).write(to: home.home.path + "/a")
        try TinyModelFolder(context: 512, layers: 2).write(to: home.home.path + "/b")
        try home.write("output/.keep", "")
    }

    private func run(_ tasks: String, _ files: [String: String]) throws -> [String: Any] {
        let path = try home.write("events.jsonl", "")
        let handle = try #require(FileHandle(forWritingAtPath: path))
        var inputs = files.mapValues { home.home.path + "/" + $0 }
        inputs["/models/0/model"] = home.home.path + "/a"
        inputs["/models/1/model"] = home.home.path + "/b"
        let request = ComputeRequest(
            jobID: "j",
            kind: "evaluate",
            attempt: 1,
            spec: """
                {"models": [{"label": "a", "model": "a"}, {"label": "b", "model": "b"}],
                 "tasks": [\(tasks)]}
                """,
            inputs: inputs,
            outputFolder: home.home.path + "/output",
            checkpointFolder: home.home.path + "/checkpoints",
            threads: 1
        )
        try EvaluationJob(request, ComputeReporter(output: handle, isPaced: false)).run()
        let report = URL(filePath: home.home.path + "/output/report.json")
        let object = try JSONSerialization.jsonObject(with: Data(contentsOf: report))
        return try #require(object as? [String: Any])
    }

    private func samples(_ name: String) throws -> [[String: Any]] {
        let path = home.home.path + "/output/samples/" + name
        return try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map {
            try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
    }

    @Test func questionsAreAskedOfEveryModel() throws {
        let questions = (0..<24).map { number in
            "\(number) of what?,one,two,three,\(number),\("ABCD".dropFirst(number % 4).prefix(1))\n"
        }
        try home.write("law_test.csv", questions[..<12].joined())
        try home.write("art_test.csv", questions[12...].joined())
        try home.write("law_dev.csv", "what?,1,2,3,4,A\n")
        try home.write("art_dev.csv", "who?,1,2,3,4,D\n")
        let results = try run(
            """
            {"type": "mmlu", "questions": ["law_test.csv", "art_test.csv"],
             "few_shot": 1, "examples": ["law_dev.csv", "art_dev.csv"]}
            """,
            [
                "/tasks/0/questions/0": "law_test.csv", "/tasks/0/questions/1": "art_test.csv",
                "/tasks/0/examples/0": "law_dev.csv", "/tasks/0/examples/1": "art_dev.csv",
            ]
        )
        let rows = try #require(results["rows"] as? [[String: Any]])
        let lines = try samples("0-mmlu.jsonl")
        #expect(lines.count == 48)
        var means: [Double] = []
        for (row, label) in zip(rows, ["a", "b"]) {
            let measurements = try #require(row["measurements"] as? [[String: Any]])
            #expect(measurements.map { $0["name"] as? String } == ["acc"])
            let own = lines.filter { $0["label"] as? String == label }
            let values = own.compactMap { $0["acc"] as? Double }
            let mean = values.reduce(0, +) / 24
            #expect(measurements[0]["value"] as? Double == mean)
            #expect(measurements[0]["count"] as? Int == 24)
            let subjects = try #require(measurements[0]["subjects"] as? [[String: Any]])
            #expect(subjects.map { $0["subject"] as? String } == ["art", "law"])
            #expect(subjects[1]["value"] as? Double == values[..<12].reduce(0, +) / 12)
            #expect(own[3]["source"] as? String == "law_test.csv: line 4")
            #expect(own[3]["right"] as? [Int] == [3])
            means.append(mean)
        }
        let comparisons = try #require(results["comparisons"] as? [[String: Any]])
        #expect(comparisons.count == 1 && comparisons[0]["label"] as? String == "b")
        let difference = try #require(comparisons[0]["difference"] as? Double)
        #expect(abs(difference - (means[1] - means[0])) <= 1e-12)
        let wins = try #require(comparisons[0]["wins"] as? Int)
        let losses = try #require(comparisons[0]["losses"] as? Int)
        #expect(abs(Double(wins - losses) / 24 - difference) <= 1e-12)
        #expect((comparisons[0]["p_value"] as? Double).map { $0 > 0 && $0 <= 1 } == true)
    }

    /// The second model is the reference: it runs first, and rows stay in the job's order.
    @Test func modelsAreComparedWithTheReference() throws {
        try home.write("text.txt", String(repeating: "all that glisters is not gold. ", count: 12))
        let question = #"{"goal": "g", "sol1": "one", "sol2": "two", "label": 0}"# + "\n"
        try home.write("piqa.jsonl", question + question)
        let results = try run(
            """
            {"type": "kl_divergence", "text": "text.txt", "seq_length": 32, "windows": 3,
             "reference": "b"},
            {"type": "piqa", "questions": ["piqa.jsonl"]}
            """,
            ["/tasks/0/text": "text.txt", "/tasks/1/questions/0": "piqa.jsonl"]
        )
        let rows = try #require(results["rows"] as? [[String: Any]])
        #expect(rows.map { $0["label"] as? String } == ["a", "b"])
        let measurements = try #require(rows[0]["measurements"] as? [[String: Any]])
        let names = measurements.map { $0["name"] as? String }
        #expect(names == ["kl_divergence", "top1_agreement", "flips", "acc", "acc_norm"])
        let values = measurements.compactMap { $0["value"] as? Double }
        #expect(values[0] > 0 && (0..<1).contains(values[1]) && (0...1).contains(values[2]))
        #expect((rows[1]["measurements"] as? [Any])?.count == 2)
        let comparisons = try #require(results["comparisons"] as? [[String: Any]])
        #expect(comparisons.map { $0["label"] as? String } == ["b", "b"])
        #expect(comparisons.map { $0["reference"] as? String } == ["a", "a"])
    }

    @Test func answersAreGeneratedAndFiltered() throws {
        let problem = #"{"question": "1 + 1?", "answer": "It is two.\n#### 2"}"# + "\n"
        try home.write("test.jsonl", problem + problem)
        let results = try run(
            #"{"type": "gsm8k", "questions": ["test.jsonl"], "few_shot": 0, "limit": 1}"#,
            ["/tasks/0/questions/0": "test.jsonl"]
        )
        let rows = try #require(results["rows"] as? [[String: Any]])
        let measurements = try #require(rows[0]["measurements"] as? [[String: Any]])
        let names = measurements.map { $0["name"] as? String }
        #expect(names == ["exact_match_strict", "exact_match_flexible"])
        #expect(measurements.allSatisfy { $0["count"] as? Int == 1 })
        let lines = try samples("0-gsm8k.jsonl")
        #expect(lines.count == 2 && lines.allSatisfy { $0["strict"] is String })
    }

    /// What is wrong is said by its place before anything runs.
    @Test(arguments: [
        (
            #"{"type": "piqa", "questions": ["q.jsonl"], "few_shot": 2}"#,
            "$.tasks[0].examples: missing; few_shot 2 takes examples from it"
        ),
        (
            #"{"type": "piqa", "questions": ["q.jsonl"], "examples": ["q.jsonl"]}"#,
            "not allowed with few_shot 0"
        ),
        (
            #"{"type": "piqa", "questions": ["q.jsonl"], "subjects": ["law"]}"#,
            "$.tasks[0].subjects: unknown key"
        ),
        (
            #"{"type": "truthfulqa_mc1", "questions": ["q.jsonl"], "few_shot": 2}"#,
            "$.tasks[0].few_shot: unknown key"
        ),
        (
            #"{"type": "kl_divergence", "text": "q.jsonl", "reference": "c"}"#,
            #""c" is not allowed; expected the label of one of the models, "a", "b""#
        ),
        (#"{"type": "gsm8k", "questions": ["q.jsonl"]}"#, "few_shot 5 takes examples from it"),
        (#"{"type": "piqa", "questions": ["q.jsonl"]}"#, "q.jsonl: line 1: no key \"goal\""),
    ])
    func mistakesAreNamed(_ task: String, _ wanted: String) throws {
        try home.write("q.jsonl", "{\"text\": \"t\"}\n")
        let error = #expect(throws: ComputeFailure.self) {
            _ = try run(
                task,
                [
                    "/tasks/0/questions/0": "q.jsonl", "/tasks/0/examples/0": "q.jsonl",
                    "/tasks/0/text": "q.jsonl",
                ]
            )
        }
        let message = try #require(error).message
        #expect(message.contains(wanted), "\(message)")
    }
}
