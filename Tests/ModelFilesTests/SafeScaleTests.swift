internal import Formats
internal import Foundation
internal import Kernels
internal import Quantization
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// No scale that is written is zero, subnormal, infinite or NaN, whatever finite weights there are,
/// and the weights are what their format can hold of them.
struct SafeScaleTests {
    /// Weights that tempt writers to such scales.
    enum Weights: String, CaseIterable, Sendable {
        case zeros, zeroBlock, zeroRow, small, smallest, large, largest, mixed

        /// A value, `x` being an ordinary one.
        func value(_ x: Float, row: Int, column: Int) -> Float {
            let sign: Float = x < 0 ? -1 : 1
            return switch self {
            case .zeros: 0
            case .zeroBlock: (32..<64).contains(column) ? 0 : x
            case .zeroRow: row % 3 == 1 ? 0 : x
            case .small: sign * 1e-38 * (Float(column % 5) / 4)
            case .smallest: sign * (column % 2 == 0 ? .leastNonzeroMagnitude : 0)
            case .large: sign * 3e38 * (Float(column % 5) / 4)
            case .largest: sign * (column % 7 == 0 ? .greatestFiniteMagnitude : 1)
            case .mixed: sign * [0, .leastNonzeroMagnitude, 1e-38, 1, 3e38][row % 5]
            }
        }
    }

    struct Export: Sendable, CustomTestStringConvertible {
        /// Nil of GGUF.
        let layout: HuggingFaceWriter.Format?
        let format: QuantizationFormat

        var testDescription: String { "\(layout?.layout.rawValue ?? "gguf") \(format.name)" }
    }

    private static var team: ThreadTeam { ThreadTeam(threadCount: 2) }

    static let exports: [Export] = {
        let ct: [QuantizationFormat] = [.mxfp4, .nvfp4, .mxfp8, .fp8PerTensor, .fp8PerChannel]
        let gguf: [QuantizationFormat] = [.mxfp4, .nvfp4, .mxint8, .mxfp8, .fp8PerChannel]
        return ct.map { Export(layout: .compressedTensors, format: $0) }
            + ct.dropFirst().map { Export(layout: .modelopt, format: $0) }
            + [.mxfp4, .mxfp6E2M3, .mxfp6E3M2].map { Export(layout: .quark, format: $0) }
            + gguf.map { Export(layout: nil, format: $0) }
    }()

    /// A tiny model with such weights, and what it was before it was rounded.
    private static func quantized(
        _ weights: Weights,
        _ format: QuantizationFormat
    ) throws -> (model: QuantizedModel, original: Parameters) {
        let model = try TinyModel.make(tied: false)
        for entry in model.parameters.layout.entries where entry.module.hasSuffix("_proj") {
            let values = model.parameters.elements(of: entry)
            for index in 0..<entry.count {
                let (row, column) = index.quotientAndRemainder(dividingBy: entry.columns)
                values[index] = weights.value(values[index], row: row, column: column)
            }
        }
        let original = try model.parameters.copy()
        let quantized = try QuantizedModel(
            rounding: model,
            recipe: QuantizationRecipe(defaultFormat: format),
            team: team
        )
        return (quantized, original)
    }

    /// Ranges of inputs and of the cache that are as hard.
    private static func description(_ model: QuantizedModel, _ amax: Float) -> ExportDescription {
        var description = model.description
        let format = model.stored.values.first?.format
        description.activations = format
        description.inputAmax = description.formats.mapValues { _ in amax }
        description.keyAmax = [amax, 0]
        description.valueAmax = [0, amax]
        return description
    }

    @Test(arguments: exports, Weights.allCases)
    func scalesAreSafeAndWeightsAreRight(export: Export, weights: Weights) throws {
        let folder = try TemporaryFolder()
        let (model, original) = try Self.quantized(weights, export.format)
        for amax: Float in [0, .leastNonzeroMagnitude, 1e-38, 3e38] {
            let description = Self.description(model, amax)
            if let layout = export.layout {
                let writer = try HuggingFaceWriter(
                    description,
                    format: layout,
                    folder: folder.path
                )
                _ = try model.write(to: writer)
                try Self.expectSafeTensors(folder.path)
            } else {
                _ = try model.write(to: GGUFWriter(description, folder: folder.path))
                try Self.expectSafeSidecars(folder.path)
            }
        }
        let findings = CheckpointLint.lint(path: folder.path)
        #expect(findings.filter { $0.severity == .error } == [])
        let read = try ModelLoader.load(path: folder.path, team: Self.team)
        try Self.expectClose(read.parameters, original, export.format, model.stored)
        if export.layout != nil {
            let scales = try #require(read.keyValueScales)
            #expect((scales.keys + scales.values).filter { !$0.isNormal } == [])
        }
    }

