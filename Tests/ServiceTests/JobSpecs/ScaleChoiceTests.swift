internal import Formats
internal import JobSpecs
internal import Testing

/// How a job says where block scales come from.
@Suite struct ScaleChoiceTests {
    private static func train(_ quantization: String, more: String = "") -> String {
        #"{"model":"m","quantization":{\#(quantization)},"data":{"train":["t"]}\#(more)}"#
    }

    private static func training(_ quantization: String, more: String = "") throws -> TrainSpec {
        let text = train(quantization, more: more)
        guard case .train(let spec) = try JobSpec.parse(kind: "train", json: Array(text.utf8))
        else {
            preconditionFailure("a training is a training")
        }
        return spec
    }

    private static func violations(_ quantization: String, more: String = "") -> [String] {
        let error = #expect(throws: JobSpecError.self) {
            try training(quantization, more: more)
        }
        return error?.violations.map(\.path) ?? []
    }

    /// Inputs are scaled by whoever runs the model, and other formats keep their own rule.
    @Test func fourOverSixIsOfWeightsInNVFP4() throws {
        let spec = try Self.training(
            """
            "algorithm": "nvfp4", "activations": "nvfp4", "scale_mode": "four_over_six",
            "layers": [{"pattern": "*mlp*", "algorithm": "mxfp6_e2m3"}]
            """
        )
        let recipe = spec.quantization.recipe
        #expect(recipe.defaultFormat?.picksFourOrSix == true)
        #expect(recipe.activations == .nvfp4)
        #expect(recipe.rules.first?.format == .mxfp6E2M3)
    }

    @Test(arguments: [
        #""algorithm": "mxfp4", "scale_mode": "four_over_six""#,
        #""algorithm": "nvfp8", "scale_mode": "four_over_six""#,
        #""algorithm": "mxfp4", "activations": "nvfp4", "scale_mode": "four_over_six""#,
        #""algorithm": "nvfp4", "scale_mode": "four_over_six","#
            + #""enable_micro_tensor_scaling": false"#,
    ])
    func fourOverSixWithoutNVFP4IsRefused(quantization: String) {
        #expect(Self.violations(quantization) == ["$.quantization.scale_mode"])
    }

    @Test func fourOverSixHasAnEffect() throws {
        let quantization = #"{"algorithm":"nvfp4","scale_mode":"four_over_six"}"#
        let text = #"{"model":"m","quantization":\#(quantization)}"#
        let warnings = try ParsedJob(kind: "quantize", json: Array(text.utf8)).warnings
        #expect(!warnings.contains { $0.path.hasSuffix("scale_mode") }, "\(warnings)")
    }

    @Test(arguments: [
        (#""algorithm": "mxfp4""#, ScaleSource.followed, ScaleSearch.max),
        (#""algorithm": "mxfp4", "method": "mse""#, .kept, .mse),
        (#""algorithm": "nvfp4", "method": "sweep""#, .kept, .sweep),
        (
            #""algorithm": "nvfp4", "method": "percentile", "percentile": 99"#, .kept,
            .percentile(99)
        ),
        (#""algorithm": "mxfp4", "scales": "kept""#, .kept, .max),
    ])
    func aMethodFindsScalesBeforeTheFirstStep(
        quantization: String,
        scales: ScaleSource,
        search: ScaleSearch
    ) throws {
        let options = try Self.training(quantization).quantization
        #expect(options.scales == scales)
        #expect(options.scaleSearch == search)
    }

    /// What changes weights is named where it is done.
    @Test(arguments: ["gptq", "awq", "smoothquant"])
    func methodsThatChangeWeightsAreOfTheStart(method: String) throws {
        let quantization = #""algorithm": "mxfp4", "method": "\#(method)""#
        #expect(Self.violations(quantization) == ["$.quantization.method"])
        let start = try Self.training(#""algorithm": "mxfp4""#, more: #","start":"\#(method)""#)
        #expect(start.start == StartMethod(rawValue: method).map(TrainSpec.Start.method))
    }

    @Test func scalesThatFollowAreOfMethodMax() {
        let quantization = #""algorithm": "mxfp4", "method": "mse", "scales": "followed""#
        #expect(Self.violations(quantization) == ["$.quantization.scales"])
    }

    @Test func learnedScalesHaveARateOfTheirOwn() throws {
        let quantization = #""algorithm": "nvfp4", "scales": "learned", "scale_lr": 2e-4"#
        let options = try Self.training(quantization).quantization
        #expect(options.scales == .learned && options.scaleLearningRate == 2e-4)
        #expect(options.scaleSearch == .max)
    }

    @Test(arguments: [
        (#""algorithm": "fp8_per_channel", "scales": "learned""#, "scales"),
        (#""algorithm": "mxfp4", "scales": "learned", "rounding": "stochastic""#, "rounding"),
        (#""algorithm": "mxfp4", "scales": "learned", "scale_lr": 0"#, "scale_lr"),
    ])
    func whatCannotBeLearnedIsRefused(quantization: String, key: String) {
        #expect(Self.violations(quantization) == ["$.quantization.\(key)"])
    }

    @Test(arguments: [
        (#""algorithm": "mxfp4", "scale_lr": 1e-3"#, "scale_lr"),
        (#""algorithm": "mxfp4", "percentile": 99"#, "percentile"),
        (#""algorithm": "mxfp4", "method": "sweep""#, "method"),
    ])
    func whatHasNoEffectIsWarnedOf(quantization: String, key: String) throws {
        let text = Self.train(quantization)
        let warnings = try ParsedJob(kind: "train", json: Array(text.utf8)).warnings
        #expect(warnings.map(\.path).contains("$.quantization.\(key)"), "\(warnings)")
    }
}
