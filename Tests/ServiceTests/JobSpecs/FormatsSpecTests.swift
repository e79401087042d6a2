internal import Formats
internal import Testing

@testable internal import JobSpecs
@testable internal import qat_client

/// One training for several formats, in job files.
@Suite struct FormatsSpecTests {
    private static let three = #""formats": ["fp8", "mxfp6_e2m3", "mxfp4"]"#

    private static func job(_ quantization: String = three, _ more: String = "") throws -> ParsedJob
    {
        let json = """
            {"model": "m", "quantization": {\(quantization)}, "data": {"train": ["t"]}\(more)}
            """
        return try ParsedJob(kind: "train", json: Array(json.utf8))
    }

    private static func spec(_ quantization: String = three, _ more: String = "") throws
        -> TrainSpec
    {
        guard case .train(let spec) = try job(quantization, more).spec else {
            throw JobSpecError(.invalidSpec, "not a training job")
        }
        return spec
    }

    private static func refusals(
        _ quantization: String = three,
        _ more: String = ""
    ) -> [JobSpecError.Violation] {
        let error = #expect(throws: JobSpecError.self) { try job(quantization, more) }
        return error?.violations ?? []
    }

    @Test func theyStandInForAlgorithm() throws {
        let recipe = try Self.spec().quantization.recipe
        #expect(recipe.alternation == [.mxfp8, .mxfp6E2M3, .mxfp4])
        #expect(recipe.defaultFormat == .mxfp8)
        let named = try Self.spec(#""algorithm": "mxfp8", "# + Self.three).quantization.recipe
        #expect(named == recipe)
        #expect(try Self.spec(#""algorithm": "mxfp4""#).quantization.recipe.alternation.isEmpty)
    }

    /// One of the two has to be there; a misspelt one is not said to be missing, too.
    @Test func algorithmIsRequiredWithout() {
        let none = Self.refusals(#""ste": "clip""#)
        #expect(none.map(\.path) == ["$.quantization.algorithm"])
        #expect(none.first?.message.hasPrefix("missing; expected one of ") == true)
        let misspelt = Self.refusals(#""format": ["mxfp8", "mxfp4"]"#)
        #expect(misspelt.map(\.path) == ["$.quantization.format"], "\(misspelt)")
    }

    /// The section's blocks are those of all its formats, but of two-level scales, which keep their own.
    @Test func blocksAreTheSections() throws {
        let recipe = try Self.spec(
            #""formats": ["nvfp4", "mxfp4"], "scaling_granularity": 8, "activations": "mxfp4""#
        ).quantization.recipe
        #expect(recipe.alternation.map(\.name) == ["nvfp4", "mxfp4"])
        #expect(recipe.alternation.map(\.blockSize) == [16, 8])
        #expect(recipe.activations?.blockSize == 8)
        let scales = try Self.spec(
            #""formats": ["mxfp4", "nvfp4"], "scale_mode": "four_over_six""#
        ).quantization.recipe
        #expect(scales.alternation.map(\.picksFourOrSix) == [false, true])
    }

    @Test(arguments: [
        (#""formats": ["mxfp4"]"#, "", "$.quantization.formats"),
        (#""formats": ["mxfp4", "none"]"#, "", "$.quantization.formats[1]"),
        (#""formats": ["none", "none"]"#, "", "$.quantization.formats[0]"),
        (#""formats": ["mxfp4", "mxfp5"]"#, "", "$.quantization.formats[1]"),
        (#""formats": ["mxfp4", "mxfp8", "fp4"]"#, "", "$.quantization.formats[2]"),
        (
            #""formats": ["mxfp4", "nvfp4"], "enable_micro_tensor_scaling": false"#, "",
            "$.quantization.formats[1]"
        ),
        (#""algorithm": "mxfp4", "# + three, "", "$.quantization.algorithm"),
        (three + #", "schedule": "progressive""#, "", "$.quantization.schedule"),
        (
            three + #", "schedule": {"stages": [{"until": 1, "algorithm": "mxfp4"}]}"#, "",
            "$.quantization.schedule"
        ),
        (three + #", "scales": "kept""#, "", "$.quantization.scales"),
        (three + #", "scales": "learned""#, "", "$.quantization.scales"),
        (three + #", "method": "mse""#, "", "$.quantization.method"),
        (
            three + #", "layers": [{"pattern": "*mlp*", "algorithm": "mxfp4"}]"#, "",
            "$.quantization.layers[0].algorithm"
        ),
        (three + #", "oscillation": {"freeze": 0.02}"#, "", "$.quantization.oscillation.freeze"),
        (
            #""formats": ["nvfp4", "mxfp4"], "activations": "nvfp4", "activation_scales": "learned""#,
            "", "$.quantization.activation_scales"
        ),
        (
            #""formats": ["fp8_per_tensor", "fp8_per_channel"], "scaling_granularity": 16"#, "",
            "$.quantization.scaling_granularity"
        ),
        (three, #", "start": "awq+gptq""#, "$.start"),
        (#""formats": ["nvfp4", "mxfp4"]"#, #", "start": "job:a""#, "$.start"),
        (
            three, #", "export": [{"format": "gguf", "precision": "nvfp4"}]"#,
            "$.export[0].precision"
        ),
        (
            three, #", "export": [{"format": "gguf", "precision": "none"}]"#,
            "$.export[0].precision"
        ),
        (
            three, #", "export": [{"format": "gguf"}, {"format": "gguf", "precision": "mxfp4"}]"#,
            "$.export[1].format"
        ),
    ])
    func whatDoesNotCombineIsRefusedByName(quantization: String, more: String, path: String) {
        #expect(Self.refusals(quantization, more).first?.path == path)
    }

    @Test func onlyTrainingsAreForSeveral() {
        let json = #"{"model": "m", "quantization": {"formats": ["mxfp8", "mxfp4"]}}"#
        let error = #expect(throws: JobSpecError.self) {
            try ParsedJob(kind: "quantize", json: Array(json.utf8))
        }
        #expect(error?.violations.map(\.path).contains("$.quantization.formats") == true)
    }

    /// Each of these changes how every format is trained, or what is beside it.
    @Test(arguments: [
        (#", "rounding": "stochastic", "ste": "clip", "activations": "mxfp8""#, ""),
        (#", "enable_kv_cache": true, "oscillation": {"dampen": 0.01}"#, ""),
        (#", "layers": [{"pattern": "*down_proj", "algorithm": "none"}]"#, ""),
        ("", #", "lora": {}, "distillation": {}, "trainer": {"ema": 0.9}"#),
        ("", #", "start": "job:a", "optim": {"name": "lion", "moments": "int8"}"#),
    ])
    func whatCombinesIsTaken(quantization: String, more: String) throws {
        #expect(throws: Never.self) { try Self.job(Self.three + quantization, more) }
    }

    @Test func exportsAreOfEveryFormatOrOfOne() throws {
        let all = try Self.spec(
            Self.three,
            #", "export": [{"format": "quark"}, {"format": "gguf"}]"#
        )
        #expect(all.exportGroups.map(\.precision) == ["mxfp8", "mxfp6_e2m3", "mxfp4"])
        #expect(
            all.exportGroups.map(\.folder) == ["model", "model-mxfp6_e2m3", "model-mxfp4"]
        )
        #expect(
            JobSpec.train(all).outputs == [
                "model", "model-gguf", "model-mxfp6_e2m3", "model-mxfp6_e2m3-gguf", "model-mxfp4",
                "model-mxfp4-gguf", "report.json", "report.html", "run",
            ]
        )
        let named = try Self.spec(
            Self.three,
            """
            , "export": [{"format": "compressed-tensors", "precision": "fp4"}, \
            {"format": "quark", "precision": "mxfp6_e2m3"}, {"format": "gguf", "precision": "fp4"}]
            """
        )
        #expect(named.exportGroups.map(\.turn) == [1, 2])
        #expect(named.exportGroups.map { $0.elements.map(\.index) } == [[1], [0, 2]])
        #expect(
            JobSpec.train(named).outputs == [
                "model", "model-mxfp4", "model-mxfp4-gguf", "report.json", "report.html", "run",
            ]
        )
        let warnings = try Self.job(
            Self.three,
            #", "export": [{"format": "quark", "precision": "fp4"}]"#
        ).warnings.map(\.path)
        #expect(warnings == ["$.quantization.formats[0]", "$.quantization.formats[1]"])
        let usual = try Self.spec()
        #expect(
            usual.exportGroups.map { $0.elements.map(\.options) }.allSatisfy {
                $0 == ExportOptions.usual
            }
        )
    }

    /// `explain` says that one of the two is enough.
    @Test func explainNamesTheAlternative() throws {
        func row(_ kind: String) throws -> SchemaRow? {
            SchemaRow.rows(of: try JobSchema.schema(fileKind: kind))
                .first { $0.path == "$.quantization.algorithm" }
        }
        #expect(try row("train")?.remark == "; required without formats")
        #expect(try row("quantize")?.remark == "; required")
    }
}
