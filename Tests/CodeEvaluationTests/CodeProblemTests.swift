internal import Foundation
internal import JobInputs
internal import JobSpecs
internal import Jobs
internal import ModelFiles
internal import Testing

/// Files of problems, and jobs that name them.
@Suite struct CodeProblemTests {
    private func problem(_ id: String, entry: String = "f") -> String {
        """
        {"task_id": "\(id)", "prompt": "def f():\\n", "entry_point": "\(entry)", \
        "canonical_solution": "    pass\\n", "test": "def check(c): pass", "extra": 1}
        """
    }

    private func read(_ text: String, limit: Int? = nil) throws -> [CodeProblem] {
        let folder = NSTemporaryDirectory() + "/qat-problems-" + UUID().uuidString
        try FileManager.default.createDirectory(
            atPath: folder,
            withIntermediateDirectories: true
        )
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = folder + "/p.jsonl"
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        return try CodeProblem.read(path: path, limit: limit)
    }

    @Test func linesAreProblems() throws {
        let text = [problem("a"), "", problem("b") + "\r", "  ", problem("c")]
            .joined(separator: "\n")
        #expect(try read(text).map(\.id) == ["a", "b", "c"])
        #expect(try read(text, limit: 2).map(\.id) == ["a", "b"])
        let first = try #require(try read(text).first)
        #expect(first.prompt == "def f():\n" && first.solution == "    pass\n")
        #expect(first.entryPoint == "f" && first.test == "def check(c): pass")
    }

    @Test func whatIsNoneIsNamedByItsLine() {
        let mbpp = #"{"task_id": 1, "text": "t", "code": "c", "test_list": []}"#
        for (text, words) in [
            (problem("a") + "\n{", "p.jsonl: line 2: "), ("\n\n", "p.jsonl holds no problem"),
            (problem("a") + "\n" + problem("a"), "line 2: task_id a is there already"),
            (problem("a", entry: "f); import os; g("), "no name of a function"),
            (mbpp, "a text task_id is needed, as HumanEval.jsonl has it; test_list is of another"),
            ("\u{1F}", "line 1"),
        ] {
            let error = #expect(throws: ModelFileError.self) { try read(text) }
            #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
        }
    }

    private func job(_ task: String) throws -> JobSpec {
        try JobSpec.parse(
            kind: "evaluate",
            json: Array(
                """
                {"models": [{"label": "a", "model": "m"}],
                 "tasks": [{"type": "humaneval", "problems": "HumanEval.jsonl"\(task)}]}
                """.utf8
            )
        )
    }

    @Test func jobsSayHowProgramsAreWritten() throws {
        guard case .evaluate(let spec) = try job(""), case .code(let plain)? = spec.tasks.first
        else {
            Issue.record("another job")
            return
        }
        #expect(plain.file == "HumanEval.jsonl" && plain.sampleCount == 1 && plain.limit == nil)
        #expect(plain.temperature == 0 && plain.topP == 1 && plain.maximumTokens == 512)
        #expect(plain.k == [1] && plain.timeoutSeconds == 3)
        #expect(spec.inputs.map(\.pointer) == ["/models/0/model", "/tasks/0/problems"])
        let all = """
            , "samples": 20, "temperature": 0.8, "top_p": 0.95, "max_tokens": 256, "k": [1, 10], \
            "timeout_s": 1.5, "limit": 5
            """
        guard case .evaluate(let spec) = try job(all), case .code(let full)? = spec.tasks.first
        else {
            Issue.record("another job")
            return
        }
        #expect(full.sampleCount == 20 && full.temperature == 0.8 && full.topP == 0.95)
        #expect(full.maximumTokens == 256 && full.k == [1, 10] && full.timeoutSeconds == 1.5)
        #expect(full.limit == 5)
    }

    /// Such a job waits for a worker whose operator allows it.
    @Test func jobsAskForLeaveToRunCode() throws {
        let job = try job("")
        #expect(job.resources.runsCode)
        #expect(
            job.resources.waitReason
                == "waits for code execution, which eval workers with --allow-code-execution offer"
        )
        let other = try JobSpec.parse(
            kind: "evaluate",
            json: Array(
                #"{"models": [{"label": "a", "model": "m"}], "tasks": [{"type": "benchmark"}]}"#
                    .utf8
            )
        )
        #expect(!other.resources.runsCode && other.resources.waitReason == nil)
    }

    @Test(arguments: [
        (#", "samples": 5"#, "$.tasks[0].temperature", "0 is not allowed with 5 samples"),
        (#", "k": [10]"#, "$.tasks[0].k[0]", "10 is not allowed with 1 samples"),
        (#", "k": [1, 2]"#, "$.tasks[0].k[1]", "2 is not allowed; expected 1, 10 or 100"),
        (#", "k": [1, 1]"#, "$.tasks[0].k[1]", "1 is there already"),
        (#", "timeout_s": 0"#, "$.tasks[0].timeout_s", "0 is not allowed"),
        (#", "text": "t""#, "$.tasks[0].text", "unknown"),
    ])
    func whatCannotBeIsRefused(task: String, path: String, words: String) {
        let error = #expect(throws: JobSpecError.self) { try job(task) }
        #expect(error?.violations.map(\.path) == [path])
        #expect(error?.violations.first?.message.contains(words) == true, "\(error as Any)")
    }
}
