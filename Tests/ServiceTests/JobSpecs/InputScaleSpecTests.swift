internal import Formats
internal import Testing

@testable internal import JobSpecs

/// How a training says where scales of inputs come from.
@Suite struct InputScaleSpecTests {
    private static func job(_ quantization: String) throws -> ParsedJob {
        let json = """
            {"model": "m", "quantization": {"algorithm": "nvfp4"\(quantization)}, "data": {"train": ["t"],
             "calibration": ["c"]}}
            """
        return try ParsedJob(kind: "train", json: Array(json.utf8))
    }

    private static func options(_ quantization: String) throws -> QuantizationOptions {
        guard case .train(let spec) = try job(quantization).spec else {
            throw JobSpecError(.invalidSpec, "not a training job")
        }
        return spec.quantization
    }

    private static func refusal(_ quantization: String) -> String {
        let error = #expect(throws: JobSpecError.self) { try job(quantization) }
        return error?.description ?? ""
    }

    @Test func dynamicUnlessTheJobSaysOtherwise() throws {
        #expect(try Self.options("").inputScales == .dynamic)
        let learned = try Self.options(
            #", "activations": "nvfp4", "activation_scales": "learned", "clip_lr": 0.1"#
        )
        #expect(learned.inputScales == .learned)
        #expect(learned.clipLearningRate == 0.1 && learned.clipRegularization == 1e-4)
        let calibrated = #", "activations": "fp8_per_tensor", "activation_scales": "calibrated""#
        #expect(try Self.options(calibrated).inputScales == .calibrated)
    }

    /// Block formats of powers of two have no scale that a threshold could be.
    @Test(arguments: ["mxfp4", "mxfp8", "mxint8", "fp8_per_channel"])
    func formatsWithoutAScalePerTensorAreRefused(format: String) {
        let text = Self.refusal(
            #", "activations": "\#(format)", "activation_scales": "learned""#
        )
        #expect(text.contains("$.quantization.activation_scales"))
        #expect(text.contains("of \(format), which has no scale per tensor"), "\(text)")
        #expect(
            Self.refusal(#", "activation_scales": "calibrated""#).contains("activations are none")
        )
    }

    @Test func whatHasNoEffectIsWarnedAbout() throws {
        let warnings = try Self.job(#", "clip_lr": 0.1"#).warnings.map(\.path)
        #expect(warnings.contains("$.quantization.clip_lr"))
        #expect(warnings.contains("$.data.calibration"))
        let calibrated = #", "activations": "nvfp4", "activation_scales": "calibrated""#
        #expect(try Self.job(calibrated).warnings.isEmpty)
    }

    @Test func othersNamesAreUnderstood() {
        #expect(Self.refusal(#", "pact": true"#).contains(#"did you mean "activation_scales"?"#))
    }
}