    /// Every FP32 scale is normal and positive, no byte is NaN, and no E4M3 scale zero.
    private static func expectSafeTensors(_ folder: String) throws {
        let file = try SafetensorsFile(path: folder + "/model.safetensors")
        try withExtendedLifetime(file) {
            var count = 0
            for tensor in file.tensors.values where tensor.name.contains("scale") {
                count += 1
                switch tensor.type {
                case .f32:
                    let numbers = (0..<tensor.count).map { ValueLint.float(tensor.bytes, $0) }
                    #expect(numbers.allSatisfy { $0.isNormal && $0 > 0 }, "\(tensor.name)")
                case .f8E4M3:
                    #expect(tensor.bytes.allSatisfy { (1..<0x7F).contains($0) }, "\(tensor.name)")
                default: #expect(tensor.bytes.allSatisfy { $0 < 0xFF }, "\(tensor.name)")
                }
            }
            try #require(count > 14)
        }
    }

    private static func expectSafeSidecars(_ folder: String) throws {
        let file = try GGUFFile(path: folder + "/model.gguf")
        withExtendedLifetime(file) {
            for tensor in file.tensors.values {
                if tensor.name.hasSuffix(".scale") {
                    let scale = ValueLint.float(tensor.bytes, 0)
                    #expect(scale.isNormal && scale > 0, "\(tensor.name)")
                } else if tensor.type == .nvfp4 {
                    for block in stride(from: 0, to: tensor.bytes.count, by: 36) {
                        let bytes = tensor.bytes[block..<block + 4]
                        #expect(bytes.allSatisfy { (1..<0x7F).contains($0) }, "\(tensor.name)")
                    }
                }
            }
        }
    }

    /// Values are finite, zeros are zeros, and no value is further off than a step of its block.
    private static func expectClose(
        _ read: Parameters,
        _ original: Parameters,
        _ format: QuantizationFormat,
        _ stored: [String: PackedTensor]
    ) throws {
        for entry in read.layout.entries where entry.module.hasSuffix("_proj") {
            let packed = try #require(stored[entry.name])
            let span = format.scaleKind.hasBlocks ? format.blockSize : entry.columns
            let values = original.elements(of: entry)
            let found = read.elements(of: entry)
            let whole = values.reduce(0) { max($0, abs($1)) }
            for start in stride(from: 0, to: entry.count, by: span) {
                let block = start..<start + span
                let amax =
                    format.scaleKind == .perTensor
                    ? whole : block.reduce(0) { max($0, abs(values[$1])) }
                // Half of the least there is under the least scale: what rounds to zero at most.
                let least = leastStep(format, packed.globalScale ?? Float.leastNormalMagnitude)
                let limit = Double(amax) * 0.26 + least
                let isClose = block.allSatisfy { index in
                    found[index].isFinite
                        && abs(Double(found[index]) - Double(values[index])) <= limit
                        && (values[index] != 0 || found[index] == 0)
                }
                #expect(isClose, "\(entry.name) at \(start): amax \(amax)")
            }
        }
    }

    private static func leastStep(_ format: QuantizationFormat, _ scale: Float) -> Double {
        switch format.scaleKind {
        // 2^-6 of INT8, 2^-9 of E4M3, under 2^-127, of which BF16 holds multiples of 2^-133.
        case .e8m0: 0x1p-133
        case .e4m3TwoLevel: 0x1p-11 * Double(scale)
        case .perTensor, .perChannel: 0x1p-10 * Double(scale)
        }
    }

    @Test(arguments: [Float.nan, .infinity])
    func rangesThatAreNotFiniteAreObstacles(amax: Float) throws {
        let (model, _) = try Self.quantized(.zeroBlock, .nvfp4)
        let description = Self.description(model, amax)
        let layout = HuggingFaceWriter.Format.modelopt
        #expect(layout.obstacle(to: description)?.contains("not finite") == true)
    }
}
