public import Formats
internal import Transformer

/// What an export of a model would be, known before any weight is read.
///
/// It goes by the same tables and renders the same files as the writers: the bytes are those that they
/// write, and an obstacle is what they refuse.
public struct ExportPlan: Sendable, Equatable {
    /// Something about a module, or about all.
    public struct Remark: Sendable, Equatable, CustomStringConvertible {
        /// When it is so, as in `if mxfp8 is chosen`; nil if always.
        public var condition: String?
        /// The module's name in the files; nil of the whole model.
        public let module: String?
        /// What is the matter, as what follows the name.
        public let reason: String
        /// Whether it is what was asked for, value by value, and so no matter for a warning.
        public let isHarmless: Bool

        /// A remark.
        public init(module: String?, reason: String, isHarmless: Bool = false) {
            self.module = module
            self.reason = reason
            self.isHarmless = isHarmless
        }

        /// One sentence.
        public var description: String {
            (condition.map { $0 + ", " } ?? "") + (module.map { $0 + " " } ?? "") + reason
        }
    }

    /// The form.
    public let layout: ExportLayout
    /// Bytes of all tensors in the files; nil if there are obstacles.
    ///
    /// Of `mxint8` in GGUF it supposes that scales are between 2⁻¹⁸ and 2²¹, where Q8_0 has its own;
    /// a tensor with others takes two bytes a weight.
    public let tensorByteCount: Int?
    /// Bytes of all files: tensors, headers, configuration, tokenizer and what is carried over.
    ///
    /// Nil if there are obstacles, or while the tokenizer that a GGUF file holds is not at hand.
    public let byteCount: Int?
    /// Why the writer refuses; empty if it does not.
    public let obstacles: [Remark]
    /// What is asked for and would be held in another form, or left out, and what readers do otherwise.
    public let substitutions: [Remark]

    /// Plans an export.
    ///
    /// `description`: The model; any positive ranges will do, as none of the sizes depends on them. Of
    /// a source that has no tokenizer, or one that was not read, it is not known how large a GGUF file
    /// is.
    public init(_ layout: ExportLayout, of description: ExportDescription) {
        var description = description
        description.storedModules =
            description.storedModules
            ?? StoredModule.modules(
                of: ParameterLayout(configuration: description.configuration)
            )
        let contents = description.contents
        self.layout = layout
        let files: Files
        if let format = layout.folder {
            files = Self.folder(format, description, contents)
        } else {
            files = Self.gguf(description, contents)
        }
        obstacles =
            Self.unknown(contents) + Self.clips(contents, layout.folder?.dialect, layout)
            + files.obstacles
        substitutions = files.substitutions
        tensorByteCount = obstacles.isEmpty ? files.tensorByteCount : nil
        byteCount = obstacles.isEmpty ? files.byteCount : nil
    }

    /// What there is to say of one kind of export.
    private struct Files {
        var obstacles: [Remark] = []
        var substitutions: [Remark] = []
        var tensorByteCount: Int?
        var byteCount: Int?

        /// Something that keeps a whole export from being written.
        mutating func add(obstacle error: ModelFileError) {
            let reason = GGUFExport.withoutLabel(error.message)
            let remark = Remark(module: nil, reason: reason)
            if !obstacles.contains(remark) { obstacles.append(remark) }
        }
    }

    private static func folder(
        _ format: HuggingFaceWriter.Format,
        _ description: ExportDescription,
        _ contents: ExportContents
    ) -> Files {
        var files = Files()
        let dialect = format.dialect
        files.obstacles = dialect?.obstacles(to: contents) ?? []
        if dialect == nil { files.substitutions = substitutions(format, contents) }
        files.substitutions += inputs(contents, dialect, format.layout)
        files.substitutions += description.source.notes.map { Remark(module: nil, reason: $0) }
        guard files.obstacles.isEmpty, unknown(contents).isEmpty else { return files }
        let shards = ShardPlan(
            contents,
            format: format,
            shardByteCount: description.shardByteCount
        )
        files.tensorByteCount = shards.tensorByteCount
        do throws(ModelFileError) {
            files.byteCount = try HuggingFaceWriter.byteCount(
                of: description,
                format: format,
                shards
            )
        } catch {
            // Who reads the tokenizer says what is the matter with it.
            if !description.lacksTokenizer(for: format.layout) { files.add(obstacle: error) }
        }
        return files
    }

