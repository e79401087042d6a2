internal import Formats
internal import Foundation
internal import Kernels
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// What an export says of its inputs, keys and values is read back as it was asked for.
struct StoredActivationsTests {
    private static var team: ThreadTeam { ThreadTeam(threadCount: 1) }
    private static let up = "model.layers.1.mlp.up_proj"

    /// A format of weights and of inputs in a dialect, and what is to be found.
    struct Case: Sendable, CustomTestStringConvertible {
        let layout: HuggingFaceWriter.Format
        let weights: QuantizationFormat
        var inputs: QuantizationFormat?
        /// The inputs' largest magnitude; nil without calibration.
        var amax: Float?
        let found: QuantizationFormat?
        var scale: Float?

        var testDescription: String {
            "\(layout) \(weights.name) \(inputs?.name ?? "none") \(amax ?? -1)"
        }
    }

    private static func rounded(
        _ format: QuantizationFormat,
        _ mode: ScaleMode
    ) -> QuantizationFormat {
        var format = format
        format.scaleMode = mode
        return format
    }

    // amax 3: FP8's scale is 3 / 448, NVFP4's 3 / (6 · 448).
    static let cases = [
        Case(layout: .compressedTensors, weights: .mxfp4, found: nil),
        Case(layout: .compressedTensors, weights: .mxfp4, inputs: .mxfp4, found: .mxfp4),
        Case(
            layout: .compressedTensors,
            weights: .mxfp8,
            inputs: rounded(.mxfp8, .rceil),
            found: rounded(.mxfp8, .rceil)
        ),
        Case(
            layout: .compressedTensors,
            weights: .nvfp4,
            inputs: .nvfp4,
            amax: 3,
            found: .nvfp4,
            scale: 3.0 / 2688
        ),
        Case(layout: .compressedTensors, weights: .nvfp4, inputs: .nvfp4, found: .nvfp4),
        Case(
            layout: .compressedTensors,
            weights: .fp8PerTensor,
            inputs: .fp8PerTensor,
            amax: 3,
            found: .fp8PerTensor,
            scale: 3.0 / 448
        ),
        // Without a scale, compressed-tensors rounds by token.
        Case(
            layout: .compressedTensors,
            weights: .fp8PerTensor,
            inputs: .fp8PerTensor,
            found: .fp8PerChannel
        ),
        Case(
            layout: .compressedTensors,
            weights: .fp8PerChannel,
            inputs: .fp8PerChannel,
            found: .fp8PerChannel
        ),
        Case(
            layout: .modelopt,
            weights: .fp8PerTensor,
            amax: 3,
            found: .fp8PerTensor,
            scale: 3.0 / 448
        ),
        Case(
            layout: .modelopt,
            weights: .nvfp4,
            inputs: .nvfp4,
            amax: 3,
            found: .nvfp4,
            scale: 3.0 / 2688
        ),
        Case(layout: .modelopt, weights: .nvfp4, found: nil),
        Case(layout: .modelopt, weights: .fp8PerChannel, found: .fp8PerChannel),
        Case(layout: .modelopt, weights: .mxfp8, found: rounded(.mxfp8, .rceil)),
        // Quark always has inputs rounded, which vLLM demands.
        Case(layout: .quark, weights: .mxfp4, found: .mxfp4),
        Case(
            layout: .quark,
            weights: rounded(.mxfp6E3M2, .even),
            found: rounded(.mxfp6E3M2, .even)
        ),
    ]

    @Test(arguments: cases)
    func exportsReadBack(_ sample: Case) throws {
        let folder = try TemporaryFolder()
        let model = try QuantizedModel(
            rounding: TinyModel.make(),
            recipe: QuantizationRecipe(defaultFormat: sample.weights),
            team: Self.team
        )
        var description = model.description
        description.activations = sample.inputs
        for module in description.formats.keys { description.inputAmax[module] = sample.amax }
        _ = try model.write(
            to: HuggingFaceWriter(description, format: sample.layout, folder: folder.path)
        )
        let read = try ModelLoader.load(path: folder.path, team: Self.team)
        let inputs = try read.activations.complete().inputs
        #expect(inputs.count == (sample.found == nil ? 0 : 14))
        #expect(inputs[Self.up]?.format == sample.found)
        if let scale = sample.scale {
            let found = try #require(inputs[Self.up]?.scale)
            // compressed-tensors stores NVFP4's reciprocal: two divisions in FP32.
            #expect(abs(found - scale) <= 0x1p-22 * scale)
        } else {
            #expect(inputs[Self.up]?.scale == nil)
        }
    }

