internal import Formats
internal import Testing

@testable internal import JobSpecs

/// `"schedule": "progressive"`, and what happens where its stages change.
@Suite struct ProgressiveTests {
    private static func spec(_ quantization: String, _ optim: String = "{}") throws -> (
        TrainSpec, warnings: [String]
    ) {
        let json = """
            {"model": "m", "quantization": \(quantization), "optim": \(optim), "data": {"train": ["t"]}}
            """
        let job = try ParsedJob(kind: "train", json: Array(json.utf8))
        guard case .train(let spec) = job.spec else {
            throw JobSpecError(.invalidSpec, "not a training job")
        }
        return (spec, job.warnings.map(\.description))
    }

    /// The guide's: fp8 below 30 % of the run, fp6 below 70 %, then fp4.
    @Test func theWordAloneIsTheGuidesDefault() throws {
        let (word, warnings) = try Self.spec(
            #"{"algorithm": "fp4", "schedule": "progressive"}"#
        )
        let (spelled, _) = try Self.spec(
            """
            {"algorithm": "fp4", "schedule": {"stages": [{"until": 0.3, "algorithm": "fp8"},
             {"until": 0.7, "algorithm": "fp6"}, {"until": 1, "algorithm": "fp4"}]}}
            """
        )
        #expect(word.quantization.recipe == spelled.quantization.recipe)
        #expect(warnings.isEmpty)
        let formats = [0, 0.29, 0.3, 0.69, 0.7, 1].map {
            word.quantization.recipe.stageFormat(at: $0)
        }
        #expect(formats == [.mxfp8, .mxfp8, .mxfp6E2M3, .mxfp6E2M3, .mxfp4, .mxfp4])
    }

    /// The run ends in the job's own format, under its rules, and begins in those that are more precise.
    @Test func theScheduleEndsWithTheJobsFormat() throws {
        func stages(_ section: String) throws -> [QuantizationRecipe.Stage] {
            try Self.spec("{\(section), \"schedule\": \"progressive\"}").0.quantization.recipe
                .stages
        }
        let nv = try stages(#""algorithm": "nvfp4""#)
        #expect(nv.map(\.format) == [.mxfp8, .mxfp6E2M3, .nvfp4])
        let six = try stages(#""algorithm": "fp6""#)
        #expect(six.map(\.format) == [.mxfp8, .mxfp6E2M3] && six.map(\.until) == [0.3, 1])
        let blocks = try stages(
            #""algorithm": "fp4", "scaling_granularity": 16, "scale_mode": "even""#
        )
        #expect(blocks.allSatisfy { $0.format?.blockSize == 16 && $0.format?.scaleMode == .even })
    }

    @Test(arguments: ["none", "fp8", "mxint8"])
    func nothingMorePreciseIsRefused(algorithm: String) {
        let error = #expect(throws: JobSpecError.self) {
            try Self.spec(#"{"algorithm": "\#(algorithm)", "schedule": "progressive"}"#)
        }
        #expect(error?.description.contains("$.quantization.schedule") == true)
        #expect(error?.description.contains("no more precise") == true)
    }

    @Test func otherWordsAndKindsAreRefused() {
        let mistakes = [
            #""progresive""#: #"did you mean "progressive"?"#,
            "3": #"found an integer; expected "progressive", or an object"#,
            #"{"stage": []}"#: #"did you mean "stages"?"#,
        ]
        for (value, message) in mistakes {
            let error = #expect(throws: JobSpecError.self) {
                try Self.spec(#"{"algorithm": "fp4", "schedule": \#(value)}"#)
            }
            #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
        }
    }

    /// A rule names where a layer ends; before the last stage the more precise of rule and stage holds.
    @Test func rulesAndStagesHoldTogether() throws {
        let recipe = try Self.spec(
            """
            {"algorithm": "fp4", "schedule": "progressive", "layers": [
             {"pattern": "*self_attn*", "algorithm": "fp6"}, {"pattern": "*up_proj", "algorithm": "none"},
             {"pattern": "*embed_tokens", "algorithm": "fp8"}]}
            """
        ).0.quantization.recipe
        func formats(_ module: String) -> [QuantizationFormat?] {
            [0, 0.5, 0.9].map { recipe.format(forModule: module, progress: $0) }
        }
        #expect(formats("model.layers.0.self_attn.q_proj") == [.mxfp8, .mxfp6E2M3, .mxfp6E2M3])
        #expect(formats("model.layers.0.mlp.down_proj") == [.mxfp8, .mxfp6E2M3, .mxfp4])
        #expect(formats("model.layers.0.mlp.up_proj") == [nil, nil, nil])
        #expect(formats("model.embed_tokens") == [.mxfp8, .mxfp8, .mxfp8])
        #expect(formats("lm_head") == [nil, nil, nil])
    }

    @Test func whatHappensAtAChangeIsTheJobs() throws {
        let progressive = #"{"algorithm": "fp4", "schedule": "progressive"}"#
        let usual = try Self.spec(progressive).0.optimizer
        #expect(usual.stageMoments == .reset && usual.stageWarmupSteps == nil)
        let (said, none) = try Self.spec(
            progressive,
            #"{"stage_change": {"moments": "keep", "warmup_steps": 0}}"#
        )
        #expect(said.optimizer.stageMoments == .keep)
        #expect(said.optimizer.stageWarmupSteps == 0 && none.isEmpty)
        let (_, warnings) = try Self.spec(
            #"{"algorithm": "fp4"}"#,
            #"{"stage_change": {"moments": "keep"}}"#
        )
        #expect(warnings.count == 1 && warnings[0].contains("$.optim.stage_change: has no effect"))
    }
}
