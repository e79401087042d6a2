internal import Formats
internal import Foundation
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// Every key of a quantization configuration is accounted for.
@Suite struct KnownKeysTests {
    /// A key in a configuration that a dialect's writer made.
    struct Case: Sendable, CustomTestStringConvertible {
        let sample: LintSample
        /// Keys that lead to the object, and the key itself.
        let path: [String]
        /// Its value, as JSON.
        let value: String

        init(_ sample: LintSample, _ path: String, _ value: String) {
            self.sample = sample
            self.path = path.split(separator: "/").map(String.init)
            self.value = value
        }

        var testDescription: String { "\(sample) \(path.joined(separator: "/")) \(value)" }

        func write(to folder: String) throws {
            try sample.write(to: folder)
            let json = try JSONSerialization.jsonObject(
                with: Data(value.utf8),
                options: .fragmentsAllowed
            )
            try LintFault.quantization(folder) { set(json, path[...], &$0) }
        }

        private func set(_ value: Any, _ path: ArraySlice<String>, _ root: inout [String: Any]) {
            guard let key = path.first else { return }
            if path.count == 1 {
                root[key] = value
            } else {
                LintFault.edit(&root, key) { set(value, path.dropFirst(), &$0) }
            }
        }
    }

    private static let group = "config_groups/group_0"
    private static let weight = "global_quant_config/weight"

