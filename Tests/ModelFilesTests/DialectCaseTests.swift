internal import Foundation
internal import Kernels
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// One table of configurations through reader and linter; see `Fixtures/make_dialect_cases.py`.
struct DialectCaseTests {
    /// What the package makes of a configuration.
    struct Case: CustomTestStringConvertible, Sendable {
        let name: String
        /// `quantization_config`, as JSON.
        let configuration: String
        /// Whether the package takes it.
        let isTaken: Bool
        /// The tensors it stores the module as; empty of a float weight.
        let tensors: [RawTensor]
        /// The first values that it reads from them.
        let values: [Float]

        var testDescription: String { name }
    }

    private static let module = "model.layers.0.self_attn.k_proj"

    /// What the package takes and others do not, so that a linter must say so.
    private static let faults = [
        "a group without weights": "weights is missing",
        "a name before an expression": "is a target of b and a",
        "the first of two expressions by text": "is a target of b and a",
    ]

    private static let cases: [Case] = {
        let path = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "Fixtures/dialect_cases.json")
        guard let data = try? Data(contentsOf: path),
            let list = try? JSONSerialization.jsonObject(with: data) as? [[String: Any]]
        else { return [] }
        return list.compactMap(Self.parsed)
    }()

    private static func parsed(_ root: [String: Any]) -> Case? {
        guard let name = root["name"] as? String,
            var configuration = root["configuration"] as? [String: Any]
        else { return nil }
        // The fixture is about one layer; the others of the test's model are floats.
        configuration["ignore"] = others
        guard let json = try? JSONSerialization.data(withJSONObject: configuration) else {
            return nil
        }
        let tensors = (root["tensors"] as? [[String: Any]] ?? []).compactMap(tensor)
        let values = (root["values"] as? String).flatMap { Data(base64Encoded: $0) } ?? Data()
        return Case(
            name: name,
            configuration: String(decoding: json, as: UTF8.self),
            isTaken: root["error"] == nil,
            tensors: tensors,
            values: values.withUnsafeBytes { bytes in
                (0..<bytes.count / 4).map { ValueLint.float(bytes, $0) }
            }
        )
    }

    private static func tensor(_ root: [String: Any]) -> RawTensor? {
        guard let name = root["name"] as? String, let shape = root["shape"] as? [Int],
            let type = (root["type"] as? String).flatMap(SafetensorsType.init(rawValue:)),
            let bytes = (root["bytes"] as? String).flatMap({ Data(base64Encoded: $0) })
        else { return nil }
        return RawTensor("\(module).\(name)", type, shape, [UInt8](bytes))
    }

    private static let others: [String] = (0..<2).flatMap { layer in
        LinearModule.allCases.map { $0.name(layer: layer) }
    }.filter { $0 != module }

    private static func write(_ sample: Case, to folder: TemporaryFolder) throws {
        try RawCheckpoint(
            replacing: sample.tensors.isEmpty ? [] : [module],
            with: sample.tensors,
            quantization: sample.configuration,
            ["tokenizer_config.json": "{}"]
        ).write(to: folder)
    }

    @Test func thereAreCasesOfBothKinds() {
        #expect(Self.cases.filter(\.isTaken).count >= 20)
        #expect(Self.cases.filter { !$0.isTaken }.count >= 5)
    }

    @Test(arguments: cases)
    func readerAndLinterAgreeWithThePackage(sample: Case) throws {
        let folder = try TemporaryFolder()
        try Self.write(sample, to: folder)
        let findings = CheckpointLint.lint(path: folder.path)
        // The layer's neighbours are floats, which servers that fuse them do not take.
        let errors = findings.filter {
            $0.severity == .error && !$0.message.contains("vLLM fuses them")
        }
        guard sample.isTaken else {
            #expect(throws: ModelFileError.self) { try ModelLoader.open(path: folder.path) }
            #expect(
                findings.contains { $0.place.hasPrefix("config.json: quantization_config") },
                "\(findings)"
            )
            return
        }
        let model = try ModelLoader.load(
            path: folder.path,
            team: ThreadTeam(threadCount: 2)
        )
        let read = try model.parameters.elements(named: Self.module + ".weight")
        for (value, expected) in zip(read, sample.values) {
            // The package gives FP4 in BF16.
            #expect(abs(value - expected) <= 0x1p-8 * abs(expected))
        }
        if let fault = Self.faults[sample.name] {
            #expect(errors.count == 1 && errors[0].message.contains(fault), "\(errors)")
        } else {
            #expect(errors == [], "\(sample.name)")
        }
    }

    /// A reader refuses nothing that the linter has no words for.
    @Test(arguments: [
        (#"{"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 32}"#, true),
        (#"{"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION"}"#, true),
        (#"{"quant_method": "modelopt", "quant_algo": "W4A16_AWQ"}"#, false),
        (#"{"quant_method": "modelopt", "quant_algo": 4}"#, true),
        (#"{"quant_method": "modelopt", "quant_algo": "FP8", "ignore": "lm_head"}"#, true),
        (
            #"{"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": {"lm_head": {"quant_algo": "INT4"}, "model.layers.0.mlp.up_proj": {}}}"#,
            true
        ),
        (#"{"quant_method": "quark", "export": {}, "exclude": 3}"#, true),
        (
            #"{"quant_method": "quark", "export": {}, "global_quant_config": {"weight": {"dtype": "fp4", "qscheme": "per_group", "group_size": 16, "scale_format": "e8m0"}}}"#,
            true
        ),
        (
            #"{"quant_method": "quark", "export": {}, "global_quant_config": {"weight": {"dtype": "fp4", "qscheme": "per_group", "group_size": 32}}}"#,
            true
        ),
        (
            #"{"quant_method": "quark", "export": {}, "global_quant_config": {"weight": {"dtype": "int4", "qscheme": "per_group", "group_size": 32}}}"#,
            false
        ),
        (
            #"{"quant_method": "quark", "export": {}, "global_quant_config": {"weight": {"dtype": "fp4", "qscheme": "per_group", "group_size": 32, "scale_format": "e8m0"}, "input_tensors": {"dtype": "fp4", "qscheme": "per_group", "group_size": 32, "is_dynamic": true, "scale_calculation_mode": "flour"}}}"#,
            true
        ),
        (
            #"{"quant_method": "quark", "export": {}, "layer_quant_config": {"*up_proj": {"weight": {"dtype": "fp8_e4m3", "qscheme": "per_tensor"}}, "*mlp*": {"weight": {"dtype": "fp8_e4m3", "qscheme": "per_channel"}}}}"#,
            false
        ),
        (
            #"{"quant_method": "quark", "export": {}, "global_quant_config": {"bias": {"dtype": "int8"}, "weight": {"dtype": "fp8_e4m3", "qscheme": "per_tensor"}}}"#,
            false
        ),
        (
            #"{"quant_method": "compressed-tensors", "format": "float-quantized", "config_groups": {"a": {"targets": ["Linear"], "weights": {"num_bits": 8, "type": "float"}}, "b": {"targets": ["Linear"], "weights": {"num_bits": 8, "type": "float", "strategy": "channel"}}}}"#,
            true
        ),
        (
            #"{"quant_method": "compressed-tensors", "format": "float-quantized", "config_groups": {"a": {"targets": ["Linear"], "weights": {"num_bits": 8, "type": "float", "actorder": "group"}}}}"#,
            false
        ),
        (
            #"{"quant_method": "compressed-tensors", "format": "float-quantized", "config_groups": {"a": {"targets": ["Linear"], "input_activations": {"num_bits": 8, "type": "float"}}}}"#,
            false
        ),
        (#"{"quant_method": "gptq"}"#, true), (#"{"quant_algo": "FP8"}"#, true),
    ])
    func whatTheReaderRefusesTheLinterReports(configuration: String, isFault: Bool) throws {
        let folder = try TemporaryFolder()
        try RawCheckpoint(with: [], quantization: configuration, ["tokenizer_config.json": "{}"])
            .write(to: folder)
        let refusal = #expect(throws: ModelFileError.self) {
            try ModelLoader.open(path: folder.path)
        }
        let message = try #require(refusal?.message)
        let found = CheckpointLint.lint(path: folder.path).first { finding in
            message.hasSuffix(finding.message) && finding.place.hasPrefix("config.json")
        }
        #expect(found?.severity == (isFault ? .error : .warning), "\(message)")
    }

    /// FP8 of Quark, classes of layers and names of whole layers: read, and linted by the same table.
    @Test func quarkSchemesThatAreOnlyReadAreLinted() throws {
        let weight = #"{"weight": {"dtype": "fp8_e4m3", "qscheme": "per_tensor"}}"#
        let codes = [UInt8](repeating: 0x38, count: 32 * 64)
        let folder = try TemporaryFolder()
        let tensors = [
            RawTensor(Self.module + ".weight", .f8E4M3, [32, 64], codes),
            RawTensor(
                Self.module + ".weight_scale",
                .f32,
                [],
                GGUFBuilder.little(Float(2).bitPattern)
            ),
        ]
        let excluded = ["model.layers.1", "*mlp*", "*q_proj", "*v_proj", "*o_proj"]
        let quantization = """
            {"quant_method": "quark", "export": {}, "exclude": \(excluded),
            "layer_type_quant_config": {"Linear": \(weight)}}
            """
        try RawCheckpoint(
            replacing: [Self.module],
            with: tensors,
            quantization: quantization,
            ["tokenizer_config.json": "{}"]
        ).write(to: folder)
        let model = try ModelLoader.load(path: folder.path, team: ThreadTeam(threadCount: 2))
        let read = try model.parameters.elements(named: Self.module + ".weight")
        #expect(read.allSatisfy { $0 == 2 })
        let findings = CheckpointLint.lint(path: folder.path)
        // vLLM fuses q, k and v, and refuses another format in one of them.
        #expect(
            findings.filter { $0.severity == .error }.allSatisfy { $0.message.contains("fuses") }
        )
    }
}
