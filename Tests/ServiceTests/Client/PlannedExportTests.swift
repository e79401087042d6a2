internal import Foundation
internal import JobInputs
internal import JobSpecs
internal import ModelFiles
internal import Testing

@testable internal import qat_client

/// Exports that are planned from a tiny model's headers: one layer of seven matrices with 6144 weights
/// in 192 blocks by 32, an embedding of 256 by 32, three norms of 32.
@Suite struct PlannedExportTests {
    private let folder: TemporaryHome

    init() throws {
        folder = try TemporaryHome()
        try TinyModelFolder().write(to: folder.home.path + "/m")
        try folder.write("t.txt", String(repeating: "words ", count: 40))
    }

    private func validate(_ kind: String, _ json: String) throws -> InputValidation {
        let file = try folder.write("job.json", json)
        let plan = try SubmissionPlan(kind: kind, file: file, name: nil)
        return try InputValidation(plan, file: file)
    }

    private func quantize(_ algorithm: String, _ exports: String) -> String {
        """
        {"model": "m", "quantization": {"algorithm": "\(algorithm)"}, "export": [\(exports)]}
        """
    }

    @Test func knowsTheSizeOfEveryLayout() throws {
        let exports = try validate(
            "quantize",
            quantize(
                "mxfp4",
                """
                {"format": "compressed-tensors"}, {"format": "quark"}, {"format": "bf16"},
                {"format": "gguf"}
                """
            )
        ).exports.exports
        let packed = 6144 / 2 + 192
        let embedding = 256 * 32 * 2
        #expect(
            exports.map(\.tensorByteCounts?.lowerBound) == [
                packed + embedding + 96 * 2, packed + embedding + 96 * 2,
                (6144 + 256 * 32 + 96) * 2,
                // GGUF has norms in FP32.
                packed + embedding + 96 * 4,
            ]
        )
        #expect(exports.allSatisfy { $0.obstacles.isEmpty })
        #expect(exports.map(\.path).last == "$.export[3].format")
    }

    @Test func refusesAnExportThatCannotHoldTheRecipe() throws {
        let list = #"{"format": "gguf"}, {"format": "compressed-tensors"}"#
        for (kind, more) in [
            ("quantize", ""),
            (
                "train",
                #", "data": {"train": ["t.txt"], "validation": ["t.txt"], "seq_length": 32}"#
            ),
        ] {
            let job = quantize("mxint8", list).dropLast() + more + "}"
            let error = #expect(throws: ClientError.self) { try validate(kind, String(job)) }
            #expect(error?.status == .usage)
            let lines = error?.lines ?? []
            #expect(lines.count == 1)
            #expect(
                lines[0].contains("job.json: $.export[1].format: compressed-tensors cannot hold")
                    && lines[0].contains("model.layers.0.") && lines[0].contains("more modules")
                    && lines[0].contains(#""on_obstacle": "skip""#),
                "\(lines)"
            )
        }
    }

    @Test func leavesOutWhatMayBeSkipped() throws {
        let list = #"{"format": "gguf"}, {"format": "quark", "on_obstacle": "skip"}"#
        let found = try validate("quantize", quantize("mxint8", list))
        // The second is what llama.cpp does with a model that names no end of text.
        #expect(found.remarks.count == 2, "\(found.remarks)")
        #expect(found.remarks[1].hasPrefix("$.export[0].format: the model names no token"))
        #expect(found.remarks[0].hasPrefix("$.export[1].format: quark will be left out: "))
        let table = found.exports.text.split(separator: "\n")
        #expect(table[0].hasPrefix("EXPORT  ALL FILES") && table[0].hasSuffix("REMARKS"))
        #expect(table[2].hasPrefix("quark   -") && table[2].contains("left out: "))
    }

    /// With all of them left out there is a model all the same, and it is said which.
    @Test(arguments: [
        ("mxint8", "", "bf16"), ("mxint8", #", "export": []"#, "bf16"),
        ("int8_per_channel", #", "export": [{"format": "quark", "on_obstacle": "skip"}]"#, "f32"),
    ])
    func saysWhatStandsInForExportsThatAreLeftOut(
        algorithm: String,
        exports: String,
        layout: String
    ) throws {
        let job = #"{"model": "m", "quantization": {"algorithm": "\#(algorithm)"}\#(exports)}"#
        let remarks = try validate("quantize", job).remarks
        #expect(remarks.count == 2, "\(remarks)")
        #expect(
            remarks.last
                == "$.export: model/ holds the quantized values in \(layout) instead, exactly"
        )
    }

    @Test func refusesTheSameExportTwice() throws {
        let list =
            #"{"format": "gguf"}, {"format": "bf16"}, {"format": "gguf", "on_obstacle": "skip"}"#
        let file = try folder.write("job.json", quantize("mxfp4", list))
        let error = #expect(throws: (any Error).self) {
            try SubmissionPlan(kind: "quantize", file: file, name: nil)
        }
        #expect(
            "\(error.map { "\($0)" } ?? "")".contains(
                "$.export[2].format: gguf is not allowed twice"
            )
        )
    }

    @Test func refusesAWeightThatIsNoNumberByName() throws {
        let path = folder.home.path + "/m/model.safetensors"
        var bytes = try Data(contentsOf: URL(filePath: path))
        bytes.replaceSubrange(bytes.count - 4..<bytes.count, with: [0, 0, 0xC0, 0x7F])
        try bytes.write(to: URL(filePath: path))
        for (kind, more) in [
            ("quantize", ""),
            (
                "train",
                #", "data": {"train": ["t.txt"], "validation": ["t.txt"], "seq_length": 32}"#
            ),
        ] {
            let job = quantize("mxfp4", #"{"format": "bf16"}"#).dropLast() + more + "}"
            let error = #expect(throws: ClientError.self) { try validate(kind, String(job)) }
            let line = error?.lines.first ?? ""
            #expect(line.contains("$.model: ") && line.contains(" holds nan at ["), "\(line)")
        }
    }

    @Test func plansEveryFormatThatMayBeChosen() throws {
        func job(_ export: String) -> String {
            """
            {"model": "m", "quantization": {"algorithm": "mxfp4", "effective_bits": 6,
              "candidates": ["mxfp4", "mxfp8"]},
             "data": {"calibration": ["t.txt"], "seq_length": 32}, "export": [\(export)]}
            """
        }
        let export = try validate("quantize", job(#"{"format": "compressed-tensors"}"#))
            .exports.exports[0]
        let rest = 256 * 32 * 2 + 96 * 2
        #expect(export.tensorByteCounts == rest + 3072 + 192...rest + 6144 + 192)
        let tensors = try #require(export.tensorByteCounts)
        let files = try #require(export.byteCounts)
        // Tokenizer, configuration and headers.
        #expect(files.lowerBound > tensors.lowerBound && files.upperBound > tensors.upperBound)
        // What is so of a candidate is not said of the job.
        let gguf = try validate("quantize", job(#"{"format": "gguf"}"#)).exports.exports[0]
        let remarks = gguf.substitutions.map(\.description)
        let ofCandidates = remarks.filter { $0.hasPrefix("if ") }
        #expect(ofCandidates.first?.hasPrefix("if mxfp8 is chosen, model.layers.0.") == true)
        // The tiny model has no token that ends a text, whatever is chosen.
        #expect(remarks.count { $0.hasPrefix("the model names no token") } == 1)
        #expect(throws: ClientError.self) {
            try validate("quantize", job(#"{"format": "quark"}"#))
        }
    }

    @Test func refusesATokenizerThatGGUFHasNoFormFor() throws {
        let path = folder.home.path + "/m/tokenizer.json"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let json = try JSONSerialization.jsonObject(with: Data(text.utf8))
        var object = try #require(json as? [String: Any])
        object["normalizer"] = ["type": "Lowercase"]
        try JSONSerialization.data(withJSONObject: object).write(to: URL(filePath: path))
        let error = #expect(throws: ClientError.self) {
            try validate("quantize", quantize("mxfp4", #"{"format": "gguf"}"#))
        }
        #expect(error?.lines.first?.contains("$.export[0].format: gguf cannot hold") == true)
    }

    private func train(_ formats: String, _ exports: String) -> String {
        """
        {"model": "m", "quantization": {"formats": [\(formats)]}\(exports),
         "data": {"train": ["t.txt"], "validation": ["t.txt"], "seq_length": 32},
         "trainer": {"max_steps": 3}}
        """
    }

    /// A training for several formats has every export in each of them, but those that name one.
    @Test func plansEveryFormatThatIsTrainedFor() throws {
        let list = #", "export": [{"format": "compressed-tensors"}]"#
        let exports = try validate("train", train(#""mxfp8", "mxfp4""#, list)).exports.exports
        #expect(
            exports.map(\.name) == ["compressed-tensors in mxfp8", "compressed-tensors in mxfp4"]
        )
        let rest = 256 * 32 * 2 + 96 * 2
        #expect(
            exports.map(\.tensorByteCounts?.lowerBound) == [
                rest + 6144 + 192, rest + 3072 + 192,
            ]
        )
        let named = """
            , "export": [{"format": "quark", "precision": "fp6"},
                         {"format": "compressed-tensors", "precision": "fp4"}]
            """
        let found = try validate("train", train(#""fp8", "fp6", "fp4""#, named))
        #expect(
            found.exports.exports.map(\.name) == [
                "quark in mxfp6_e2m3", "compressed-tensors in mxfp4",
            ]
        )
        let table = found.exports.text.split(separator: "\n")
        #expect(table[1].hasPrefix("quark in mxfp6_e2m3"), "\(table)")
    }

    /// What one of the formats cannot be is refused, or left out, by its name; the others stay.
    @Test func aFormatThatAnExportDoesNotHaveIsNamed() throws {
        let formats = #""mxfp8", "mxfp6_e2m3", "mxfp4""#
        let error = #expect(throws: ClientError.self) {
            try validate(
                "train",
                train(formats, #", "export": [{"format": "compressed-tensors"}]"#)
            )
        }
        let lines = error?.lines ?? []
        #expect(lines.count == 1)
        #expect(
            lines.first?.contains(
                "$.export[0].format: compressed-tensors in mxfp6_e2m3 cannot hold this model"
            ) == true && lines.first?.contains(#"name another format as its "precision""#) == true,
            "\(lines)"
        )
        let usual = try validate("train", train(formats, "")).remarks
        #expect(
            usual.contains {
                $0.hasPrefix(
                    "$.export[0].format: compressed-tensors in mxfp6_e2m3 will be left out: "
                )
            },
            "\(usual)"
        )
        #expect(
            usual.contains(
                "$.export: model-mxfp6_e2m3/ holds the quantized values in bf16 instead, exactly"
            )
        )
        // GGUF has a type for MXFP4 and none for MXFP8, which it holds as BF16, and says so.
        let gguf = try validate(
            "train",
            train(#""mxfp8", "mxfp4""#, #", "export": [{"format": "gguf"}]"#)
        ).exports.exports
        let remarks = gguf.map { $0.substitutions.map(\.description) }
        #expect(remarks[0].contains { $0.contains("which GGUF does not have; stored as") })
        #expect(!remarks[1].contains { $0.contains("which GGUF does not have") })
    }
}
