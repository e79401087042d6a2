internal import ComputeKit
internal import Jobs
internal import ModelFiles
internal import ServiceKit
internal import Testing

/// What a worker says about inputs names them as the job file does.
@Suite struct InputNamesTests {
    private let request = ComputeRequest(
        jobID: "j",
        kind: "evaluate",
        attempt: 1,
        spec: """
            {"models":[{"label":"a","model":"../models/a.gguf"},{"label":"b","model":"job:j-7"}],\
            "tasks":[{"text":"t.txt","type":"perplexity"}]}
            """,
        inputs: [
            "/models/0/model": "/var/lib/qat/work/j/inputs/1/a.gguf",
            "/models/1/model": "/var/lib/qat/work/j/inputs/1",
            "/tasks/0/text": "/var/lib/qat/work/j/inputs/10/t.txt",
        ],
        outputFolder: "/o",
        checkpointFolder: "/c",
        threads: 1
    )

    @Test(arguments: [
        (
            "/var/lib/qat/work/j/inputs/1/a.gguf: truncated",
            "$.models[0].model: ../models/a.gguf: truncated"
        ),
        (
            "/var/lib/qat/work/j/inputs/1/config.json: no",
            "$.models[1].model: job:j-7/config.json: no"
        ),
        (
            "$.tasks[0].text: /var/lib/qat/work/j/inputs/10/t.txt: empty",
            "$.tasks[0].text: t.txt: empty"
        ),
        ("the loss is not finite", "the loss is not finite"),
        ("", ""),
    ])
    func pathsBecomeTheSubmittersOwn(message: String, expected: String) {
        #expect(InputNames(request).replaced(in: message) == expected)
    }

    @Test func failuresAreTranslatedWithTheirPlace() throws {
        let error = #expect(throws: ComputeFailure.self) {
            try JobFailure.translating(request) {
                _ = try TextFile(path: request.path("/tasks/0/text"))
            }
        }
        let failure = try #require(error)
        #expect(failure.reason == .userError)
        #expect(failure.message == "$.tasks[0].text: t.txt: No such file or directory")
    }

    @Test func otherErrorsPass() {
        struct Other: Error {}
        #expect(throws: Other.self) {
            try JobFailure.translating(request) { throw Other() }
        }
    }
}
