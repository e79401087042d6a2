internal import Foundation
internal import Kernels
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// Trainings that begin from rounded weights, through the built programs.
extension LocalSuiteTests {
    private static func training(
        _ start: String,
        _ format: String,
        _ more: String = ""
    ) -> String {
        """
        {"model": "model", "start": "\(start)",
         "quantization": {"algorithm": "\(format)", "calibration_size": 8\(more)},
         "data": {"train": ["train.txt"], "validation": ["validation.txt"],
                  "calibration": ["train.txt"], "seq_length": 64},
         "trainer": {"max_steps": 2, "limit_val_batches": 8}, "optim": {"lr": 1e-30}, "seed": 7}
        """
    }

    /// A quantize job by the same method.
    private static func quantization(_ format: String) -> String {
        """
        {"model": "model",
         "quantization": {"algorithm": "\(format)", "method": "awq", "rounding": "gptq",
                          "activation_order": true, "calibration_size": 8},
         "data": {"calibration": ["train.txt"], "seq_length": 64}, "seed": 7}
        """
    }

    /// Submits a pipeline of the suite's folder and waits for its end; its id.
    private static func finished(_ suite: LocalSuiteFixture, _ file: String) throws -> String {
        let submitted = try suite.json(
            try suite.client("submit", suite.folder + "/" + file, "--json").output
        )
        let id = try #require(submitted["pipeline_id"] as? String)
        let waited = try suite.client("wait", id, "--timeout", "120")
        #expect(waited.status == 0, "\(waited.output)\(waited.errors)")
        return id
    }

    /// A method named in `start` gives what a quantize job by that method does, whose embedding is BF16.
    ///
    /// NVFP4's scales are kept: where training moves nothing, so are the files' codes and scales.
    @Test(arguments: ["mxfp4", "nvfp4"])
    func aMethodToStartByIsThatOfAQuantizeJob(format: String) throws {
        let suite = try LocalSuiteFixture()
        defer { suite.down() }
        try suite.writeInputs()
        try suite.up()
        try suite.write(
            """
            {"jobs": {
              "ptq": \(Self.quantization(format)),
              "job": \(Self.training("job:ptq", format)),
              "method": \(Self.training("awq+gptq", format))}}
            """,
            "start.json"
        )
        let id = try Self.finished(suite, "start.json")
        func results(_ part: String) throws -> [String: Any] {
            let job = try suite.json(try suite.client("status", "\(id)/\(part)", "--json").output)
            return try #require(job["results"] as? [String: Any])
        }
        let (byJob, byMethod) = (try results("job"), try results("method"))
        let expected = try #require(byJob["start_perplexity"] as? Double)
        let found = try #require(byMethod["start_perplexity"] as? Double)
        let rounded = try #require(byMethod["ptq_perplexity"] as? Double)
        #expect(abs(found / expected - 1) < 0.01)
        #expect(found < rounded)
        if format == "nvfp4" {
            let target = suite.folder + "/download"
            #expect(try suite.client("download", id, "--to", target).status == 0)
            let weights = try ["ptq", "job", "method"].map {
                try Self.quantized("\(target)/\($0)/model/model.safetensors")
            }
            #expect(weights[0].count == 14 * 3)
            #expect(weights[1] == weights[0] && weights[2] == weights[0])
        }
        let log = try suite.client("logs", "\(id)/method").output
        #expect(log.contains("start: awq+gptq, calibrated on 8 windows of 64 tokens"), "\(log)")
        for part in ["job", "method"] {
            let log = try suite.client("logs", "\(id)/\(part)").output
            #expect(log.contains("start: weights are as the recipe rounds them"), "\(log)")
            #expect(log.contains("start: the scales of 14 weights stay") == (format == "nvfp4"))
        }
    }