    @Test func scalesOfTheCacheAreAmongThem() throws {
        let folder = try TemporaryFolder()
        let model = try QuantizedModel(
            rounding: TinyModel.make(),
            recipe: QuantizationRecipe(defaultFormat: .mxfp4),
            team: Self.team
        )
        var description = model.description
        (description.keyAmax, description.valueAmax) = ([448, 896], [44.8, 448])
        _ = try model.write(
            to: HuggingFaceWriter(
                description,
                format: .compressedTensors,
                folder: folder.path
            )
        )
        let found = try ModelLoader.open(path: folder.path).activations.complete()
        #expect(found.keyScales == [1, 2] && found.valueScales == [44.8 / 448, 1])
        #expect(found.cacheFormat == .fp8 && found.inputFormatName == "none")
    }

    /// ModelOpt's `MIXED_PRECISION` says of each layer by itself how its inputs are rounded.
    @Test(arguments: [true, false])
    func mixedPrecisionHasInputsByLayer(roundsInputs: Bool) throws {
        let folder = try TemporaryFolder()
        let rule = QuantizationRecipe.Rule(pattern: ModulePattern("*mlp*"), format: .fp8PerTensor)
        let model = try QuantizedModel(
            rounding: TinyModel.make(),
            recipe: QuantizationRecipe(defaultFormat: .nvfp4, rules: [rule]),
            team: Self.team
        )
        var description = model.description
        description.activations = roundsInputs ? .nvfp4 : nil
        for module in description.formats.keys { description.inputAmax[module] = 3 }
        _ = try model.write(
            to: HuggingFaceWriter(description, format: .modelopt, folder: folder.path)
        )
        let inputs = try ModelLoader.open(path: folder.path).activations.complete().inputs
        // Of FP8 servers round the inputs whatever a job asks for.
        #expect(inputs[Self.up] == .init(format: .fp8PerTensor, scale: 3.0 / 448))
        let query = inputs["model.layers.0.self_attn.q_proj"]
        #expect(query == (roundsInputs ? .init(format: .nvfp4, scale: 3.0 / 2688) : nil))
        #expect(inputs.count == (roundsInputs ? 14 : 6))
    }

    /// A folder of MXFP4 that a dialect wrote, with a text of a file in it replaced.
    private static func altered(
        _ layout: HuggingFaceWriter.Format,
        _ format: QuantizationFormat = .mxfp4,
        file: String = "config.json",
        replacing text: String,
        with other: String,
        _ change: (inout ExportDescription) -> Void = { _ in }
    ) throws -> any ModelSource {
        let folder = try TemporaryFolder()
        let model = try QuantizedModel(
            rounding: TinyModel.make(),
            recipe: QuantizationRecipe(defaultFormat: format),
            team: team
        )
        var description = model.description
        change(&description)
        _ = try model.write(
            to: HuggingFaceWriter(description, format: layout, folder: folder.path)
        )
        let path = "\(folder.path)/\(file)"
        let bytes = try Data(contentsOf: URL(filePath: path))
        var altered = bytes
        while let place = altered.firstRange(of: Data(text.utf8)) {
            altered.replaceSubrange(place, with: Data(other.utf8))
        }
        try #require(altered != bytes, "\(text) is not in \(file)")
        try altered.write(to: URL(filePath: path))
        return try ModelLoader.open(path: folder.path)
    }

