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

    /// Who loads it, as what follows its name; empty of what everybody does.
    public var readers: String {
        switch self {
        case .compressedTensors: " for vLLM"
        case .gguf: " for llama.cpp"
        case .modelopt: " for TensorRT-LLM"
        case .quark: " for vLLM's FP6"
        case .bf16, .f32: ""
        }
    }

    /// The plain form that holds the values of weights in some formats exactly.
    public static func exact(
        for formats: some Sequence<QuantizationFormat>
    ) -> ExportLayout {
        formats.allSatisfy(\.isExactInBF16) ? .bf16 : .f32
    }
}
