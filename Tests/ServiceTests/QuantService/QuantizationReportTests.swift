internal import ComputeKit
internal import Foundation
internal import JobSpecs
internal import Testing

@testable internal import QuantService
@testable internal import ServiceKit
@testable internal import qat_client

/// A quantization says all that was done, in its report and while it runs.
@Suite struct QuantizationReportTests {
    private let home: TemporaryHome

    init() throws {
        home = try TemporaryHome()
        try TinyModelFolder().write(to: home.home.path + "/m")
        try home.write("t.txt", String(repeating: "all that glisters is not gold. ", count: 12))
        try home.write("output/.keep", "")
    }

    private func options(_ quantization: String) throws -> PostTrainingOptions {
        let json = """
            {"model": "m", "quantization": {"algorithm": "nvfp4", \(quantization)},
             "data": {"calibration": ["t"]}}
            """
        let spec = try JobSpec.parse(kind: "quantize", json: Array(json.utf8))
        guard case .quantize(let quantize) = spec else { throw CancellationError() }
        return try #require(quantize.quantization.postTraining)
    }

    @Test(arguments: [
        (#""method": "max""#, "max"), (#""method": "awq""#, "awq, scales by mse"),
        (
            #""method": "awq", "rounding": "gptq", "activation_order": true"#,
            "awq, codes by gptq in activation order, damping 0.01, scales by mse"
        ),
        (
            #""method": "autoround", "iteration_windows": 8"#,
            "autoround, 200 steps of 8 windows per layer, scales by mse"
        ),
        (
            #""method": "awq", "rounding": "autoround", "iterations": 50"#,
            "awq, codes by autoround, 50 steps of 2 windows per layer, scales by mse"
        ),
        (
            #""method": "gptq", "rotation": "hadamard", "scale_search": "sweep""#,
            "gptq, damping 0.01, scales by sweep, rotation hadamard"
        ),
    ])
    func theMethodIsToldInFull(quantization: String, words: String) throws {
        #expect(try options(quantization).words == words)
    }

    /// Runs a job; returns what it reported.
    private func run(_ spec: String) throws -> [ComputeEvent] {
        let path = try home.write("events.jsonl", "")
        let handle = try #require(FileHandle(forWritingAtPath: path))
        let request = ComputeRequest(
            jobID: "q-abc",
            kind: "quantize",
            attempt: 1,
            spec: spec,
            inputs: [
                "/model": home.home.path + "/m",
                "/data/calibration/0": home.home.path + "/t.txt",
            ],
            outputFolder: home.home.path + "/output",
            checkpointFolder: home.home.path + "/checkpoints",
            threads: 2
        )
        try QuantizationJob(request, ComputeReporter(output: handle, isPaced: false)).run()
        return try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map {
            try ComputeEvent(line: String($0))
        }
    }

    @Test func theReportHasTheWholeJob() throws {
        let events = try run(
            """
            {"model": "m", "quantization": {"algorithm": "nvfp4", "activations": "nvfp4",
              "method": "awq", "rounding": "gptq", "kv_cache": "fp8"},
             "data": {"calibration": ["t.txt"], "seq_length": 32},
             "export": [{"format": "compressed-tensors"}, {"format": "gguf"}]}
            """
        )
        let html = try String(
            contentsOfFile: home.home.path + "/output/report.html",
            encoding: .utf8
        )
        for text in [
            "q-abc", "awq, codes by gptq", "nvfp4 by 16", "<td>fp8</td>",
            "compressed-tensors in model/, gguf in model-gguf/",
            "gguf: llama.cpp takes no scales of the key-value cache",
        ] {
            #expect(html.contains(text), "\(text)")
        }
        let json = try #require(events.last { $0.type == .result }?.json)
        let results = try #require(
            try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any]
        )
        // 4 bits and 8 for 16 of them, and a scale of 32 for each of seven matrices of 6144 weights.
        let bits = 4.5 + 7 * 32 / 6144.0
        #expect(abs((results["bits_per_weight"] as? Double ?? 0) - bits) < 1e-9)
        #expect(html.contains("Mean bits per weight</dt><dd class=\"figure\">4.54"))
        let warnings = results["warnings"] as? [String] ?? []
        for part in ["no scales of the key-value cache", "the inputs of 7 modules are rounded"] {
            #expect(
                warnings.filter { $0.hasPrefix("export gguf: ") && $0.contains(part) }.count == 1
            )
            #expect(events.contains { $0.type == .log && $0.message?.contains(part) == true })
        }
    }

    /// One layer and ten steps, told every fifth, and what came of them.
    @Test func learnedRoundingTellsItsStepsAndWhatTheyWon() throws {
        let events = try run(
            """
            {"model": "m", "quantization": {"algorithm": "mxfp4", "method": "awq",
              "rounding": "autoround", "iterations": 10, "iteration_windows": 2},
             "data": {"calibration": ["t.txt"], "seq_length": 32}, "export": [{"format": "bf16"}]}
            """
        )
        let course = events.filter { $0.phase == "learn" }
        #expect(course.compactMap(\.step) == [0, 5, 10])
        #expect(course.allSatisfy { $0.totalSteps == 10 })
        #expect(
            events.contains {
                $0.type == .log && $0.message?.contains("layer 0: error of its outputs") == true
            }
        )
        let json = try #require(events.last { $0.type == .result }?.json)
        let results = try #require(
            try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any]
        )
        let before = try #require(results["layer_error_nearest"] as? Double)
        let after = try #require(results["layer_error"] as? Double)
        #expect(after < before && after > 0)
        #expect(results["scale_mode"] as? String == "floor")
        let report = try #require(
            try JSONSerialization.jsonObject(
                with: Data(
                    contentsOf: URL(filePath: home.home.path + "/output/report.json")
                )
            ) as? [String: Any]
        )
        let layers = try #require(report["learned"] as? [[String: Any]])
        #expect(layers.count == 1 && layers[0]["error_after"] as? Double == after)
        let html = try String(
            contentsOfFile: home.home.path + "/output/report.html",
            encoding: .utf8
        )
        #expect(html.contains("% to nearest, "))
    }

    /// Four groups of a layer with two candidates each, then seven matrices: 15 steps.
    @Test func choosingAndRoundingAreOneCourse() throws {
        let events = try run(
            """
            {"model": "m", "quantization": {"algorithm": "mxfp4", "effective_bits": 6,
              "candidates": ["mxfp4", "mxfp8"]},
             "data": {"calibration": ["t.txt"], "seq_length": 32}, "export": [{"format": "bf16"}]}
            """
        )
        let course = events.filter { ["sensitivity", "quantize"].contains($0.phase) }
        // Both candidates of a group are measured at once.
        #expect(course.compactMap(\.step) == [2, 4, 6, 8] + Array(9...15))
        #expect(course.allSatisfy { $0.totalSteps == 15 })
        let rest = events.filter { ["export", "compare"].contains($0.phase) }
        #expect(rest.count == 2 && rest.allSatisfy { $0.step == 15 && $0.totalSteps == 15 })
    }
}
