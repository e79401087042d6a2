internal import Formats
internal import Kernels
internal import Transformer

@testable internal import ModelFiles

/// Checkpoints that the writers make.
enum LintSample: CaseIterable {
    case bf16, f32, sharded
    case compressedMXFP4, compressedNVFP4, compressedNVFP4Inputs, compressedMXFP8
    case compressedFP8, compressedFP8Inputs, compressedFP8Channel, compressedMixed
    case modeloptNVFP4, modeloptNVFP4Inputs, modeloptMXFP8, modeloptFP8, modeloptFP8Channel
    case modeloptMixed, quarkMXFP4, quarkE2M3, quarkE3M2, quarkMixed, quarkCache
    case quarkMixedCache
    case ggufMXFP4, ggufNVFP4, ggufINT8, ggufMXFP8, ggufFP8Channel, ggufPlain

    func write(to folder: String) throws {
        switch self {
        case .bf16: try Self.export(nil, as: .bf16, to: folder)
        case .f32: try Self.export(nil, as: .f32, to: folder, tied: false)
        case .sharded: try Self.export("nvfp4", as: .compressedTensors, to: folder, shards: true)
        case .compressedMXFP4: try Self.export("mxfp4", as: .compressedTensors, to: folder)
        case .compressedNVFP4:
            try Self.export("nvfp4", as: .compressedTensors, to: folder, hasCache: true)
        case .compressedNVFP4Inputs:
            try Self.export("nvfp4", as: .compressedTensors, to: folder, inputs: "nvfp4")
        case .compressedMXFP8: try Self.export("mxfp8", as: .compressedTensors, to: folder)
        case .compressedFP8: try Self.export("fp8_per_tensor", as: .compressedTensors, to: folder)
        case .compressedFP8Inputs:
            try Self.export(
                "fp8_per_tensor",
                as: .compressedTensors,
                to: folder,
                inputs: "fp8_per_tensor"
            )
        case .compressedFP8Channel:
            try Self.export(
                "fp8_per_channel",
                as: .compressedTensors,
                to: folder,
                inputs: "fp8_per_channel"
            )
        case .compressedMixed:
            try Self.export("mxfp4", as: .compressedTensors, to: folder, attention: "mxfp8")
        case .modeloptNVFP4: try Self.export("nvfp4", as: .modelopt, to: folder, hasCache: true)
        case .modeloptNVFP4Inputs:
            try Self.export("nvfp4", as: .modelopt, to: folder, inputs: "nvfp4", hasCache: true)
        case .modeloptMXFP8: try Self.export("mxfp8", as: .modelopt, to: folder)
        case .modeloptFP8:
            try Self.export("fp8_per_tensor", as: .modelopt, to: folder, inputs: "fp8_per_tensor")
        case .modeloptFP8Channel: try Self.export("fp8_per_channel", as: .modelopt, to: folder)
        case .modeloptMixed:
            try Self.export("nvfp4", as: .modelopt, to: folder, attention: "mxfp8")
        case .quarkMXFP4: try Self.export("mxfp4", as: .quark, to: folder)
        case .quarkE2M3: try Self.export("mxfp6_e2m3", as: .quark, to: folder)
        case .quarkE3M2: try Self.export("mxfp6_e3m2", as: .quark, to: folder)
        case .quarkMixed: try Self.export("mxfp4", as: .quark, to: folder, attention: "mxfp6_e2m3")
        case .quarkCache: try Self.export("mxfp4", as: .quark, to: folder, hasCache: true)
        case .quarkMixedCache:
            try Self.export(
                "mxfp4",
                as: .quark,
                to: folder,
                attention: "mxfp6_e2m3",
                hasCache: true
            )
        case .ggufMXFP4: try Self.export("mxfp4", as: nil, to: folder)
        case .ggufNVFP4: try Self.export("nvfp4", as: nil, to: folder, tied: false)
        case .ggufINT8: try Self.export("mxint8", as: nil, to: folder)
        case .ggufMXFP8: try Self.export("mxfp8", as: nil, to: folder)
        case .ggufFP8Channel: try Self.export("fp8_per_channel", as: nil, to: folder)
        case .ggufPlain: try Self.export(nil, as: nil, to: folder, tied: false)
        }
    }

    /// Writes a tiny model, as GGUF if `format` is nil.
    ///
    /// The last `down_proj` stays as it is.
    static func export(
        _ algorithm: String?,
        as format: HuggingFaceWriter.Format?,
        to folder: String,
        tied: Bool = true,
        attention: String? = nil,
        inputs: String? = nil,
        hasCache: Bool = false,
        shards: Bool = false
    ) throws {
        var rules = [QuantizationRecipe.Rule(pattern: "*layers.1.mlp.down_proj", format: nil)]
        if let attention {
            let format = QuantizationFormat(algorithm: attention)
            rules.append(.init(pattern: "*self_attn*", format: format))
        }
        let model = try TinyModel.make(tied: tied)
        var quantized = QuantizedModel(model: model, stored: [:])
        if let algorithm, format?.dialect != nil || format == nil,
            let weight = QuantizationFormat(algorithm: algorithm)
        {
            quantized = try QuantizedModel(
                rounding: model,
                recipe: QuantizationRecipe(defaultFormat: weight, rules: rules),
                team: ThreadTeam(threadCount: 2)
            )
        }
        var description = quantized.description
        if shards { description.shardByteCount = 20_000 }
        if let inputs {
            description.activations = QuantizationFormat(algorithm: inputs)
            description.inputAmax = description.formats.mapValues { _ in 3 }
        }
        if hasCache {
            description.keyAmax = [4, 5]
            description.valueAmax = [2, 3]
        }
        let writer: any ModelWriter =
            if let format {
                try HuggingFaceWriter(description, format: format, folder: folder)
            } else {
                try GGUFWriter(description, folder: folder)
            }
        _ = try quantized.write(to: writer)
    }
}
