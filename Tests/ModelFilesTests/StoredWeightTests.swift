internal import Foundation
internal import Kernels
internal import Quantization
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// What other tools store, and we do not write.
struct StoredWeightTests {
    private static let team = ThreadTeam(threadCount: 1)
    private static let module = "model.layers.0.mlp.up_proj"

    /// A folder whose `up_proj` of layer 0, [96, 64], is stored as `tensors`; all else is plain.
    private func folder(
        _ tensors: [(name: String, type: SafetensorsType, shape: [Int], bytes: [UInt8])],
        quantization: [String: Any]? = ["quant_method": "modelopt"]
    ) throws -> (TemporaryFolder, any ModelSource) {
        let folder = try TemporaryFolder()
        let model = try TinyModel.make()
        let plain = QuantizedModel(model: model, stored: [:])
        _ = try plain.write(
            to: HuggingFaceWriter(plain.description, format: .f32, folder: folder.path)
        )
        let others = model.parameters.layout.entries.filter { $0.module != Self.module }
        let writer = try SafetensorsWriter(
            path: folder.path + "/model.safetensors",
            tensors: others.map { .init(name: $0.name, type: .f32, shape: $0.shape) }
                + tensors.map {
                    .init(name: "\(Self.module).\($0.name)", type: $0.type, shape: $0.shape)
                }
        )
        for entry in others {
            let values = UnsafeRawBufferPointer(model.parameters.elements(of: entry))
            try writer.write(entry.name, values)
        }
        for tensor in tensors { try writer.write("\(Self.module).\(tensor.name)", tensor.bytes) }
        try writer.finish()
        let config = try HuggingFaceConfiguration.render(
            model.configuration,
            dtype: "bfloat16",
            quantization: quantization
        )
        _ = try folder.write(config, "config.json")
        return (folder, try ModelLoader.open(path: folder.path))
    }

    private func values(_ source: any ModelSource) throws -> [Float] {
        let layout = ParameterLayout(configuration: source.configuration)
        let entry = layout.entry(of: .up, layer: 0)
        let buffer = AlignedBuffer<Float>(count: entry.count)
        try source.read(entry, into: buffer.elements, team: Self.team)
        return Array(buffer.elements)
    }

    private static func floats(_ values: [Float]) -> [UInt8] {
        values.flatMap { value in
            withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) }
        }
    }

    /// 0x38 is 1 in E4M3, 0x40 is 2.
    private static let codes = (0..<96 * 64).map { UInt8($0 % 2 == 0 ? 0x38 : 0x40) }

    @Test func readsFP8UnderScalesOfBlocks() throws {
        // Two by two blocks of 48 by 32.
        let (_, source) = try folder([
            ("weight", .f8E4M3, [96, 64], Self.codes),
            ("weight_scale", .f32, [2, 2], Self.floats([1, 10, 100, 1000])),
        ])
        let values = try values(source)
        #expect(values[0] == 1 && values[1] == 2)
        #expect(values[32] == 10 && values[33] == 20)
        #expect(values[48 * 64] == 100 && values[95 * 64 + 63] == 2000)
    }

    @Test func readsScalesInBF16() throws {
        let bytes = HalfPrecision.bfloat(0.5)
        let (_, source) = try folder([
            ("weight", .f8E4M3, [96, 64], Self.codes),
            ("weight_scale", .bf16, [], [UInt8(bytes & 0xFF), UInt8(bytes >> 8)]),
        ])
        #expect(try values(source).prefix(4) == [0.5, 1, 0.5, 1])
    }

    @Test func foldsTheScalesOfInputsIntoColumns() throws {
        let factors = (0..<64).map { Float($0 + 1) }
        let (_, source) = try folder([
            ("weight", .f8E4M3, [96, 64], Self.codes),
            ("weight_scale", .f32, [], Self.floats([1])),
            ("pre_quant_scale", .f32, [64], Self.floats(factors)),
        ])
        #expect(try values(source).prefix(4) == [1, 4, 3, 8])
    }

    @Test func readsRowsAlone() throws {
        let scales = (0..<96).map { Float($0 + 1) }
        let (_, source) = try folder([
            ("weight", .f8E4M3, [96, 64], Self.codes),
            ("weight_scale", .f32, [96], Self.floats(scales)),
        ])
        let entry = ParameterLayout(configuration: source.configuration).entry(of: .up, layer: 0)
        let buffer = AlignedBuffer<Float>(count: 2 * 64)
        try source.read(entry, rows: 10..<12, into: buffer.elements, team: Self.team)
        #expect(buffer.pointer[0] == 11 && buffer.pointer[65] == 24)
    }

    @Test func quarkPatternsAndNames() throws {
        func config(_ layers: [String: Any]) -> [String: Any] {
            [
                "quant_method": "quark", "layer_quant_config": layers,
                "global_quant_config": ["weight": ["dtype": "fp4"]],
            ]
        }
        let six: [String: Any] = ["weight": ["dtype": "fp6_e3m2"]]
        let tensors: [(String, SafetensorsType, [Int], [UInt8])] = [
            ("weight", .u8, [96, 48], [UInt8](repeating: 0, count: 96 * 48)),
            ("weight_scale", .u8, [96, 2], [UInt8](repeating: 127, count: 96 * 2)),
        ]
        for pattern in [Self.module, "*up_proj", "*mlp*"] {
            let (_, source) = try folder(tensors, quantization: config([pattern: six]))
            #expect(try values(source).allSatisfy { $0 == 0 })
        }
        let error = #expect(throws: ModelFileError.self) {
            try folder(tensors, quantization: config(["*down_proj": six]))
        }
        #expect(
            error?.message.contains("up_proj.weight has the shape [96, 48], not [96, 32]") == true
        )
    }

    @Test(arguments: [
        ([96, 64], [3, 0], "fits no scales of [96, 64]"), ([96, 64], [97, 1], "fits no scales"),
        ([64, 96], [1], "has the shape [64, 96], not [96, 64]"),
    ])
    func refusesWhatDoesNotFit(codes: [Int], scales: [Int], message: String) throws {
        let count = scales.reduce(1, *)
        let error = #expect(throws: ModelFileError.self) {
            try folder([
                ("weight", .f8E4M3, codes, Self.codes),
                (
                    "weight_scale", .f32, scales,
                    Self.floats([Float](repeating: 1, count: count))
                ),
            ])
        }
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }

    @Test func fp8WithoutScalesIsRefused() {
        let error = #expect(throws: ModelFileError.self) {
            try folder([("weight", .f8E4M3, [96, 64], Self.codes)])
        }
        #expect(error?.message.contains("F8_E4M3 and no \(Self.module).weight_scale") == true)
    }
}
