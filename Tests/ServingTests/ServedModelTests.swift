internal import Foundation
internal import JobSpecs
internal import TestProgram
internal import Testing

/// A model that a suite of the built programs serves: gateway, worker, process and client.
///
/// One after the other: each suite has four processes, and what is measured here are times.
@Suite(.serialized) struct ServedModelTests {
    private static let greedy = ["--temperature", "0", "--max-tokens", "24", "--json"]

    /// Texts of a served model are those of the same model on this machine, alone and together.
    @Test func writesWhatTheModelWritesHere() throws {
        let suite = try ServedSuite()
        defer { suite.down() }
        let job = try suite.serve(#""max_batch_size": 4"#)
        try suite.untilReady()
        let prompts = ["The quick brown", "Once upon", "1, 2, 3"]
        func texts(_ source: [String], _ prompts: [String]) throws -> [String: String] {
            let arguments = ["generate"] + source + prompts + Self.greedy
            let result = try suite.talk(arguments, input: "")
            #expect(result.status == 0, "\(result.errors)")
            return try result.output.split(separator: "\n").reduce(into: [:]) { texts, line in
                let value = try suite.json(String(line))
                let prompt = try #require(value["prompt"]?.stringValue)
                texts[prompt] = value["text"]?.stringValue
                #expect(value["tokens"]?.integerValue == 24)
                #expect(value["finish_reason"]?.stringValue == "length")
            }
        }
        let here = try texts(["--local", suite.folder + "/tiny"], prompts)
        #expect(here.count == 3)
        #expect(try texts(["--model", "tiny"], prompts) == here)
        #expect(try texts(["--model", job], [prompts[1]])[prompts[1]] == here[prompts[1]])
        // Seeds draw alike, here and there.
        let drawn = ["Once", "--seed", "7", "--max-tokens", "16", "--json"]
        let one = try suite.talk(["generate", "--model", "tiny"] + drawn, input: "")
        let two = try suite.talk(
            ["generate", "--local", suite.folder + "/tiny"] + drawn,
            input: ""
        )
        #expect(try suite.json(one.output)["text"] == suite.json(two.output)["text"])
        try talks(suite)
        try refuses(suite)
        try drains(suite, job)
    }

    private func talks(_ suite: ServedSuite) throws {
        func answers(_ source: [String]) throws -> [JSONValue] {
            let outcome = try suite.talk(
                ["chat"] + source + Self.greedy,
                input: "hello\nand then?\n"
            )
            #expect(outcome.status == 0, "\(outcome.errors)")
            return try outcome.output.split(separator: "\n").map { try suite.json(String($0)) }
        }
        let here = try answers(["--local", suite.folder + "/tiny"])
        #expect(here.count == 2)
        #expect(try answers(["--model", "tiny"]) == here)
    }

    private func refuses(_ suite: ServedSuite) throws {
        let other = try suite.client("generate", "--model", "large", "x")
        #expect(other.status == 2 && other.errors.contains("no model large is served"))
        let long = String(repeating: "x", count: 9000)
        let refused = try suite.client("generate", "--model", "tiny", long)
        #expect(refused.status == 2, "\(refused.errors)")
        #expect(refused.errors.contains("the prompt has 9000 tokens"), "\(refused.errors)")
    }

    /// A replica that is cancelled writes what is under way, takes nothing new, and leaves its figures.
    private func drains(_ suite: ServedSuite, _ job: String) throws {
        let text = try suite.start(
            [
                "generate", "--model", "tiny", "long", "--temperature", "0", "--max-tokens", "4000",
                "--json",
            ],
            output: "drained"
        )
        try suite.until("a text is under way") {
            try suite.job(job)["progress"]?["phase"]?.stringValue?.hasPrefix("serving 1") == true
                || !text.isRunning
        }
        #expect(try suite.client("cancel", job).status == 0)
        #expect(text.wait().status == 0)
        #expect(try suite.json(suite.read("drained"))["tokens"]?.integerValue == 4000)
        #expect(try suite.client("wait", job, "--timeout", "60").status == 0)
        let ended = try suite.job(job)
        #expect(ended["state"]?.stringValue == "SUCCEEDED")
        #expect(ended["results"]?["requests"]?.integerValue ?? 0 >= 8)
        #expect(try suite.models().isEmpty)
    }

    /// Whoever hangs up frees their place within a second.
    @Test func aCallerWhoHangsUpFreesThePlace() throws {
        let suite = try ServedSuite()
        defer { suite.down() }
        _ = try suite.serve(#""max_batch_size": 1"#)
        try suite.untilReady()
        let first = try suite.start(
            ["generate", "--model", "tiny", "x", "--max-tokens", "8000", "--temperature", "1"],
            output: "first"
        )
        try suite.until("the first text is under way") { try !suite.read("first").isEmpty }
        let second = try suite.start(
            ["generate", "--model", "tiny", "x", "--max-tokens", "4"],
            output: "second"
        )
        Thread.sleep(forTimeInterval: 1)
        #expect(second.isRunning && first.isRunning)
        let left = ContinuousClock.now
        first.signal(SIGKILL)
        #expect(second.wait().status == 0)
        #expect(ContinuousClock.now - left < .seconds(2))
    }

    /// A replica that is killed costs the text that it was writing, says so, and comes back.
    @Test func aKilledReplicaFailsItsOwnTextsAndComesBack() throws {
        let suite = try ServedSuite()
        defer { suite.down() }
        let job = try suite.serve()
        try suite.untilReady()
        let text = try suite.start(
            ["generate", "--model", "tiny", "x", "--max-tokens", "8000", "--temperature", "1"],
            output: "killed"
        )
        try suite.until("the text is under way") { try !suite.read("killed").isEmpty }
        kill(try #require(try suite.replicaProcess()), SIGKILL)
        #expect(text.wait().status == 4)
        let words = try suite.read("killed.errors")
        #expect(words.contains("was lost in the middle of this answer"), "\(words)")
        try suite.until("the next attempt serves") {
            try suite.job(job)["attempt"]?.integerValue == 2 && suite.models().first != nil
        }
        try suite.untilReady()
        #expect(
            try suite.client("generate", "--model", "tiny", "x", "--max-tokens", "4").status == 0
        )
        #expect(try suite.job(job)["state"]?.stringValue == "RUNNING")
    }

    @Test func refusesWhatCannotBeServed() throws {
        let suite = try ServedSuite()
        defer { suite.down() }
        func refusal(_ settings: String) throws -> String {
            let file = suite.folder + "/wrong.json"
            try Data(#"{"model": "tiny", \#(settings)}"#.utf8).write(to: URL(fileURLWithPath: file))
            let result = try suite.client("submit", "serve", file)
            #expect(result.status == 2, "\(settings): \(result.output)")
            return result.errors
        }
        #expect(try refusal(#""replicas": 2"#).contains("submit the job 2 times under one name"))
        #expect(try refusal(#""max_input_len": 9000"#).contains("more than the 8192 tokens"))
        #expect(try refusal(#""max_beam_width": 2"#).contains("max_beam_width"))
        #expect(try refusal(#""kv_cache": "fp32""#).contains("float32"))
        #expect(try refusal(#""kv_cache_tokens": 100"#).contains("less than one text"))
        #expect(try refusal(#""max_batch_size": 0"#).contains("1 to 256"))
    }
}
