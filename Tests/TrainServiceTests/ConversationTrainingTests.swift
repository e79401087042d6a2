internal import Foundation
internal import Testing

/// Trainings whose texts, or windows, hold little or nothing that is learned, in real compute children.
///
/// Serialized: each case starts processes that compute, and two cores carry one at a time.
@Suite(.serialized) struct ConversationTrainingTests {
    private static let template = """
        {% for m in messages %}[{{ m.role }}]{{ m.content }}
        {% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}
        """

    private static func conversations(
        _ count: Int,
        question: Int = 100,
        answer: Int? = 100
    ) -> String {
        (0..<count).map { index in
            let text = { (length: Int) in
                String(repeating: "word \(index % 7) of it, ", count: length / 13 + 1).prefix(
                    length
                )
            }
            let said = answer.map { #", {"role": "assistant", "content": "\#(text($0))"}"# } ?? ""
            return #"{"messages": [{"role": "user", "content": "\#(text(question))"}\#(said)]}"#
        }.joined(separator: "\n")
    }

    private static func job(_ steps: Int, _ trainer: String = "", _ data: String = "") -> String {
        """
        {"model": "model", "quantization": {"algorithm": "mxfp4"},
         "data": {"train": ["train.txt"], "validation": ["validation.txt"], "seq_length": 32 \(data)},
         "trainer": {"max_steps": \(steps), "micro_batch_size": 1, "log_every_n_steps": 1,
                     "val_check_interval": \(steps), "checkpoint_every_steps": 100 \(trainer)},
         "optim": {"lr": 0.001}, "export": [{"format": "compressed-tensors"}], "seed": 7}
        """
    }

    /// Seen: a job whose conversations hold no answer, or whose template writes no message, trained nothing and
    /// succeeded; as a validation text it was no token of an unnamed text.
    @Test(arguments: [template, "hello"])
    func aTextOfWhichNothingIsLearnedIsRefused(template: String) throws {
        let child = try TrainingChild(chatTemplate: template)
        try child.write(Self.conversations(20, answer: template == "hello" ? 9 : nil), "none.jsonl")
        let job = Self.job(2)
        for (name, text, validation) in [
            ("train", "none.jsonl", "validation.txt"), ("validation", "train.txt", "none.jsonl"),
        ] {
            let outcome = try child.run(name, "", spec: job, text: text, validation: validation)
            let failure = try #require(outcome.failure)
            #expect(
                failure.hasPrefix(
                    "USER_ERROR: $.data.\(name)[0]: none.jsonl: nothing of it is learned: none of its "
                        + "conversations has an answer"
                ),
                "\(failure)"
            )
        }
        let whole = Self.job(2, "", #", "answer_only_loss": false"#)
        let all = try child.run("all", "", spec: whole, text: "none.jsonl")
        #expect(all.failure == nil, "\(all.failure ?? "")")
    }

    /// The first windows of a validation hold a question alone; all of it holds answers.
    @Test func aValidationOfWhichNothingCountsIsRefused() throws {
        let child = try TrainingChild(chatTemplate: Self.template)
        try child.write(Self.conversations(10, question: 200), "long.jsonl")
        func run(_ name: String, _ limit: Int) throws -> TrainingChild.Outcome {
            let job = Self.job(2, #", "limit_val_batches": \#(limit)"#)
            return try child.run(name, "", spec: job, text: "long.jsonl", validation: "long.jsonl")
        }
        let failure = try #require(try run("four", 4).failure)
        #expect(
            failure.hasPrefix(
                "USER_ERROR: $.data.validation[0]: nothing counts in the 4 windows of seq_length 32"
            ) && failure.contains("a greater trainer.limit_val_batches"),
            "\(failure)"
        )
        let outcome = try run("ten", 10)
        #expect(outcome.failure == nil, "\(outcome.failure ?? "")")
        #expect(
            outcome.log.contains {
                $0.hasPrefix("$.data.train[0]: in ")
                    && $0.contains("nothing is learned, for no answer")
            },
            "\(outcome.log)"
        )
    }

    /// Texts that are nothing but ends of documents, which `eod_mask_loss` leaves out.
    @Test func aTextOfEndsIsRefused() throws {
        let child = try TrainingChild(endTokens: [Int(UInt8(ascii: "z"))])
        let line = #"{"text": "\#(String(repeating: "z", count: 20))"}"#
        try child.write(Array(repeating: line, count: 40).joined(separator: "\n"), "ends.jsonl")
        func failure(_ name: String, _ masks: Bool, text: String, validation: String) throws
            -> String?
        {
            let job = Self.job(2, "", #", "eod_mask_loss": \#(masks)"#)
            return try child.run(name, "", spec: job, text: text, validation: validation).failure
        }
        for (place, text, validation) in [
            ("train", "ends.jsonl", "validation.txt"), ("validation", "train.txt", "ends.jsonl"),
        ] {
            let found = try failure(place, true, text: text, validation: validation)
            let start =
                "USER_ERROR: $.data.\(place)[0]: ends.jsonl: nothing of it is learned: eod_mask_loss"
            #expect(found?.hasPrefix(start) == true, "\(found ?? "")")
        }
        #expect(try failure("all", false, text: "ends.jsonl", validation: "ends.jsonl") == nil)
    }

    /// Seen: DIVERGED, of 4 of 4 seeds, for steps without an answer were losses of 0 to the guard.
    @Test func stepsWithoutAnAnswerHaveNoLoss() throws {
        let child = try TrainingChild(chatTemplate: Self.template)
        try child.write(Self.conversations(40, question: 120, answer: 60), "half.jsonl")
        let outcome = try child.run("half", "", spec: Self.job(400), text: "half.jsonl")
        #expect(outcome.failure == nil, "\(outcome.failure ?? "")")
        #expect(try outcome.results()["rolled_back"] is NSNull)
        let steps = try outcome.rows().filter { $0["gradient_norm"] != nil }
        let silent = steps.filter { $0["loss"] == nil }
        #expect(steps.count == 400 && silent.count > 40 && silent.count < 360, "\(silent.count)")
        #expect(silent.allSatisfy { $0["gradient_norm"] as? Double == 0 })
        #expect(steps.allSatisfy { ($0["loss"] as? Double).map { $0 > 0 } ?? true })
        #expect(outcome.log.count { $0.contains("its windows hold nothing that is learned") } == 1)
        #expect(!outcome.log.contains { $0.contains("no gradient reaches") })
    }

    /// Seen: `EncodingError.invalidValue: inf` at the first checkpoint, though steps went well.
    @Test func perplexitiesThatOverflowAreNull() throws {
        let child = try TrainingChild(deviation: 300)
        let members = """
            "trainer": {"max_steps": 6, "micro_batch_size": 1, "limit_val_batches": 2,
                        "checkpoint_every_steps": 2}
            """
        let outcome = try child.run("hot", members, breaks: [.stop(3)], moves: true)
        #expect(outcome.failure == nil, "\(outcome.failure ?? "")")
        #expect(outcome.attempts == 2)
        // These steps are fast: the last one may be taken before the stop is heard.
        #expect(
            outcome.log.contains {
                $0.hasPrefix("resuming from the checkpoint of step")
                    || $0.hasPrefix("all 6 steps")
            },
            "\(outcome.log)"
        )
        let results = try outcome.results()
        for key in ["baseline_perplexity", "ptq_perplexity", "qat_perplexity", "recovered"] {
            #expect(results[key] is NSNull, "\(key): \(String(describing: results[key]))")
        }
        #expect(outcome.log.filter { $0.hasPrefix("before training: perplexity inf") }.count == 1)
    }
}
