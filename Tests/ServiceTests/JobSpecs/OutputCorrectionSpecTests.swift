internal import Formats
internal import JobInputs
internal import ModelFiles
internal import Testing
internal import Transformer

@testable internal import JobSpecs
@testable internal import qat_client

/// Output correction in job files, and against models that have a place for it or not.
@Suite struct OutputCorrectionSpecTests {
    private let folder: TemporaryHome

    init() throws {
        folder = try TemporaryHome()
        try folder.write("t.txt", String(repeating: "words ", count: 40))
    }

    private func job(_ quantization: String = "", _ more: String = "") -> String {
        """
        {"model": "m", "quantization": {"algorithm": "mxfp4", "output_correction": true\(quantization)},
         "data": {"train": ["t.txt"], "validation": ["t.txt"], "seq_length": 32},
         "trainer": {"max_steps": 1}\(more)}
        """
    }

    private func validate(_ json: String) throws -> InputValidation {
        let file = try folder.write("job.json", json)
        let plan = try SubmissionPlan(kind: "train", file: file, name: nil)
        return try InputValidation(plan, file: file)
    }

    private func write(_ family: String, biased: Set<LinearModule> = []) throws {
        var architecture = Architecture(family: family)
        architecture.biasedModules = biased
        try TinyModelFolder(architecture: architecture).write(to: folder.home.path + "/m")
    }

    private func problem(_ json: String) -> String {
        let error = #expect(throws: ClientError.self) { try validate(json) }
        return error?.lines.first ?? ""
    }

    @Test func itIsOfTrainingsAndOff() throws {
        let plain = job().replacing(#", "output_correction": true"#, with: "")
        guard case .train(let spec) = try JobSpec.parse(kind: "train", json: Array(plain.utf8))
        else { return }
        #expect(!spec.quantization.correctsOutputs)
        let quantize = #"{"model":"m","quantization":{"algorithm":"fp4","output_correction":true}}"#
        #expect(throws: JobSpecError.self) {
            try JobSpec.parse(kind: "quantize", json: Array(quantize.utf8))
        }
    }

    /// Seven matrices with 32, 16, 16, 32, 32, 32 and 32 outputs get as many biases, in BF16 at 16 bits.
    @Test func exportsArePlannedWithTheBiases() throws {
        try write("llama")
        let biased = try validate(job()).exports.exports[0]
        let plain = try validate(job().replacing(": true", with: ": false")).exports.exports[0]
        let sizes = [biased, plain].map { $0.tensorByteCounts?.lowerBound ?? 0 }
        #expect(sizes[0] - sizes[1] == 2 * (32 + 16 + 16 + 32 + 32 + 32 + 32))
    }

    @Test func aModelWithoutAPlaceIsRefusedByName() throws {
        try write("mistral")
        let line = problem(job())
        #expect(
            line.contains("$.quantization.output_correction: ") && line.contains("mistral models"),
            "\(line)"
        )
    }

    /// Biases that are there are trained anyway.
    @Test func aModelWithAllThatHaveAPlaceIsWarnedAbout() throws {
        try write("qwen2", biased: [.query, .key, .value])
        let remarks = try validate(job()).remarks
        #expect(
            remarks.contains {
                $0.hasPrefix("$.quantization.output_correction: has no effect: ")
                    && $0.contains("self_attn.q_proj, self_attn.k_proj, self_attn.v_proj")
            },
            "\(remarks)"
        )
    }

    @Test func nothingToTrainIsRefused() throws {
        try write("llama")
        let line = problem(job("", #", "frozen": ["*.bias"]"#))
        #expect(line.contains("$.quantization.output_correction: $.frozen names"), "\(line)")
        let lora = #expect(throws: JobSpecError.self) {
            try JobSpec.parse(kind: "train", json: Array(job("", #", "lora": {}"#).utf8))
        }
        #expect(lora?.violations.map(\.path) == ["$.quantization.output_correction"])
    }
}