    /// Scales that a training finds and keeps are those of a quantize job by the method: where training
    /// moves nothing, so are the files' codes and scales, and its yardstick is that job's model.
    @Test(arguments: [("nvfp4", "mse"), ("mxfp4", "mse"), ("nvfp4", "sweep")])
    func scalesOfAMethodStayWhileTraining(format: String, method: String) throws {
        let suite = try LocalSuiteFixture()
        defer { suite.down() }
        try suite.writeInputs()
        try suite.up()
        let rounding = #""quantization": {"algorithm": "\#(format)", "method": "\#(method)"}"#
        try suite.write(
            """
            {"jobs": {
              "ptq": {"model": "model", \(rounding), "seed": 7},
              "qat": {"model": "model", \(rounding),
                "data": {"train": ["train.txt"], "validation": ["validation.txt"], "seq_length": 64},
                "trainer": {"max_steps": 2, "limit_val_batches": 8}, "optim": {"lr": 1e-30},
                "seed": 7}}}
            """,
            "kept.json"
        )
        let id = try Self.finished(suite, "kept.json")
        let target = suite.folder + "/download"
        #expect(try suite.client("download", id, "--to", target).status == 0)
        let weights = try ["ptq", "qat"].map {
            try Self.quantized("\(target)/\($0)/model/model.safetensors")
        }
        #expect(weights[0].count >= 14 * 2)
        #expect(weights[1] == weights[0])
        let log = try suite.client("logs", "\(id)/qat").output
        #expect(log.contains("scales: those of 14 weights were found by \(method)"), "\(log)")
        let job = try suite.json(try suite.client("status", "\(id)/qat", "--json").output)
        let results = try #require(job["results"] as? [String: Any])
        let rounded = try #require(results["ptq_perplexity"] as? Double)
        let trained = try #require(results["qat_perplexity"] as? Double)
        // The export's embedding is BF16.
        #expect(abs(trained / rounded - 1) < 0.01)
    }

    /// Adapters on the weights of a method begin at zero: where a step moves next to nothing, the export is
    /// that of the quantize job, code by code and scale by scale.
    ///
    /// Powers of two that follow the weights may hold the same values by other codes.
    @Test(arguments: [("mxfp4", "followed"), ("mxfp4", "kept"), ("nvfp4", "kept")])
    func adaptersKeepTheCodesOfTheStart(format: String, scales: String) throws {
        let suite = try LocalSuiteFixture()
        defer { suite.down() }
        try suite.writeInputs()
        try suite.up()
        try suite.write(
            """
            {"jobs": {
              "ptq": \(Self.quantization(format)),
              "qat": \(Self.training("awq+gptq", format, #", "scales": "\#(scales)""#).dropLast()),
                "lora": {"r": 4, "lora_alpha": 8}}}}
            """,
            "adapters.json"
        )
        let id = try Self.finished(suite, "adapters.json")
        let target = suite.folder + "/download"
        #expect(try suite.client("download", id, "--to", target).status == 0)
        if scales == "kept" {
            let weights = try ["ptq", "qat"].map {
                try Self.quantized("\(target)/\($0)/model/model.safetensors")
            }
            #expect(weights[0].count >= 14 * 2)
            #expect(weights[1] == weights[0])
        }
        let team = ThreadTeam(threadCount: 1)
        let models = try ["ptq", "qat"].map {
            try ModelLoader.load(path: "\(target)/\($0)/model", team: team)
        }
        for entry in models[0].parameters.layout.entries {
            let values = models.map { Array($0.parameters.elements(of: entry)) }
            #expect(values[0] == values[1], "\(entry.name)")
        }
        let log = try suite.client("logs", "\(id)/qat").output
        #expect(log.contains("lora: adapters of rank 4 on 14 weights are trained, "), "\(log)")
    }

    /// Codes and scales of a safetensors file by name.
    ///
    /// A step of next to nothing gives zeros a sign; it is taken away.
    private static func quantized(_ path: String) throws -> [String: [UInt8]] {
        let bytes = [UInt8](try Data(contentsOf: URL(filePath: path)))
        let count = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        let header = try JSONSerialization.jsonObject(with: Data(bytes[8..<8 + count]))
        var found: [String: [UInt8]] = [:]
        for (name, value) in try #require(header as? [String: Any]) where name.contains(".weight_")
        {
            let range = try #require((value as? [String: Any])?["data_offsets"] as? [Int])
            let data = bytes[8 + count + range[0]..<8 + count + range[1]]
            let isCodes = name.hasSuffix("weight_packed")
            found[name] = data.map { byte in
                guard isCodes else { return byte }
                let low = byte & 0x0F == 0x08 ? 0 : byte & 0x0F
                let high = byte & 0xF0 == 0x80 ? 0 : byte & 0xF0
                return high | low
            }
        }
        return found
    }
}
