internal import Foundation
internal import JobInputs
internal import JobSpecs
internal import Testing

@testable internal import qat_client

@Suite struct InputValidationTests {
    private let folder: TemporaryHome
    /// 40 words of 6 bytes: as many tokens as bytes.
    private let words = String(repeating: "words ", count: 40)

    init() throws {
        folder = try TemporaryHome()
        try TinyModelFolder().write(to: folder.home.path + "/m")
        try folder.write("t.txt", words)
        try folder.write("short.txt", "words")
    }

    private func validate(_ kind: String, _ json: String) throws -> [String] {
        let file = try folder.write("job.json", json)
        let plan = try SubmissionPlan(kind: kind, file: file, name: nil)
        return try InputValidation(plan, file: file).remarks
    }

    /// The lines of a refusal, without the job file's name.
    private func problems(_ kind: String, _ json: String) -> [String] {
        let error = #expect(throws: ClientError.self) { try validate(kind, json) }
        #expect(error?.status == .usage)
        let file = folder.home.path + "/job.json: "
        return (error?.lines ?? []).map { $0.replacing(file, with: "") }
    }

    private func train(
        _ data: String = #""train": ["t.txt"], "validation": ["t.txt"], "seq_length": 32"#,
        model: String = "m",
        _ more: String = ""
    ) -> String {
        """
        {"model": "\(model)", "quantization": {"algorithm": "mxfp4"}, "data": {\(data)},
         "trainer": {"max_steps": 1}\(more)}
        """
    }

