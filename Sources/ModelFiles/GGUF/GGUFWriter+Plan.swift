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
            try GGUFFilePlan.checkFusedFormats(GGUFLayout(configuration), contents.formats)
        } catch {
            obstacles.append(.init(module: nil, reason: GGUFExport.withoutLabel(error.message)))
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
            return [.init(module: nil, reason: GGUFExport.withoutLabel(error.message))]
        }
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
                        """
                        is \(format.nameWithBlock), which GGUF does not have; stored as \(type), \
                        exactly
                        """
                )
            )
        }
        return remarks
    }
}