    /// Misspelt keys, and those that change what is computed.
    static let refused: [Case] = [
        .init(.compressedMXFP4, "quantisation_status", #""compressed""#),
        .init(.compressedMXFP4, "moe_sparsity_config", #"{"top_k": 2}"#),
        .init(.compressedMXFP4, "sparsity_config", #"{"sparsity_structure": "2:4"}"#),
        .init(.compressedMXFP4, "transform_config", #"{"config_groups": {"u": {}}}"#),
        .init(.compressedMXFP4, "transform_config", #"{"groups": {"u": {}}}"#),
        .init(.compressedMXFP4, "\(group)/wieghts", "{}"),
        .init(.compressedMXFP4, "\(group)/weights/num_bit", "4"),
        .init(.compressedMXFP4, "kv_cache_scheme/bits", "8"),
        .init(.modeloptNVFP4, "quantization_algo", #""NVFP4""#),
        .init(.modeloptNVFP4, "clamp_val", "[-1200, 1200]"),
        .init(.modeloptNVFP4, "use_meta_recipe", "true"),
        .init(.modeloptNVFP4, "has_zero_point", "true"),
        .init(.modeloptNVFP4, "lora_rank", "16"),
        .init(.modeloptNVFP4, "quantized_layers", "{}"),
        .init(.modeloptNVFP4, "\(group)/output_activations", #"{"num_bits": 8}"#),
        .init(.modeloptNVFP4, "\(group)/weights/symmetrical", "true"),
        .init(.modeloptNVFP4, "kv_cache_scheme/group", "16"),
        .init(
            .modeloptMixed,
            "quantized_layers/model.layers.0.self_attn.q_proj/awq_block_size",
            "128"
        ),
        .init(.quarkMXFP4, "algo_config", #"[{"name": "rotation", "r1": true, "r4": true}]"#),
        .init(.quarkMXFP4, "algo_config", #"[{"name": "awq"}, {"name": "quarot"}]"#),
        .init(.quarkMXFP4, "algo_config", #"{"name": "rotation"}"#),
        .init(.quarkMXFP4, "algo_config", #"[{"scaling_layers": []}]"#),
        .init(.quarkMXFP4, "softmax_quant_spec", #"{"dtype": "fp8_e4m3"}"#),
        .init(.quarkMXFP4, "quant_mod", #""eager_mode""#),
        .init(.quarkMXFP4, "export/weight_format", #""fake_quantized""#),
        .init(.quarkMXFP4, "export/pack_methods", #""reorder""#),
        .init(.quarkMXFP4, "global_quant_config/weights", "{}"),
        .init(.quarkMXFP4, "\(weight)/groupsize", "32"),
        .init(.quarkMXFP4, "\(weight)/is_scale_quant", "true"),
        .init(.quarkMXFP4, "\(weight)/block_size", "[1, 32]"),
        .init(.quarkMXFP4, "global_quant_config/input_tensors/mx_element_dtype", #""fp4""#),
        .init(.quarkMixed, "layer_quant_config/*self_attn*/weight", #"{"dtypes": "fp4"}"#),
    ]

    @Test(arguments: refused)
    func unknownKeysAreRefusedByName(sample: Case) throws {
        let folder = try TemporaryFolder()
        try sample.write(to: folder.path)
        let key = sample.path.last { !$0.contains("*") && $0 != "weight" } ?? ""
        let names = [key, "dtypes", "sparsity", "config_groups", "groups", "rotation", "quarot"]
        #expect {
            try ModelLoader.open(path: folder.path)
        } throws: { error in
            names.contains { "\(error)".contains($0) } && "\(error)".contains("config.json")
        }
        #expect(
            CheckpointLint.lint(path: folder.path).contains {
                $0.place.hasPrefix("config.json: quantization_config")
            }
        )
    }

    /// What public writers put beside what is read, by their own source.
    ///
    /// - SeeAlso: compressed-tensors 0.20 (`QuantizationConfig.to_dict`) and Transformers 5.24
    ///   (`CompressedTensorsConfig`); ModelOpt 0.43 (`convert_hf_config.py`) and TensorRT-LLM's
    ///   `QuantConfig`; Quark 0.12 (`QConfig.to_dict`, `QTensorConfig.to_dict`).
    static let neutral: [Case] = [
        .init(.compressedFP8Inputs, "moe_sparsity_config", "null"),
        .init(.compressedFP8Inputs, "global_compression_ratio", "1.24"),
        .init(.compressedFP8Inputs, "version", #""0.20.0""#),
        .init(.compressedFP8Inputs, "run_compressed", "true"),
        .init(.compressedFP8Inputs, "dequantize", "false"),
        .init(.compressedFP8Inputs, "use_optimized_inference", "false"),
        .init(.compressedFP8Inputs, "sparsity_config", #"{"format": "dense"}"#),
        .init(.compressedFP8Inputs, "transform_config", #"{"config_groups": {}}"#),
        .init(.compressedFP8Inputs, "\(group)/weights/observer", #""memoryless_minmax""#),
        .init(.compressedFP8Inputs, "\(group)/input_activations/observer_kwargs", "{}"),
        .init(.modeloptNVFP4, "producer", #"{"name": "modelopt", "version": "0.43.0"}"#),
        .init(.modeloptNVFP4, "has_zero_point", "false"),
        .init(.modeloptNVFP4, "pre_quant_scale", "false"),
        .init(.modeloptNVFP4, "smoothquant_val", "0.5"),
        .init(.modeloptNVFP4, "clamp_val", "null"),
        .init(.modeloptNVFP4, "use_meta_recipe", "false"),
        .init(.modeloptNVFP4, "\(group)/has_zero_point", "false"),
        .init(.modeloptNVFP4, "\(group)/weights/strategy", #""tensor_group""#),
        .init(.quarkMXFP4, "algo_config", #"[{"name": "awq", "scaling_layers": []}]"#),
        .init(.quarkMXFP4, "algo_config", #"[{"name": "gptq"}, {"name": "smoothquant"}]"#),
        .init(.quarkMXFP4, "algo_config", "[]"), .init(.quarkMXFP4, "algo_config", "null"),
        .init(.quarkMXFP4, "quant_mode", #""fx_graph_mode""#),
        .init(.quarkMXFP4, "version", #""0.12+9d3d471cdf1""#),
        .init(.quarkMXFP4, "kv_cache_post_rope", "true"),
        .init(.quarkMXFP4, "export/min_kv_scale", "0.5"),
        .init(.quarkMXFP4, "export/weight_merge_groups", #"[["*q_proj", "*k_proj"]]"#),
        .init(.quarkMXFP4, "\(weight)/enable_buffer_reuse", "false"),
        .init(.quarkMXFP4, "\(weight)/max_input_numel", "4194304"),
        .init(.quarkMXFP4, "\(weight)/block_size", "null"),
        .init(.quarkMXFP4, "\(weight)/ch_axis", "1"),
        .init(.quarkMXFP4, "\(weight)/observer_cls", #""PerGroupMinMaxObserver""#),
        .init(.quarkMXFP4, "\(weight)/round_method", "null"),
        .init(.quarkMXFP4, "\(weight)/scale_type", "null"),
        .init(.quarkMXFP4, "global_quant_config/target_device", #""cpu""#),
    ]

    @Test(arguments: neutral)
    func whatPublicWritersAddChangesNothing(sample: Case) throws {
        let (folder, plain) = (try TemporaryFolder(), try TemporaryFolder())
        try sample.write(to: folder.path)
        try sample.sample.write(to: plain.path)
        #expect(CheckpointLint.lint(path: folder.path).map { "\($0.place): \($0.message)" } == [])
        let source = try ModelLoader.open(path: folder.path)
        #expect(source.activations == (try ModelLoader.open(path: plain.path).activations))
    }

    /// ModelOpt's converter writes caches of other formats as a name.
    @Test func cachesOfOtherFormatsAreNotComputed() throws {
        let folder = try TemporaryFolder()
        let sample = Case(.modeloptNVFP4, "kv_cache_scheme", #""NVFP4""#)
        try sample.write(to: folder.path)
        let source = try ModelLoader.open(path: folder.path)
        #expect(source.activations.obstacle?.contains("cache in NVFP4 is not computed") == true)
    }

    /// vLLM's MXFP4 under FP8 inputs: the scale of inputs is a tensor of the module.
    @Test func scalesOfInputsStandBesideQuarksMXFP4() throws {
        let folder = try TemporaryFolder()
        let inputs = """
            {"dtype": "fp8_e4m3", "qscheme": "per_tensor", "symmetric": true, "is_dynamic": false}
            """
        try Case(.quarkMXFP4, "global_quant_config/input_tensors", inputs).write(to: folder.path)
        try LintFault.stored(folder.path) { tensors in
            for name in tensors.keys where name.hasSuffix("_proj.weight_scale") {
                let module = name.dropLast(".weight_scale".count)
                tensors[module + ".input_scale"] = .init(
                    type: .f32,
                    shape: [],
                    bytes: [0, 0, 128, 63]
                )
            }
        }
        let source = try ModelLoader.open(path: folder.path)
        let input = source.activations.quantization.inputs["model.layers.0.mlp.up_proj"]
        #expect(input?.format == .fp8PerTensor && input?.scale == 1)
        let errors = CheckpointLint.lint(path: folder.path).filter { $0.severity == .error }
        #expect(errors.isEmpty, "\(errors)")
    }

    /// Zero points of zero change nothing; others do.
    @Test(arguments: [true, false])
    func zeroPointsOfZeroAreNeutral(isZero: Bool) throws {
        let folder = try TemporaryFolder()
        try LintSample.compressedFP8Channel.write(to: folder.path)
        let name = "model.layers.0.mlp.up_proj.weight_zero_point"
        try LintFault.stored(folder.path) { tensors in
            let bytes = [UInt8](repeating: isZero ? 0 : 1, count: 96)
            tensors[name] = .init(type: .u8, shape: [96, 1], bytes: bytes)
        }
        let findings = CheckpointLint.lint(path: folder.path)
        #expect(findings.map(\.place) == [name])
        #expect(findings.first?.severity == (isZero ? .warning : .error))
        if isZero {
            _ = try ModelLoader.open(path: folder.path)
        } else {
            #expect {
                try ModelLoader.open(path: folder.path)
            } throws: { "\($0)".contains(name) }
        }
    }

    /// ModelOpt's converter leaves inputs out of groups of weights alone.
    @Test(arguments: [
        (LintSample.modeloptNVFP4, [false]), (.modeloptNVFP4Inputs, [true]),
        (.modeloptFP8, [true]), (.modeloptMixed, [true, false]),
    ])
    func groupsSayWhetherInputsAreRounded(sample: LintSample, expected: [Bool]) throws {
        let folder = try TemporaryFolder()
        try sample.write(to: folder.path)
        let data = Data(try LintFault.read("config.json", in: folder.path))
        let root = try JSONSerialization.jsonObject(with: data) as? [String: Any]
        let quantization = root?["quantization_config"] as? [String: Any]
        let groups = try #require(quantization?["config_groups"] as? [String: [String: Any]])
        let found = groups.sorted { $0.key < $1.key }.map { $0.value["input_activations"] != nil }
        #expect(found == expected)
    }
}