    private func evaluate(_ task: String, models: [String] = ["m"]) -> String {
        let rows = models.map { #"{"label": "\#($0)", "model": "\#($0)"}"# }
        return #"{"models": [\#(rows.joined(separator: ", "))], "tasks": [{\#(task)}]}"#
    }

    @Test func takesJobsThatFit() throws {
        #expect(try validate("train", train()).isEmpty)
        let task = #""type": "perplexity", "text": "t.txt", "seq_length": 64"#
        #expect(try validate("evaluate", evaluate(task)).isEmpty)
        let more = try validate("evaluate", evaluate(task + #", "windows": 100000"#))
        #expect(
            more == ["$.tasks[0].windows: t.txt has 3 windows, fewer than 100000; all are used"]
        )
    }

    @Test func refusesTextsShorterThanAWindow() throws {
        let short = "short.txt: 5 tokens, fewer than one window of seq_length 32"
        let place = "$.data.train[0]: " + short
        let job = train(#""train": ["short.txt"], "validation": ["t.txt"], "seq_length": 32"#)
        #expect(problems("train", job).count == 1)
        #expect(problems("train", job)[0].hasPrefix(place))
        let shorts = #""train": ["short.txt", "short.txt"], "validation": ["short.txt"]"#
        let both = problems("train", train(shorts + #", "seq_length": 32"#))
        #expect(both.count == 2)
        #expect(both[0].hasPrefix("$.data.train: short.txt, short.txt: 10 tokens"))
        #expect(both[1].hasPrefix("$.data.validation[0]: " + short))
        let calibrated = problems(
            "quantize",
            """
            {"model": "m", "quantization": {"algorithm": "mxfp4", "method": "gptq"},
             "data": {"calibration": ["short.txt"], "seq_length": 32}}
            """
        )
        #expect(calibrated.count == 1 && calibrated[0].hasPrefix("$.data.calibration[0]: short"))
        let task = #""type": "accuracy", "text": "short.txt", "seq_length": 8"#
        #expect(problems("evaluate", evaluate(task))[0].hasPrefix("$.tasks[0].text: short.txt: 5"))
    }

    @Test func aBatchIsNoLargerThanItsText() throws {
        // 240 tokens: 7 windows of 32.
        func job(_ trainer: String) -> String {
            train().replacing(#"{"max_steps": 1}"#, with: "{\(trainer)}")
        }
        #expect(try validate("train", job(#""micro_batch_size": 7"#)).isEmpty)
        let lines = problems("train", job(#""micro_batch_size": 8"#))
        #expect(
            lines == [
                "$.trainer.micro_batch_size: 8 is not allowed: the training text has 7 windows of "
                    + "32 tokens; write at most 7, take more text, or a smaller seq_length"
            ]
        )
        let more = try validate(
            "train",
            job(#""micro_batch_size": 4, "accumulate_grad_batches": 2"#)
        )
        #expect(more.count == 1)
        #expect(more[0].hasPrefix("$.trainer.accumulate_grad_batches: the training text has 7 "))
        // Two texts are one.
        let two = job(#""micro_batch_size": 14"#)
            .replacing(#""train": ["t.txt"]"#, with: #""train": ["t.txt", "t.txt"]"#)
        #expect(try validate("train", two).isEmpty)
        let huge = #""micro_batch_size": 4096, "accumulate_grad_batches": 65536"#
        #expect(problems("train", job(huge)).count == 1)
    }

    @Test func refusesWindowsBeyondTheContextUnlessTheyAreAskedFor() throws {
        let long = #""train": ["t.txt"], "validation": ["t.txt"], "seq_length": 65"#
        let lines = problems("train", train(long))
        #expect(lines.count == 1)
        #expect(
            lines[0].hasPrefix(
                "$.data.seq_length: seq_length 65 is beyond the model's context of 64 positions"
            )
        )
        #expect(lines[0].contains(#""allow_long_context": true"#))
        let allowed = try validate("train", train(long + #", "allow_long_context": true"#))
        #expect(allowed.count == 1 && allowed[0].hasPrefix("$.data.seq_length: seq_length 65"))
        try TinyModelFolder(context: 128).write(to: folder.home.path + "/wide")
        let task = #""type": "perplexity", "text": "t.txt", "seq_length": 100"#
        let rows = problems("evaluate", evaluate(task, models: ["wide", "m"]))
        #expect(rows.count == 1 && rows[0].contains(#"$.tasks[0].seq_length: model "m": "#))
        let timing = #""type": "benchmark", "input_len": 60, "output_len": 5"#
        let sum = "input_len 60 + output_len 5 = 65 is beyond the model's context of 64"
        #expect(problems("evaluate", evaluate(timing))[0].contains(sum))
        let longTiming = timing + #", "allow_long_context": true"#
        #expect(try validate("evaluate", evaluate(longTiming)).count == 1)
    }

    @Test func namesTextsThatAreNotUTF8Text() throws {
        for (name, bytes, part) in [
            ("u.txt", [0xFF, 0xFE, 0x61, 0], "iconv -f UTF-16"),
            ("g.txt", [0x1F, 0x8B, 8, 0], "gunzip -c"), ("z.txt", [0x61, 0, 0x62], "at byte 1"),
            ("e.txt", [], "is empty"), ("l.txt", [0x63, 0x61, 0x66, 0xE9, 0x20], "ISO-8859-1"),
        ] as [(String, [UInt8], String)] {
            try folder.write(name, bytes)
            let texts = #""train": ["t.txt", "\#(name)"], "validation": ["t.txt"]"#
            let data = texts + #", "seq_length": 32"#
            let lines = problems("train", train(data))
            #expect(lines.count == 1)
            #expect(lines[0].hasPrefix("$.data.train[1]: \(name)"), "\(lines)")
            #expect(lines[0].contains(part), "\(lines)")
        }
    }

    /// Seen: the command that was offered would have overwritten a text that lay beside it.
    @Test func offersToWriteWhereNothingIs() throws {
        try folder.write("m.gz", [0x1F, 0x8B, 8, 0])
        try folder.write("m.txt", words)
        try folder.write("m-2.txt", words)
        let texts = #""train": ["m.gz"], "validation": ["t.txt"], "seq_length": 32"#
        let lines = problems("train", train(texts))
        #expect(lines.count == 1 && lines[0].hasSuffix("m-3.txt'"), "\(lines)")
    }

    @Test func readsLinesByTheirKey() throws {
        let lines = #"{"body": "\#(words)"}"# + "\n"
        try folder.write("d.jsonl", lines)
        let data = #""train": ["d.jsonl"], "validation": ["d.jsonl"], "seq_length": 32"#
        let refused = problems("train", train(data))
        #expect(refused.count == 2)
        let place = "$.data.train[0]: d.jsonl: line 1, from byte 0: "
        #expect(refused[0].hasPrefix(place + #"no key "text""#))
        #expect(try validate("train", train(data + #", "text_key": "body""#)).isEmpty)
        let task = #""type": "perplexity", "text": "d.jsonl", "seq_length": 32, "text_key": "body""#
        #expect(try validate("evaluate", evaluate(task)).isEmpty)
        try folder.write("bom.txt", "\u{FEFF}" + words)
        let marked = try validate("train", train(data.replacing("d.jsonl", with: "bom.txt")))
        #expect(marked.count == 2 && marked[0].contains("byte order mark"))
    }

    @Test func opensModelsAndTheirTokenizers() throws {
        let path = folder.home.path
        try TinyModelFolder(rows: 250).write(to: path + "/few")
        let few = problems("train", train(model: "few"))
        #expect(few.count == 1)
        let sizes = "the tokenizer has 256 tokens, the model's embedding 250 rows"
        #expect(few[0].hasPrefix("$.model: " + sizes))
        try TinyModelFolder(rows: 320, added: ["<pad>"]).write(to: path + "/padded")
        #expect(try validate("train", train(model: "padded")).isEmpty)
        try TinyModelFolder(added: ["<x>"]).write(to: path + "/more")
        let remarks = try validate("train", train(model: "more"))
        #expect(remarks.count == 1 && remarks[0].contains("1 added tokens have no row"))
        try folder.write("x.txt", words + "<x>")
        let data = #""train": ["x.txt"], "validation": ["t.txt"], "seq_length": 32"#
        #expect(problems("train", train(data, model: "more"))[0].contains(#""<x>" at byte 240"#))
        let config = try String(contentsOfFile: path + "/m/config.json", encoding: .utf8)
        try TinyModelFolder().write(to: path + "/strange")
        try folder.write(
            "strange/config.json",
            config.replacing("llama", with: "zebra").replacing("Llama", with: "Zebra")
        )
        let quantize = #"{"model": "strange", "quantization": {"algorithm": "mxfp4"}}"#
        let strange = problems("quantize", quantize)
        #expect(strange.count == 1 && strange[0].hasPrefix("$.model: "), "\(strange)")
    }

    @Test func asksForATokenizerOnlyWhereOneIsNeeded() throws {
        let path = folder.home.path
        let plain = #"{"model": "m", "quantization": {"algorithm": "mxfp4"}}"#
        try folder.write("m/tokenizer.json", #"{"model": {"type": "Unheard of"}}"#)
        #expect(try validate("quantize", plain).isEmpty)
        try FileManager.default.removeItem(atPath: path + "/m/tokenizer.json")
        #expect(try validate("quantize", plain).isEmpty)
        let timing = #""type": "benchmark", "input_len": 6, "output_len": 5"#
        #expect(problems("evaluate", evaluate(timing)).count == 1)
        #expect(problems("train", train()).contains { $0.hasPrefix("$.model: ") })
        let exported = plain.dropLast() + #", "export": [{"format": "gguf"}]}"#
        #expect(problems("quantize", String(exported)).count == 1)
    }

    @Test func comparesATeacherWithTheModel() throws {
        let path = folder.home.path
        func lines(_ teacher: TinyModelFolder, _ more: String = "") throws -> [String] {
            try? FileManager.default.removeItem(atPath: path + "/teacher")
            try teacher.write(to: path + "/teacher")
            let job = train(model: "m", #", "distillation": {"teacher": "teacher"\#(more)}"#)
            let file = try folder.write("job.json", job)
            let plan = try SubmissionPlan(kind: "train", file: file, name: nil)
            let paths = plan.inputs.compactMap { input in
                input.localPath.map { (input.pointer, $0) }
            }
            return JobInputs(
                plan.spec,
                paths: Dictionary(uniqueKeysWithValues: paths),
                version: "1"
            )
            .problems.map(\.description)
        }
        #expect(try lines(TinyModelFolder()).isEmpty)
        #expect(try lines(TinyModelFolder(rows: 320, added: ["<pad>"])).isEmpty)
        let swapped = try lines(TinyModelFolder(swapped: (0x41, 0x42)))
        #expect(swapped.count == 1)
        #expect(
            swapped[0].hasPrefix(
                #"$.distillation.teacher: token 65 is "B" in the teacher's tokenizer and "A""#
            )
        )
        let wide = try lines(TinyModelFolder(), #", "teacher_cache": {"top_k": 257}"#)
        #expect(
            wide == [
                "$.distillation.teacher_cache.top_k: 257 is not allowed: the model has 256 tokens"
            ]
        )
        let hidden = #", "hidden": 1"#
        #expect(try lines(TinyModelFolder(), hidden).isEmpty)
        var deep = TinyModelFolder()
        deep.layers = 3
        #expect(try lines(deep).isEmpty)
        let other = try lines(deep, hidden)
        #expect(other.count == 1, "\(other)")
        #expect(other.first?.hasPrefix("$.distillation.hidden: hidden states compare") == true)
        let short = try lines(TinyModelFolder(context: 16))
        #expect(short.count == 1 && short[0].contains("$.data.seq_length: the teacher: "))
    }

    @Test func comparesTheStartWithTheModel() throws {
        let path = folder.home.path
        let job = train(model: "m", #", "start": "start""#)
        try TinyModelFolder(context: 64).write(to: path + "/start")
        #expect(try validate("train", job).isEmpty)
        try FileManager.default.removeItem(atPath: path + "/start")
        try TinyModelFolder(rows: 320).write(to: path + "/start")
        let more = problems("train", job)
        #expect(more.count == 1 && more[0].contains("vocab_size is 320, not "), "\(more)")
        #expect(more[0].hasPrefix("$.start: "), "\(more)")
    }

    @Test func leavesWhatTheGatewayHoldsToTheWorker() throws {
        let digest = String(repeating: "a", count: 64)
        #expect(try validate("train", train(model: "job:j-1")).isEmpty)
        let data = #""train": ["sha256:\#(digest)"], "validation": ["t.txt"], "seq_length": 32"#
        #expect(try validate("train", train(data)).isEmpty)
    }
}
