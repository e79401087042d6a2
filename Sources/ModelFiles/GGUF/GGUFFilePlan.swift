internal import Formats
internal import Transformer

/// A GGUF file before its first weight: what its header says, and how large all of it is.
struct GGUFFilePlan {
    let export: GGUFExport
    let layout: GGUFLayout
    let keys: GGUFHeaderKeys
    let headerByteCount: Int
    /// Bytes of tensors, and of the file with its header and what pads them.
    let tensorByteCount: Int
    let byteCount: Int
    /// What llama.cpp does otherwise than the source, or leaves out.
    let notes: [String]

    /// Plans a file.
    ///
    /// - Throws: ``ModelFileError``; `unsupported` for models and tokenizers that llama.cpp would
    ///   compute otherwise, and for formats that differ within one of its tensors.
    init(_ description: ExportDescription) throws(ModelFileError) {
        let export = try GGUFExport(description.configuration)
        let layout = GGUFLayout(description.configuration)
        try Self.checkFusedFormats(layout, description.formats)
        keys = try GGUFHeaderKeys(
            description,
            export.metadata,
            alignment: GGUFWriter.alignment
        )
        let tensors = Self.tensors(export, layout, description.formats)
        // Types and offsets come to be known as weights are written, but the header's size does not
        // depend on them.
        headerByteCount =
            GGUFWriter.header(
                tensors.map { .init(name: $0.name, shape: $0.shape, type: $0.type, offset: 0) },
                keys.pairs
            ).count
        let counts = tensors.map(Self.byteCount)
        tensorByteCount = counts.reduce(0, +)
        byteCount = headerByteCount + counts.reduce(0) { $0 + GGUFWriter.padded($1) }
        self.export = export
        self.layout = layout
        notes = Self.notes(export, hasCacheScales: !description.keyAmax.isEmpty) + keys.notes
    }

    /// What is left out of every file of a model.
    static func notes(_ export: GGUFExport, hasCacheScales: Bool) -> [String] {
        export.notes
            + (hasCacheScales
                ? ["llama.cpp takes no scales of the key-value cache; they are left out"] : [])
    }

    private typealias Tensor = (name: String, shape: [Int], type: GGUFTensorType)

    private static func byteCount(_ tensor: Tensor) -> Int {
        tensor.shape.reduce(1, *) / tensor.type.blockSize * tensor.type.blockByteCount
    }

    private static func tensors(
        _ export: GGUFExport,
        _ layout: GGUFLayout,
        _ formats: [String: QuantizationFormat]
    ) -> [Tensor] {
        export.tensors.map { ($0.name, [$0.values.count], .f32) }
            + layout.stored.flatMap { stored in
                GGUFTensorEncoder.tensors(
                    of: layout.place(of: stored.parts[0]),
                    format: formats[stored.parts[0].module]
                )
            }
    }

    /// Bytes of all tensors.
    ///
    /// - Throws: ``ModelFileError`` (`unsupported`) if llama.cpp would compute another model.
    static func tensorByteCount(
        _ configuration: ModelConfiguration,
        _ formats: [String: QuantizationFormat]
    ) throws(ModelFileError) -> Int {
        let tensors = tensors(
            try GGUFExport(configuration),
            GGUFLayout(configuration),
            formats
        )
        return tensors.reduce(0) { $0 + byteCount($1) }
    }

    /// Parts of one tensor have one format.
    static func checkFusedFormats(
        _ layout: GGUFLayout,
        _ formats: [String: QuantizationFormat]
    ) throws(ModelFileError) {
        for stored in layout.stored where stored.parts.count > 1 {
            let parts = stored.parts.map { formats[$0.module] }
            let name = layout.place(of: stored.parts[0]).name
            let modules = stored.parts.map(\.module).joined(separator: ", ")
            guard parts.allSatisfy({ $0 == parts[0] }) else {
                throw ModelFileError(
                    .unsupported,
                    "gguf: tensor \(name) holds \(modules): give them one format"
                )
            }
        }
    }
}