    private static func gguf(
        _ description: ExportDescription,
        _ contents: ExportContents
    ) -> Files {
        var files = Files()
        files.obstacles =
            GGUFWriter.obstacles(to: contents, description.configuration)
            + (description.readTokenizer.map(GGUFWriter.obstacles) ?? [])
        files.substitutions =
            GGUFWriter.substitutions(contents) + inputs(contents, nil, .gguf)
        if let export = try? GGUFExport(description.configuration) {
            let hasCacheScales = !contents.keyAmax.isEmpty
            files.substitutions += GGUFFilePlan.notes(export, hasCacheScales: hasCacheScales)
                .map { Remark(module: nil, reason: $0) }
        }
        guard files.obstacles.isEmpty, unknown(contents).isEmpty else { return files }
        files.tensorByteCount = try? GGUFFilePlan.tensorByteCount(
            description.configuration,
            contents.formats
        )
        guard !description.lacksTokenizer(for: .gguf) else { return files }
        do throws(ModelFileError) {
            let plan = try GGUFFilePlan(description)
            files.byteCount = plan.byteCount
            files.substitutions += plan.keys.notes.map { Remark(module: nil, reason: $0) }
        } catch {
            files.add(obstacle: error)
        }
        return files
    }

    /// Where servers will round inputs otherwise than the job asks for.
    private static func inputs(
        _ contents: ExportContents,
        _ dialect: (any CheckpointDialect)?,
        _ layout: ExportLayout
    ) -> [Remark] {
        let written = contents.quantizedModules.map { _, format in
            dialect?.writtenInputs(of: format, in: contents)
        }
        let wanted = contents.activations
        let others = written.filter { written in
            switch (written, wanted) {
            case (nil, nil): false
            case (let written?, let wanted?): !wanted.isStored(as: written)
            default: true
            }
        }
        guard !others.isEmpty else { return [] }
        let names = Set(others.compactMap { $0?.nameWithBlock }).sorted()
            .joined(separator: ", ")
        let modules = others.count == 1 ? "1 module" : "\(others.count) modules"
        let name = layout.rawValue
        let reason =
            switch (wanted, names.isEmpty) {
            case (let wanted?, true):
                """
                \(name) does not say that the inputs of \(modules) are rounded to \
                \(wanted.nameWithBlock), as the job asks
                """
            case (let wanted?, false):
                """
                \(name) has the inputs of \(modules) rounded otherwise than \
                \(wanted.nameWithBlock): \(names)
                """
            case (nil, _):
                """
                \(name) has the inputs of \(modules) rounded, though the job does not ask for it: \
                \(names)
                """
            }
        return [Remark(module: nil, reason: reason)]
    }

    /// What has no place for the scales under which inputs were trained.
    private static func clips(
        _ contents: ExportContents,
        _ dialect: (any CheckpointDialect)?,
        _ layout: ExportLayout
    ) -> [Remark] {
        guard contents.clipsInputs, let wanted = contents.activations else { return [] }
        let missing = contents.quantizedModules.filter { module, format in
            let inputs = dialect?.staticInputs(of: format, in: contents)
            return inputs?.isStored(as: wanted) != true
                || contents.inputScale(module, wanted) == nil
        }
        guard let first = missing.first else { return [] }
        let others = missing.count - 1
        return [
            Remark(
                module: first.module.name,
                reason: """
                    \(others > 0 ? "and \(others) others have" : "has") inputs in \(wanted.name) under \
                    scales that were calibrated or learned, and \(layout.rawValue) has no place for them \
                    beside weights in \(first.format.name); compressed-tensors and modelopt have, for inputs \
                    in nvfp4 of weights in nvfp4 and for inputs in fp8_per_tensor of weights in fp8_per_tensor
                    """
            )
        ]
    }

    /// Formats of modules that the model does not have.
    private static func unknown(_ contents: ExportContents) -> [Remark] {
        let known = Set(contents.modules.flatMap { $0.parts.map(\.module) })
        return contents.formats.keys.filter { !known.contains($0) }.sorted().map {
            Remark(module: $0, reason: "is no module of the model")
        }
    }

    private static func substitutions(
        _ format: HuggingFaceWriter.Format,
        _ contents: ExportContents
    ) -> [Remark] {
        let name = format.layout.rawValue
        var remarks: [Remark] = contents.quantizedModules.map { module, weight in
            // BF16 has the exponents of FP32, but fewer bits than an element under an FP32 scale.
            let isExact = format.plainType == .f32 || ExportLayout.exact(for: [weight]) == .bf16
            let how = isExact ? "exactly" : "rounded once more"
            return Remark(
                module: module.name,
                reason: "is \(weight.nameWithBlock); \(name) holds its values, \(how)",
                isHarmless: isExact
            )
        }
        if !contents.keyAmax.isEmpty {
            let reason = "\(name) has no scales of the key-value cache; they are left out"
            remarks.append(Remark(module: nil, reason: reason))
        }
        return remarks
    }
}

extension ExportDescription {
    /// Whether a form has the tokenizer in another shape than the source, and it was not read.
    fileprivate func lacksTokenizer(for layout: ExportLayout) -> Bool {
        guard readTokenizer == nil else { return false }
        switch source.origin {
        case .folder: return layout == .gguf
        case .gguf: return layout != .gguf
        case .memory: return source.files["tokenizer.json"] == nil
        }
    }
}
