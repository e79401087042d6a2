public import Formats

extension HuggingFaceWriter {
    /// How a folder stores a model.
    public enum Format: Sendable, CaseIterable {
        /// Everything in BF16.
        case bf16
        /// Everything in FP32.
        case f32
        /// Packed as compressed-tensors has it, what is not quantized in BF16.
        case compressedTensors
        /// Packed as NVIDIA ModelOpt has it.
        case modelopt
        /// Packed as AMD Quark has it.
        case quark

        /// Its name among all forms of export.
        public var layout: ExportLayout {
            switch self {
            case .bf16: .bf16
            case .f32: .f32
            case .compressedTensors: .compressedTensors
            case .modelopt: .modelopt
            case .quark: .quark
            }
        }

        /// How quantized modules are stored; nil of plain formats.
        var dialect: (any CheckpointDialect)? {
            switch self {
            case .bf16, .f32: nil
            case .compressedTensors: CompressedTensors()
            case .modelopt: ModelOpt()
            case .quark: Quark()
            }
        }

        /// The type of what is not quantized.
        var plainType: SafetensorsType { self == .f32 ? .f32 : .bf16 }

        /// Why a model cannot be stored in this format, or nil if it can.
        public func obstacle(to description: ExportDescription) -> String? {
            dialect?.obstacles(to: description.contents).first?.description
        }
    }
}

extension ExportLayout {
    /// How its folder stores a model; nil of a single file.
    var folder: HuggingFaceWriter.Format? {
        switch self {
        case .compressedTensors: .compressedTensors
        case .gguf: nil
        case .modelopt: .modelopt
        case .quark: .quark
        case .bf16: .bf16
        case .f32: .f32
        }
    }
}

/// Writers of every form of export.
public enum ModelWriters {
    /// Whether a form holds scales of the inputs of weights of a format in any case, so that their
    /// ranges must be measured on calibration text.
    public static func requiresInputRanges(
        _ layout: ExportLayout,
        of format: QuantizationFormat
    ) -> Bool {
        layout.folder?.dialect?.requiresInputRanges(format) ?? false
    }

    /// Begins a model in a folder.
    ///
    /// - Throws: ``ModelFileError``; `unsupported` if the form does not hold the model.
    public static func writer(
        of description: ExportDescription,
        as layout: ExportLayout,
        folder: String
    ) throws -> any ModelWriter {
        guard let format = layout.folder else {
            return try GGUFWriter(description, folder: folder)
        }
        return try HuggingFaceWriter(description, format: format, folder: folder)
    }
}
