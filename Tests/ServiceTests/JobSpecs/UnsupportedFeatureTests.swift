internal import JobSpecs
internal import Jobs
internal import Testing

/// What this version does not do is refused by its place, as docs/DATA.md lists it; what waits for other
/// machines waits.
@Suite struct UnsupportedFeatureTests {
    private func refusal(_ kind: String, _ json: String) -> JobSpecError? {
        #expect(throws: JobSpecError.self) { try JobSpec.parse(kind: kind, json: Array(json.utf8)) }
    }

    private static func train(
        quantization: String = #""algorithm":"fp4""#,
        data: String = "",
        more: String = ""
    ) -> String {
        #"{"model":"m","quantization":{\#(quantization)},"data":{"train":["t"]\#(data)}\#(more)}"#
    }

    @Test(arguments: [
        (
            train(
                quantization: """
                    "algorithm":"mxfp4","method":"mse","schedule":{"stages":[\
                    {"until":0.5,"algorithm":"mxfp8"},{"until":1,"algorithm":"mxfp4"}]}
                    """
            ),
            "$.quantization.schedule"
        ),
        (
            train(
                quantization: """
                    "algorithm":"mxfp4","schedule":{"stages":[{"until":0.5,"algorithm":"mxfp8"},\
                    {"until":1,"algorithm":"mxfp4"}]}
                    """,
                more: #","start":"awq+gptq""#
            ),
            "$.start"
        ),
        (
            train(
                quantization: """
                    "algorithm":"nvfp4","schedule":{"stages":[{"until":0.5,"algorithm":"mxfp8"},\
                    {"until":1,"algorithm":"nvfp4"}]}
                    """,
                more: #","start":"job:a""#
            ),
            "$.start"
        ),
        (train(data: #","splits_string":"99,1,0""#), "$.data.splits_string"),
        (
            train(data: #","data_impl":"mmap","generated":{"windows":4}"#),
            "$.data.generated"
        ),
        (train(more: #","export":[{"format":"gguf","precision":"fp8"}]"#), "$.export[0].precision"),
        (train(more: #","export":[{"format":"gguf","kv_cache":"fp8"}]"#), "$.export[0].kv_cache"),
    ])
    func trainingsAreRefusedByThePlace(json: String, path: String) throws {
        let error = try #require(refusal("train", json))
        #expect(error.code == .invalidSpec)
        #expect(error.violations.map(\.path) == [path])
        #expect(error.violations[0].message.contains("not in this version; "), "\(error)")
        #expect(error.violations[0].line == 1)
    }

    @Test(arguments: [
        (#""splits_string":"99,1,0""#, "splits_string"),
        (#""reset_position_ids":true"#, "reset_position_ids"),
        (#""reset_attention_mask":true"#, "reset_attention_mask"),
        (#""eod_mask_loss":true"#, "eod_mask_loss"),
    ])
    func calibrationsAreRefusedByThePlace(data: String, key: String) throws {
        let json =
            #"{"model":"m","quantization":{"algorithm":"fp4"},"#
            + #""data":{"calibration":["c"],"data_impl":"mmap",\#(data)}}"#
        let error = try #require(refusal("quantize", json))
        #expect(error.violations.map(\.path) == ["$.data.\(key)"])
    }

    @Test func everythingIsNamedAtOnce() throws {
        let json = Self.train(
            quantization: #""algorithm":"fp4","method":"gptq""#,
            data: #","splits_string":"9,1,0""#,
            more: #","export":[{"format":"gguf","kv_cache":"fp8"}]"#
        )
        #expect(try #require(refusal("train", json)).violations.count == 3)
    }

    /// The contract: a job that asks for machines which nobody offers waits, and status says why.
    @Test func aJobForOtherMachinesWaitsInstead() throws {
        let json = Self.train(
            data: #","splits_string":"9,1,0""#,
            more: #","trainer":{"accelerator":"gpu","devices":8}"#
        )
        let job = try JobSpec.parse(kind: "train", json: Array(json.utf8))
        #expect(job.resources.waitReason != nil)
        #expect(job.unsupported.map(\.path) == ["$.data.splits_string"])
    }

    /// Several devices are processors', and no worker of them does what this version does not.
    @Test func aJobForSeveralDevicesIsRefusedAsAny() throws {
        for machines in [#""devices":8"#, #""num_nodes":2"#] {
            let json = Self.train(
                data: #","splits_string":"9,1,0""#,
                more: #","trainer":{\#(machines)}"#
            )
            let error = try #require(refusal("train", json))
            #expect(error.violations.map(\.path) == ["$.data.splits_string"])
            let cached = Self.train(
                more: #","trainer":{\#(machines)},"distillation":{"teacher_cache":{"top_k":4}}"#
            )
            let paths = try #require(refusal("train", cached)).violations.map(\.path)
            #expect(paths == ["$.distillation.teacher_cache"])
        }
    }

    /// A worker with fewer devices takes a job that allows it; a step is the same.
    @Test func fewerDevicesTakeTheSameSteps() throws {
        let more =
            #","trainer":{"devices":4,"num_nodes":2,"accumulate_grad_batches":3,"#
            + #""min_devices":2}"#
        let job = try JobSpec.parse(kind: "train", json: Array(Self.train(more: more).utf8))
        guard case .train(let spec) = job else {
            Issue.record("no training")
            return
        }
        #expect(job.resources == .init(accelerator: .auto, devices: 2, nodes: 2))
        #expect(spec.trainer.devices == 4 && spec.trainer.accumulatedBatches == 24)
        #expect([1, 2, 3, 8].map { job.devices(of: $0) } == [1, 2, 3, 4])
        #expect(
            job.resources.waitReason
                == "takes 2 devices, 2 nodes, which workers with a launcher offer; while none does, it waits, and status says so"
        )
        let above = Self.train(more: #","trainer":{"devices":2,"min_devices":3}"#)
        let error = try #require(refusal("train", above))
        #expect(error.violations.map(\.path) == ["$.trainer.min_devices"])
    }

    @Test func keysAndValuesMayBeQuantized() throws {
        let training = Self.train(quantization: #""algorithm":"fp4","enable_kv_cache":true"#)
        #expect(try JobSpec.parse(kind: "train", json: Array(training.utf8)).unsupported.isEmpty)
        let json =
            #"{"model":"m","quantization":{"algorithm":"fp4","enable_kv_cache":true},"#
            + #""data":{"calibration":["t"]}}"#
        #expect(try JobSpec.parse(kind: "quantize", json: Array(json.utf8)).unsupported.isEmpty)
    }

    /// Seen: 32 models under 32 tasks are computed for an hour, and the gateway keeps 96 KiB of results.
    @Test func aTableThatNoAnswerHoldsIsRefused() throws {
        func table(models: Int, tasks: Int) -> String {
            let rows = (0..<models).map { #"{"label":"\#($0)","model":"m\#($0)"}"# }
            let columns = [String](
                repeating: #"{"type":"perplexity","text":"a.txt"}"#,
                count: tasks
            )
            return """
                {"models":[\(rows.joined(separator: ","))],"tasks":[\(columns.joined(separator: ","))]}
                """
        }
        let error = try #require(refusal("evaluate", table(models: 32, tasks: 32)))
        #expect(error.violations.map(\.path) == ["$.tasks"])
        #expect(error.violations[0].message.contains("the limit is 98304"), "\(error)")
        for (models, tasks) in [(32, 8), (8, 32), (32, 1)] {
            let json = Array(table(models: models, tasks: tasks).utf8)
            _ = try JobSpec.parse(kind: "evaluate", json: json)
        }
    }
}
