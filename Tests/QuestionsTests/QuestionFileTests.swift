internal import Foundation
internal import ModelFiles
internal import Testing

@testable internal import Questions

/// What is wrong with a file of questions is said with the line.
@Suite final class QuestionFileTests {
    private let folder = FileManager.default.temporaryDirectory
        .appending(path: "qat-questions-\(UUID().uuidString)")

    init() throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    private func file(_ name: String, _ text: String) throws -> String {
        let url = folder.appending(path: name)
        try Data(text.utf8).write(to: url)
        return url.path
    }

    private func message(_ task: any ChoiceTask, _ name: String, _ text: String) throws -> String {
        let path = try file(name, text)
        let error = #expect(throws: ModelFileError.self) { _ = try task.questions(path: path) }
        return try #require(error).message
    }

    @Test func brokenQuestionsAreNamed() throws {
        let cases: [(any ChoiceTask, String, String, String)] = [
            (
                PIQA(), "p.jsonl", #"{"goal": "g", "sol1": "a", "label": 0}"#,
                "no key \"sol2\""
            ),
            (
                PIQA(), "p.jsonl",
                "\n" + #"{"goal": "g", "sol1": "a", "sol2": "b", "label": 2}"#,
                "p.jsonl: line 2: the right answer is 2"
            ),
            (PIQA(), "p.jsonl", "[]", "no JSON object; a JSON list becomes lines by: jq"),
            (PIQA(), "p.jsonl", "{\"goal\": ", "line 1"),
            (
                ARC(), "a.jsonl",
                """
                {"question": "q", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": "C"}
                """, "answerKey \"C\" is none of the 2 answers' labels, A, B"
            ),
            (
                WinoGrande(), "w.jsonl",
                #"{"sentence": "s", "option1": "a", "option2": "b", "answer": "1"}"#, "no blank"
            ),
            (
                TruthfulQA(.one), "t.jsonl",
                #"{"question": "q", "mc1_targets": {"choices": ["a", "b"], "labels": [0, 1]}}"#,
                "the first answer, and no other"
            ),
            (
                BoolQ(), "b.jsonl", #"{"passage": "p", "question": "q", "label": 2}"#,
                "label is 2, not false, true, 0 or 1"
            ),
            (MMLU(), "virology_test.csv", "q,a,b,c,d\n", "5 fields, not the 6 of question"),
            (MMLU(), "virology_test.csv", "\"q,a,b,c,d,A\n", "a quoted field does not end"),
            (MMLU(), "virology_test.csv", "q,a,b,c,d,E\n", "answer is a text, not an integer"),
            (MMLU(), "virology.csv", "q,a,b,c,d,A\n", "as virology_test.csv"),
        ]
        for (task, name, text, wanted) in cases {
            let message = try message(task, name, text)
            #expect(message.contains(wanted), "\(message)")
        }
    }

    @Test func fieldsInQuotesHoldAnything() throws {
        let path = try file(
            "us_law_test.csv",
            "\"a \"\"b\"\",\nc\",1,\"2,3\",4,,D\r\nnext,1,2,3,4,A"
        )
        let questions = try MMLU().questions(path: path)
        #expect(
            questions.map { $0.answers[0].context } == [
                "a \"b\",\nc\nA. 1\nB. 2,3\nC. 4\nD. \nAnswer:",
                "next\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer:",
            ]
        )
        let right = questions.map { $0.isRight.firstIndex(of: true) }
        #expect(right == [3, 0])
        #expect(questions.map(\.subject) == ["us_law", "us_law"])
        #expect(questions.map(\.place) == ["us_law_test.csv: line 1", "us_law_test.csv: line 3"])
    }

    /// ARC as AI2 publishes it is ARC as Hugging Face exports it.
    @Test func bothLayoutsOfARCAreTheSame() throws {
        let published = try file(
            "published.jsonl",
            """
            {"id": "1", "question": {"stem": "s?", "choices": [{"text": "x", "label": "A"}, \
            {"text": "y", "label": "B"}]}, "answerKey": "B"}
            """
        )
        let exported = try file(
            "exported.jsonl",
            """
            {"id": "1", "question": "s?", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, \
            "answerKey": "B"}
            """
        )
        let (one, other) = (
            try ARC().questions(path: published), try ARC().questions(path: exported)
        )
        #expect(one.map(\.answers) == other.map(\.answers))
        #expect(one.map(\.isRight) == [[false, true]] && other.map(\.isRight) == [[false, true]])
    }

    @Test func selectionsAreOfSubjects() throws {
        let path = try ChoiceFixture.path("questions/mmlu.jsonl")
        func set(_ selection: ChoiceSet.Selection) throws -> ChoiceSet {
            try ChoiceSet(MMLU(), questions: [path], examples: [path], selection)
        }
        let few = try set(.init(subjects: ["virology", "abstract_algebra"], limit: 3))
        let subjects = few.questions.map(\.subject)
        #expect(
            subjects == [
                "abstract_algebra", "abstract_algebra", "abstract_algebra", "virology", "virology",
                "virology",
            ]
        )
        let absent = #expect(throws: ModelFileError.self) { _ = try set(.init(subjects: ["law"])) }
        #expect(absent?.message.contains("there are abstract_algebra, high_school") == true)
        let short = #expect(throws: ModelFileError.self) {
            _ = try ChoiceSet(
                MMLU(),
                questions: [path],
                examples: [ChoiceFixture.path("questions/mmlu_dev.jsonl")],
                .init(exampleCount: 6)
            )
        }
        #expect(short?.message.contains("5 examples of the subject") == true)
    }
}
