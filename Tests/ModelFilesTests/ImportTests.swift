internal import Formats
internal import Foundation
internal import Kernels
internal import Quantization
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// Checkpoints of others that our own writers do not write, and disagreements of a checkpoint with
/// its configuration.
struct ImportTests {
    private static var team: ThreadTeam { ThreadTeam(threadCount: 2) }
    private static let module = "model.layers.0.mlp.down_proj"
    private static let rows = 64
    private static let columns = 96

    private static func bytes(_ values: [Float]) -> [UInt8] {
        values.flatMap { GGUFBuilder.little($0.bitPattern) }
    }

    /// E4M3 codes of every value but NaN.
    private static let codes = (0..<rows * columns).map { index in
        let code = UInt8(truncatingIfNeeded: index &* 37)
        return code & 0x7F == 0x7F ? 0 : code
    }

    /// A value of E4M3, from its definition.
    private static func e4m3(_ code: UInt8) -> Float {
        let (exponent, mantissa) = (Int(code >> 3 & 15), Float(code & 7))
        let magnitude =
            exponent == 0
            ? mantissa * 0x1p-9
            : Float(sign: .plus, exponent: exponent - 10, significand: 8 + mantissa)
        return code & 0x80 == 0 ? magnitude : -magnitude
    }

    private static func fp8(
        scale shape: [Int],
        type: SafetensorsType = .f32,
        _ scales: [UInt8]
    ) -> [RawTensor] {
        [
            RawTensor(module + ".weight", .f8E4M3, [rows, columns], codes),
            RawTensor(module + ".weight_scale", type, shape, scales),
        ]
    }

    private static func group(_ weights: String, format: String = "float-quantized") -> String {
        #"{"quant_method": "compressed-tensors", "format": "\#(format)", "config_groups": "#
            + #"{"group_0": {"targets": ["re:.*layers\\.0\\.mlp\\.down"], "weights": \#(weights)}}}"#
    }

    private static func read(
        _ tensors: [RawTensor],
        _ quantization: String,
        files: [String: String] = [:]
    ) throws -> [Float] {
        let folder = try TemporaryFolder()
        try RawCheckpoint(replacing: [module], with: tensors, quantization: quantization, files)
            .write(to: folder)
        let model = try ModelLoader.load(path: folder.path, team: team)
        return Array(try model.parameters.elements(named: module + ".weight"))
    }

    private static func message(
        _ tensors: [RawTensor],
        _ quantization: String,
        files: [String: String] = [:]
    ) -> String {
        do {
            _ = try read(tensors, quantization, files: files)
            return "read"
        } catch {
            return "\(error)"
        }
    }

    @Test(arguments: [[128, 128], [32, 40], [1, 96], [64, 1]])
    func readsBlockFP8(block: [Int]) throws {
        let shape = [(Self.rows - 1) / block[0] + 1, (Self.columns - 1) / block[1] + 1]
        let scales = (0..<shape[0] * shape[1]).map { Float($0 + 1) / 3 }
        let values = try Self.read(
            Self.fp8(scale: shape, Self.bytes(scales)),
            Self.group(
                #"{"num_bits": 8, "type": "float", "strategy": "block", "block_structure": \#(block)}"#
            )
        )
        for row in 0..<Self.rows {
            for column in 0..<Self.columns {
                let index = row * Self.columns + column
                let scale = scales[row / block[0] * shape[1] + column / block[1]]
                #expect(values[index] == Self.e4m3(Self.codes[index]) * scale)
            }
        }
    }

