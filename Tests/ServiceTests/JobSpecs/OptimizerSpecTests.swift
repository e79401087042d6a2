internal import Formats
internal import Testing

@testable internal import JobSpecs

/// Optimizers, averages and damping in job files.
@Suite struct OptimizerSpecTests {
    private static func job(_ members: String, quantization: String = "") throws -> ParsedJob {
        let json = """
            {"model": "m", "quantization": {"algorithm": "fp4"\(quantization)}, "data": {"train": ["t"]},
             \(members)}
            """
        return try ParsedJob(kind: "train", json: Array(json.utf8))
    }

    private static func spec(_ members: String, quantization: String = "") throws -> TrainSpec {
        guard case .train(let spec) = try job(members, quantization: quantization).spec else {
            throw JobSpecError(.invalidSpec, "not a training job")
        }
        return spec
    }

    @Test func eachOptimizerHasItsBetas() throws {
        let usual = try Self.spec(#""optim": {}"#).optimizer
        #expect(usual.name == .adamW && usual.beta1 == 0.9 && usual.beta2 == 0.95)
        let lion = try Self.spec(#""optim": {"name": "lion"}"#).optimizer
        #expect(lion.name == .lion && lion.beta1 == 0.9 && lion.beta2 == 0.99)
        let said = try Self.spec(
            #""optim": {"name": "lion", "betas": [0.95, 0.98], "moments": "int8"}"#
        ).optimizer
        #expect(said.beta1 == 0.95 && said.beta2 == 0.98 && said.moments == .int8)
    }

    @Test func whatLionDoesNotTakeIsWarnedAbout() throws {
        let warnings = try Self.job(#""optim": {"name": "lion", "eps": 1e-6}"#).warnings
        #expect(warnings.map(\.path) == ["$.optim.eps"])
        #expect(try Self.job(#""optim": {"name": "adamw", "eps": 1e-6}"#).warnings.isEmpty)
    }

    @Test func othersNamesOfSmallMomentsAreUnderstood() {
        let words = [
            #""name": "adamw_8bit""#: #"write "adamw", and "moments": "int8" beside it"#,
            #""name": "paged_lion_8bit""#: #"write "lion", and "moments": "int8" beside it"#,
            #""moments": "8bit""#: #"write "int8""#, #""moments": "bf16""#: #"write "bfloat16""#,
        ]
        for (member, advice) in words {
            let error = #expect(throws: JobSpecError.self) {
                try Self.job("\"optim\": {\(member)}")
            }
            #expect(error?.description.contains(advice) == true, "\(error?.description ?? "")")
        }
    }

    @Test func averagesHaveADecayBetweenNoneAndAll() throws {
        #expect(try Self.spec(#""trainer": {}"#).trainer.averageDecay == nil)
        #expect(try Self.spec(#""trainer": {"ema": 0.999}"#).trainer.averageDecay == 0.999)
        let mistakes = [
            "0": "leave it out for no average", "1": "expected a number > 0 and < 1",
            "true": "write the decay, as 0.999",
        ]
        for (value, message) in mistakes {
            let error = #expect(throws: JobSpecError.self) {
                try Self.job("\"trainer\": {\"ema\": \(value)}")
            }
            #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
        }
    }

    /// Weights that flip too often are frozen, under scales that stay or are powers of two.
    @Test func freezingIsTheJobs() throws {
        #expect(try Self.spec(#""seed": 1"#).quantization.flipThreshold == nil)
        let both = #", "oscillation": {"dampen": 0.05, "freeze": 0.02, "flip_momentum": 0.1}"#
        let spec = try Self.spec(#""seed": 1"#, quantization: both)
        #expect(spec.quantization.flipThreshold == 0.02 && spec.quantization.damping == 0.05)
        #expect(spec.quantization.flipMomentum == 0.1)
        let kept = #", "oscillation": {"freeze": 0.02}, "scales": "kept""#
        #expect(try Self.spec(#""seed": 1"#, quantization: kept).quantization.flipMomentum == 0.01)
    }

    @Test(arguments: [
        (#""seed": 1"#, #""rounding": "stochastic""#, "stochastic rounding"),
        (#""seed": 1"#, #""scales": "learned""#, "learned scales"),
        (#""lora": {}"#, #""method": "max""#, "with lora"),
        (
            #""seed": 1"#, #""layers": [{"pattern": "*mlp*", "algorithm": "nvfp4"}]"#,
            "nvfp4 whose scales follow"
        ),
    ])
    func codesThatMoveByThemselvesAreNotFrozen(
        members: String,
        quantization: String,
        reason: String
    ) {
        let error = #expect(throws: JobSpecError.self) {
            try Self.spec(
                members,
                quantization: #", "oscillation": {"freeze": 0.02}, \#(quantization)"#
            )
        }
        let text = error?.description ?? ""
        #expect(text.contains("$.quantization.oscillation.freeze"), "\(text)")
        #expect(text.contains(reason), "\(text)")
    }

    @Test func whatIsNeverFrozenIsWarnedAbout() throws {
        func paths(_ steps: Int, _ oscillation: String) throws -> [String] {
            try Self.job(
                #""trainer": {"max_steps": \#(steps)}"#,
                quantization: #", "oscillation": \#(oscillation)"#
            ).warnings.map(\.path)
        }
        let freeze = "$.quantization.oscillation.freeze"
        // 1 - 0.99³ is 0.0297.
        #expect(try paths(4, #"{"freeze": 0.02}"#) == [freeze])
        #expect(try paths(5, #"{"freeze": 0.02}"#).isEmpty)
        #expect(
            try paths(50, #"{"dampen": 1, "flip_momentum": 0.1}"#)
                == ["$.quantization.oscillation.flip_momentum"]
        )
    }

    @Test func dampingIsTheJobs() throws {
        #expect(try Self.spec(#""seed": 1"#).quantization.damping == 0)
        let damped = #", "oscillation": {"dampen": 0.05}"#
        #expect(try Self.spec(#""seed": 1"#, quantization: damped).quantization.damping == 0.05)
        #expect(throws: JobSpecError.self) {
            try Self.spec(#""seed": 1"#, quantization: #", "oscillation": {}"#)
        }
        #expect(throws: JobSpecError.self) {
            try Self.spec(#""seed": 1"#, quantization: #", "oscillation": {"dampen": 0}"#)
        }
    }
}
