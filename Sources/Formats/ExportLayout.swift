/// A form in which a model is written: the one list of them, from job files to writers.
public enum ExportLayout: String, Sendable, Codable, CaseIterable {
    /// A Hugging Face folder with packed weights, for vLLM.
    case compressedTensors = "compressed-tensors"
    /// A GGUF file, for llama.cpp.
    case gguf
    /// A Hugging Face folder as NVIDIA ModelOpt writes it, for TensorRT-LLM.
    case modelopt
    /// A Hugging Face folder as AMD Quark writes it, for vLLM's FP6.
    case quark
    /// A Hugging Face folder in BF16.
    case bf16
    /// A Hugging Face folder in FP32.
    case f32

    /// Those that job files may ask for; FP32 only stands in for others.
    public static let offered = allCases.filter { layout in
        switch layout {
        case .compressedTensors, .gguf, .modelopt, .quark, .bf16: true
        case .f32: false
        }
    }

    /// The plain form that holds the values of weights in some formats exactly.
    ///
    /// BF16 has the exponents of FP32 and seven bits after the point, enough for elements under
    /// power-of-two scales; products with FP32 scales do not fit.
    public static func exact(
        for formats: some Sequence<QuantizationFormat>
    ) -> ExportLayout {
        formats.allSatisfy { $0.scaleKind == .e8m0 } ? .bf16 : .f32
    }
}