    @Test(arguments: [[], [1]])
    func readsBFloat16ScalesOfTensors(shape: [Int]) throws {
        // 0.40625 is exact in bfloat16.
        let values = try Self.read(
            Self.fp8(scale: shape, type: .bf16, [0xD0, 0x3E]),
            Self.group(#"{"num_bits": 8, "type": "float", "strategy": "tensor"}"#)
        )
        #expect(values == Self.codes.map { Self.e4m3($0) * 0.40625 })
    }

    @Test(arguments: [[64, 1], [64]], [SafetensorsType.f32, .bf16])
    func readsScalesOfChannels(shape: [Int], type: SafetensorsType) throws {
        // Small integers are exact in either type.
        let scales = (0..<Self.rows).map { Float($0 + 1) }
        let bytes = Self.bytes(scales)
        let halves = bytes.indices.filter { $0 % 4 >= 2 }.map { bytes[$0] }
        let values = try Self.read(
            Self.fp8(scale: shape, type: type, type == .f32 ? bytes : halves),
            Self.group(#"{"num_bits": 8, "type": "float", "strategy": "channel"}"#)
        )
        let expected = Self.codes.enumerated().map {
            Self.e4m3($0.element) * scales[$0.offset / Self.columns]
        }
        #expect(values == expected)
    }

    @Test func appliesFactorsOfColumns() throws {
        let factors = (0..<Self.columns).map { Float($0 % 5) - 1.5 }
        let tensors =
            Self.fp8(scale: [], Self.bytes([0.5]))
            + [RawTensor(Self.module + ".pre_quant_scale", .f32, [96], Self.bytes(factors))]
        let layers = #"{"quantized_layers": {"\#(Self.module)": {"quant_algo": "FP8"}}, "#
        let values = try Self.read(
            tensors,
            layers + #""quant_method": "modelopt", "quant_algo": "MIXED_PRECISION"}"#
        )
        let expected = Self.codes.enumerated().map {
            Self.e4m3($0.element) * 0.5 * factors[$0.offset % Self.columns]
        }
        #expect(values == expected)
    }

    /// The lower-case name is what ModelOpt writes of weights alone.
    @Test(arguments: ["W4A8_MXFP4_FP8", "W4A16_MXFP4", "mxfp4"])
    func readsMXFP4OfModelOpt(algorithm: String) throws {
        let codes = (0..<64 * 48).map { UInt8(truncatingIfNeeded: $0 &* 41) }
        let scales = (0..<64 * 3).map { UInt8(120 + $0 % 9) }
        let tensors = [
            RawTensor(Self.module + ".weight", .u8, [64, 48], codes),
            RawTensor(Self.module + ".weight_scale", .u8, [64, 3], scales),
        ]
        let others = ["*self_attn*", "model.layers.1", "*_proj.x", "*up_proj", "*gate_proj"]
        let values = try Self.read(
            tensors,
            #"{"quant_method": "modelopt", "quant_algo": "\#(algorithm)", "ignore": \#(others)}"#
        )
        let magnitudes: [Float] = [0, 0.5, 1, 1.5, 2, 3, 4, 6]
        for (index, value) in values.enumerated() {
            let code = codes[index / 2] >> (index % 2 == 0 ? 0 : 4) & 15
            let scale = Float(sign: .plus, exponent: Int(scales[index / 32]) - 127, significand: 1)
            let magnitude = magnitudes[Int(code & 7)] * scale
            #expect(value == (code < 8 ? magnitude : -magnitude))
        }
    }

    @Test(arguments: [
        (#""sparsity_config": {"format": "sparse-24-bitmask"}"#, "sparsity sparse-24-bitmask"),
        (#""transform_config": {"config_groups": {"R1": {}}}"#, "transform_config is not read"),
        (
            #""config_groups": {"a": {"targets": ["re:(?!x)"], "weights": {}}}"#,
            "(?!x) is no regular"
        ),
        (#""config_groups": {"a": {"targets": "Linear", "weights": {}}}"#, "targets is a text"),
        (#""config_groups": []"#, "config_groups is a list, not an object"),
    ])
    func refusesWhatChangesTheMeaning(members: String, expected: String) {
        let message = Self.message([], #"{"quant_method": "compressed-tensors", \#(members)}"#)
        #expect(message.contains(expected), "\(message)")
        #expect(!message.contains("\n"))
    }

    private static func quark(_ layers: String) -> String {
        #"{"quant_method": "quark", "global_quant_config": {"weight": null}, "#
            + #""layer_quant_config": {\#(layers)}, "exclude": ["*up_proj"]}"#
    }

    private static func scheme(_ type: String) -> String {
        #"{"weight": {"dtype": "\#(type)", "qscheme": "per_group", "group_size": 32, "#
            + #""scale_format": "e8m0"}}"#
    }

    /// A name beats a glob, and a glob the scheme of all.
    @Test func quarkNamesLayersByGlob() throws {
        let codes = (0..<64 * 48).map { UInt8(truncatingIfNeeded: $0 &* 41) }
        let six = (0..<64 * 72).map { UInt8(truncatingIfNeeded: $0 &* 41) }
        let scales = (0..<64 * 3).map { UInt8(120 + $0 % 9) }
        func tensors(_ codes: [UInt8]) -> [RawTensor] {
            [
                RawTensor(Self.module + ".weight", .u8, [64, codes.count / 64], codes),
                RawTensor(Self.module + ".weight_scale", .u8, [64, 3], scales),
            ]
        }
        let glob = #""*layers.0.mlp.down*": "#
        let exact = #""\#(Self.module)": "#
        let cases = [
            (glob + Self.scheme("fp4"), codes, QuantizationFormat.mxfp4),
            (glob + Self.scheme("fp6_e3m2"), six, .mxfp6E3M2),
            (
                glob + Self.scheme("fp4") + ", " + exact + Self.scheme("fp6_e2m3"), six,
                .mxfp6E2M3
            ),
        ]
        for (layers, codes, format) in cases {
            let packed = try PackedTensor(
                format: format,
                rows: 64,
                columns: 96,
                codes: codes,
                scales: scales,
                floatScales: []
            )
            var expected = [Float](repeating: 0, count: 64 * 96)
            try expected.withUnsafeMutableBufferPointer {
                try BlockQuantizer.dequantize(packed, into: $0, team: Self.team)
            }
            #expect(try Self.read(tensors(codes), Self.quark(layers)) == expected)
        }
        let message = Self.message(tensors(codes), Self.quark(glob + Self.scheme("fp6_e2m3")))
        #expect(
            message.contains("\(Self.module).weight is U8 of shape [64, 48], not U8 of [64, 72]")
        )
    }

    @Test func namesBothSidesOfADisagreement() {
        let fp8 = Self.fp8(scale: [1], Self.bytes([1]))
        let cases: [([RawTensor], String, String)] = [
            (fp8, "null", ".weight_scale is there, but config.json has no quantization_config"),
            (fp8, Self.quark(""), "does not have \(Self.module) quantized"),
            (
                fp8, Self.quark(#""*down_proj": "# + Self.scheme("fp4")),
                "not U8 of [64, 48]; the configuration has \(Self.module) as fp4"
            ),
            (
                fp8, Self.group(#"{"num_bits": 4, "type": "float", "group_size": 32}"#),
                "these weights are mxfp4-pack-quantized, but the format is float-quantized"
            ),
            (
                fp8,
                Self.group(
                    #"{"num_bits": 4, "type": "float", "group_size": 32}"#,
                    format: "mxfp4-pack-quantized"
                ), ".weight_packed is missing"
            ),
            (
                fp8, Self.group(#"{"num_bits": 8, "type": "float", "strategy": "channel"}"#),
                ".weight_scale is F32 of shape [1], not F32 or BF16 or F16 of [64, 1] or [64]"
            ),
            (
                fp8, Self.group(#"{"num_bits": 8, "type": "int", "strategy": "tensor"}"#),
                "weights: are static 8-bit int by tensor; symmetric static floats are read"
            ),
            (
                Self.fp8(scale: [1], Self.bytes([.nan])),
                Self.group(#"{"num_bits": 8, "type": "float", "strategy": "tensor"}"#),
                "holds nan at 0"
            ),
            (
                fp8 + [RawTensor(Self.module + ".weight_zero_point", .u8, [1], [1])],
                Self.group(#"{"num_bits": 8, "type": "float", "strategy": "tensor"}"#),
                "weight_zero_point is not read"
            ),
        ]
        for (tensors, quantization, expected) in cases {
            let message = Self.message(tensors, quantization)
            #expect(message.contains(expected), "\(message)")
        }
    }

    @Test func readsAnOlderModelOptFolder() throws {
        let layers = #""quantized_layers": {"\#(Self.module)": {"quant_algo": "FP8"}}"#
        let file =
            #"{"quantization": {"quant_algo": "MIXED_PRECISION", "kv_cache_quant_algo": null, "#
            + layers + "}}"
        let tensors = Self.fp8(scale: [], Self.bytes([0.5]))
        let values = try Self.read(tensors, "null", files: ["hf_quant_config.json": file])
        #expect(values == Self.codes.map { Self.e4m3($0) * 0.5 })
        let message = Self.message(
            tensors,
            #"{"quant_method": "modelopt", "quant_algo": "FP8"}"#,
            files: ["hf_quant_config.json": file]
        )
        #expect(message.contains("quant_algo is MIXED_PRECISION, but FP8 in config.json"))
    }

    @Test(arguments: ["", "_proj."])
    func readsScalesOfTheCache(infix: String) throws {
        func tensors(_ count: Int) -> [RawTensor] {
            (0..<count).flatMap { layer in
                ["k", "v"].enumerated().map { index, part in
                    RawTensor(
                        "model.layers.\(layer).self_attn."
                            + (infix.isEmpty ? "" : part + infix) + "\(part)_scale",
                        .f32,
                        infix.isEmpty ? [1] : [],
                        Self.bytes([Float(1 + layer * 2 + index)])
                    )
                }
            }
        }
        let folder = try TemporaryFolder()
        try RawCheckpoint(with: tensors(2)).write(to: folder)
        let model = try ModelLoader.load(path: folder.path, team: Self.team)
        let expected = KeyValueScales(keys: [1, 3], values: [2, 4])
        #expect(model.keyValueScales == expected)
        #expect(LoadedModel(model, parameters: model.parameters).keyValueScales == expected)
        try RawCheckpoint(with: tensors(1)).write(to: folder)
        let error = #expect(throws: ModelFileError.self) {
            try ModelLoader.open(path: folder.path)
        }
        #expect(error?.message.contains("layers.1.self_attn.") == true)
    }
}
