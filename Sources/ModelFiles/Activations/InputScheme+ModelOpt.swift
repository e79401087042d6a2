internal import Formats

extension InputScheme {
    /// What ModelOpt's `quant_algo` of a module says of its inputs.
    ///
    /// - SeeAlso: NVIDIA/Model-Optimizer, `modelopt/torch/export/quant_utils.py`.
    static func modelOpt(_ algorithm: String) -> InputScheme {
        switch algorithm {
        case "FP8", "W4A8_NVFP4_FP8":
            return .stored(.fp8PerTensor, suffix: ".input_scale", isReciprocal: false)
        case "NVFP4", "NVFP4_AWQ":
            return .stored(.nvfp4, suffix: ".input_scale", isReciprocal: false)
        case "W4A8_MXFP4_FP8": return .storedIfPresent(.fp8PerTensor, suffix: ".input_scale")
        case "FP8_PER_CHANNEL_PER_TOKEN": return .dynamic(.fp8PerChannel)
        case "MXFP8", "W4A8_MXFP4_MXFP8":
            var format = QuantizationFormat.mxfp8
            format.scaleMode = .rceil
            return .dynamic(format)
        case "W4A16_NVFP4", "W4A16_MXFP4", "mxfp4": return .plain
        default: return .unknown("the inputs of quant_algo \(algorithm) are not computed here")
        }
    }
}
