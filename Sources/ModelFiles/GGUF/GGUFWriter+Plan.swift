internal import Formats
internal import Transformer

/// What a file would be, known before any weight is read.
extension GGUFWriter {
    /// Why a model is not written.
    static func obstacles(
        to contents: ExportContents,
        _ configuration: ModelConfiguration
    ) -> [ExportPlan.Remark] {
        var obstacles: [ExportPlan.Remark] = []
        do {
            _ = try GGUFExport(configuration)
            try checkFusedFormats(GGUFLayout(configuration), contents.formats)
        } catch {
            obstacles.append(.init(module: nil, reason: withoutLabel(error.message)))
        }
        for (module, format) in contents.quantizedModules
        where format.scaleKind.hasBlocks && !module.columns.isMultiple(of: format.blockSize) {
            obstacles.append(
                .init(
                    module: module.name,
                    reason: """
                        has \(module.columns) inputs, no multiple of \(format.name)'s blocks by \
                        \(format.blockSize)
                        """
                )
            )
        }
        return obstacles
    }

    /// Why a tokenizer is not written.
    static func obstacles(to tokenizer: Tokenizer) -> [ExportPlan.Remark] {
        do {
            _ = try GGUFTokenizerForm(tokenizer)
            return []
        } catch {
            return [.init(module: nil, reason: withoutLabel(error.message))]
        }
    }

    private static func withoutLabel(_ message: String) -> String {
        message.hasPrefix("gguf: ") ? String(message.dropFirst(6)) : message
    }

    /// What is held in a wider type, or left out.
    static func substitutions(_ contents: ExportContents) -> [ExportPlan.Remark] {
        var remarks: [ExportPlan.Remark] = []
        for (module, format) in contents.quantizedModules {
            let type = GGUFTensorEncoder.type(of: format, shape: module.shape)
            guard type.blockSize == 1 else { continue }
            remarks.append(
                .init(
                    module: module.name,
                    reason:
                        "is \(format.name), which GGUF does not have; stored as \(type), exactly"
                )
            )
        }
        if !contents.keyAmax.isEmpty {
            remarks.append(
                .init(module: nil, reason: "llama.cpp takes no scales of the key-value cache")
            )
        }
        return remarks
    }

    /// Bytes of all tensors.
    static func tensorByteCount(
        _ contents: ExportContents,
        _ configuration: ModelConfiguration
    ) throws(ModelFileError) -> Int {
        let layout = GGUFLayout(configuration)
        let factors = try GGUFExport(configuration).tensors.reduce(0) { $0 + 4 * $1.values.count }
        return layout.stored.reduce(factors) { total, stored in
            let tensors = GGUFTensorEncoder.tensors(
                of: layout.place(of: stored.parts[0]),
                format: contents.formats[stored.parts[0].module]
            )
            return tensors.reduce(total) { sum, tensor in
                let count = tensor.shape.reduce(1, *)
                return sum + count / tensor.type.blockSize * tensor.type.blockByteCount
            }
        }
    }
}