    /// A word that is not known is no default.
    @Test func anUnknownChoiceOfScalesIsRefusedByName() throws {
        let error = #expect(throws: ModelFileError.self) {
            try Self.altered(
                .quark,
                replacing: #""scale_calculation_mode" : "floor""#,
                with: #""scale_calculation_mode" : "flour""#
            )
        }
        #expect(error?.message.contains(#"scale_calculation_mode is "flour""#) == true)
    }

    @Test func roundingRulesOfALaterVersionAreAnObstacle() throws {
        // The metadata stands in the header, whose length stays.
        let found = try Self.altered(
            .compressedTensors,
            file: "model.safetensors",
            replacing: #"\"scale_mode\":\"floor\""#,
            with: #"\"scale_mode\":\"flour\""#
        ) { $0.activations = .mxfp4 }
        let obstacle = found.activations.obstacle
        #expect(obstacle?.contains(#"qat.activations: scale_mode is "flour""#) == true)
    }

    /// Scales of the cache that are not those of FP8 are no FP8 scales.
    @Test func aCacheThatIsNotFP8IsAnObstacle() throws {
        func addCache(_ description: inout ExportDescription) {
            (description.keyAmax, description.valueAmax) = ([448, 896], [44.8, 448])
        }
        let cases: [(HuggingFaceWriter.Format, QuantizationFormat, String, String, String)] = [
            (
                .compressedTensors, .mxfp4, #""strategy" : "tensor""#,
                #""strategy" : "attn_head""#, "by attn_head"
            ),
            (.modelopt, .nvfp4, #""num_bits" : 8"#, #""num_bits" : 4"#, "4-bit float"),
            (.quark, .mxfp4, #""fp8_e4m3""#, #""int8""#, "output_tensors is int8"),
        ]
        for (layout, format, text, other, part) in cases {
            let source = try Self.altered(
                layout,
                format,
                replacing: text,
                with: other,
                addCache
            )
            let obstacle = source.activations.obstacle
            #expect(obstacle?.contains(part) == true, "\(obstacle ?? "none")")
        }
    }

    /// A folder whose `up_proj` is E4M3 under a config group with these inputs.
    private static func activations(
        _ inputs: String,
        _ tensors: [RawTensor] = []
    ) throws -> StoredActivations {
        let folder = try TemporaryFolder()
        let one = withUnsafeBytes(of: Float(1).bitPattern.littleEndian) { Array($0) }
        try RawCheckpoint(
            replacing: [up],
            with: [
                RawTensor(up + ".weight", .f8E4M3, [96, 64], [UInt8](repeating: 8, count: 6144)),
                RawTensor(up + ".weight_scale", .f32, [1], one),
            ] + tensors,
            quantization: """
                {"quant_method": "compressed-tensors", "format": "float-quantized",
                 "config_groups": {"group_0": {"targets": ["\(up)"],
                  "weights": {"num_bits": 8, "type": "float", "strategy": "tensor"},
                  "input_activations": \(inputs)}}}
                """
        ).write(to: folder)
        return try ModelLoader.load(path: folder.path, team: team).activations
    }

    @Test func whatIsNotComputedHereIsSaidAndTheWeightsAreRead() throws {
        for (inputs, part) in [
            (
                #"{"num_bits": 8, "type": "float", "strategy": "group", "group_size": 128, "dynamic": true}"#,
                "dynamic 8-bit float by group of 128"
            ),
            (#"{"num_bits": 8, "type": "int", "strategy": "token", "dynamic": true}"#, "8-bit int"),
            (
                #"{"num_bits": 8, "type": "float", "strategy": "tensor", "dynamic": false}"#,
                "tensor \(Self.up).input_scale is missing"
            ),
        ] {
            let found = try Self.activations(inputs)
            #expect(found.obstacle?.contains(part) == true, "\(found.obstacle ?? "none")")
            #expect(throws: ModelFileError.self) { try found.complete() }
        }
    }

    @Test(arguments: [Float(0), -1, .nan])
    func aScaleThatIsNoneIsRefused(_ value: Float) throws {
        let bytes = withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) }
        let error = #expect(throws: ModelFileError.self) {
            try Self.activations(
                #"{"num_bits": 8, "type": "float", "strategy": "tensor", "dynamic": false}"#,
                [RawTensor(Self.up + ".input_scale", .f32, [1], bytes)]
            )
        }
        #expect(error?.message.contains(Self.up + ".input_scale") == true)
    }

    @Test(
        arguments: [
            ("model.layers.1.mlp.up_proj.weight", Float.infinity, "holds inf at [0, 37]"),
            ("model.layers.0.input_layernorm.weight", .nan, "holds nan at [37]"),
            ("model.embed_tokens.weight", .nan, "holds nan at [0, 37]"),
        ]
    )
    func aWeightThatIsNoNumberIsRefusedByName(
        name: String,
        value: Float,
        place: String
    ) throws {
        let folder = try TemporaryFolder()
        let model = try TinyModel.make()
        try model.parameters.elements(named: name)[37] = value
        let plain = QuantizedModel(model: model, stored: [:])
        _ = try plain.write(
            to: HuggingFaceWriter(plain.description, format: .f32, folder: folder.path)
        )
        let error = #expect(throws: ModelFileError.self) {
            try ModelLoader.load(path: folder.path, team: Self.team)
        }
        let message = try #require(error?.message)
        #expect(message.contains("tensor \(name) \(place)"), "\(message)")
        // Row by row, as jobs without calibration read.
        let source = try ModelLoader.open(path: folder.path)
        let entry = try #require(model.parameters.layout[name])
        let row = AlignedBuffer<Float>(count: entry.columns)
        let output = UnsafeMutableBufferPointer(start: row.pointer, count: entry.columns)
        let second = #expect(throws: ModelFileError.self) {
            try source.readFinite(entry, rows: 0..<1, into: output, team: Self.team)
        }
        #expect(second?.message == message)
    }
}
