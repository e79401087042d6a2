internal import Transformer

/// The files of a Hugging Face folder beside its weights: those of the source as they are, or what
/// they would be of a source that has none.
enum HuggingFaceFiles {
    /// All files but config.json.
    ///
    /// - Throws: ``ModelFileError`` if a file of the source cannot be read, or if the tokenizer of
    ///   another kind of source cannot.
    static func files(
        of description: ExportDescription
    ) throws(ModelFileError) -> [String: SourceFiles.Content] {
        let source = description.source
        if case .folder = source.origin { return source.files }
        var files: [String: SourceFiles.Content] = [:]
        let tokenizer = try description.tokenizer()
        let tokenizerJSON: [UInt8]
        if let bytes = source.tokenizerJSON {
            tokenizerJSON = bytes
        } else {
            tokenizerJSON = try TokenizerJSON.render(tokenizer)
        }
        let made = [
            "tokenizer.json": tokenizerJSON,
            "tokenizer_config.json": try tokenizerConfig(description, tokenizer),
            "generation_config.json": try generationConfig(description.configuration),
        ].merging(source.chatTemplates.files) { own, _ in own }
        for (name, bytes) in made { files[name] = .bytes(bytes) }
        if case .gguf(let origin) = source.origin {
            files[SourceFolder.cardName] = ModelCard.render(origin).map { .bytes($0) }
        }
        return files
    }

    /// config.json: the source's with what quantization changes, or one of the family's keys.
    ///
    /// `quantization`: nil of a plain format.
    ///
    /// - Throws: ``ModelFileError`` (`unsupported`) if the model's family has no room for what it
    ///   computes.
    static func configuration(
        of description: ExportDescription,
        dtype: String,
        quantization: [String: Any]?
    ) throws(ModelFileError) -> [UInt8] {
        let model = description.configuration
        guard case .folder(let origin) = description.source.origin else {
            return try HuggingFaceConfiguration.render(
                model,
                dtype: dtype,
                quantization: quantization
            )
        }
        var members = origin.config
        for (key, value) in try changes(from: origin, to: model) { members.set(key, value) }
        // Servers choose a model's class by these, whether its source had them or not.
        if let traits = ModelFamilies.named(model.architecture.family)?.huggingFace {
            let own = [
                ("architectures", "[\"\(traits.className)\"]"),
                ("model_type", "\"\(traits.modelType)\""),
            ]
            for (key, text) in own where members.isNullOrMissing(key) {
                members.set(key, Array(text.utf8))
            }
        }
        let names = ["dtype", "torch_dtype"].filter(members.contains)
        for key in names.isEmpty ? ["torch_dtype"] : names {
            members.set(key, Array("\"\(dtype)\"".utf8))
        }
        members.remove("compression_config")
        if let quantization {
            members.set("quantization_config", try indented(quantization))
        } else {
            members.remove("quantization_config")
        }
        // What the names in it stand for is code beside the source.
        if description.source.hasCode { members.remove("auto_map") }
        return members.text
    }

    /// The keys of which the model that is written has other values than the source.
    private static func changes(
        from origin: HuggingFaceOrigin,
        to model: ModelConfiguration
    ) throws(ModelFileError) -> [(key: String, value: [UInt8])] {
        var source = origin.configuration
        // generation_config.json says otherwise, and is carried, too.
        (source.bosToken, source.eosTokens) = (model.bosToken, model.eosTokens)
        source.padToken = model.padToken
        var changes: [(key: String, value: [UInt8])] = []
        if source.tiedEmbeddings != model.tiedEmbeddings {
            let flag = Array("\(model.tiedEmbeddings)".utf8)
            changes.append(("tie_word_embeddings", flag))
            source.tiedEmbeddings = model.tiedEmbeddings
        }
        guard source != model else { return changes }
        let name = model.architecture.family
        guard let family = ModelFamilies.named(name) else {
            throw ModelFileError(.unsupported, "config.json: \(name) is no family of models")
        }
        let before = try family.keys(of: source)
        for (key, value) in try family.keys(of: model).sorted(by: { $0.key < $1.key }) {
            let text = try HuggingFaceConfiguration.json([key: value], name: "config.json")
            let old = try before[key].map { old throws(ModelFileError) in
                try HuggingFaceConfiguration.json([key: old], name: "config.json")
            }
            guard text != old else { continue }
            let own = try JSONMembers(text, path: "config.json", limit: 1 << 18)
            if let value = own.value(key) { changes.append((key, value)) }
        }
        return changes
    }

    /// An object as a member of another.
    private static func indented(_ object: [String: Any]) throws(ModelFileError) -> [UInt8] {
        let text = try HuggingFaceConfiguration.json(object, name: "quantization_config")
        return text.flatMap { $0 == UInt8(ascii: "\n") ? Array("\n  ".utf8) : [$0] }
    }

    private static func tokenizerConfig(
        _ description: ExportDescription,
        _ tokenizer: Tokenizer
    ) throws(ModelFileError) -> [UInt8] {
        let configuration = description.configuration
        func text(_ token: Int?) -> String? {
            token.flatMap {
                tokenizer.vocabulary.indices.contains($0) ? tokenizer.vocabulary[$0] : nil
            }
        }
        var root: [String: Any] = [
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": configuration.maximumPositions,
            "clean_up_tokenization_spaces": false,
            "add_bos_token": !tokenizer.addedAtStart.isEmpty,
            "add_eos_token": !tokenizer.addedAtEnd.isEmpty,
        ]
        if case .gguf(let origin) = description.source.origin {
            // Transformers knows no roles of the ends of turns.
            for role in TokenRole.allCases where role.isKnownToTransformers {
                root[role.textKey] = text(origin.integer(role.ggufKey))
            }
        }
        root["bos_token"] = text(configuration.bosToken)
        root["eos_token"] = text(configuration.eosTokens.first)
        root["pad_token"] = text(configuration.padToken)
        return try HuggingFaceConfiguration.json(root, name: "tokenizer_config.json")
    }

    private static func generationConfig(
        _ configuration: ModelConfiguration
    ) throws(ModelFileError) -> [UInt8] {
        var root: [String: Any] = ["_from_model_config": true]
        root["bos_token_id"] = configuration.bosToken
        let eos = configuration.eosTokens
        root["eos_token_id"] = eos.count > 1 ? eos : eos.first as Any?
        root["pad_token_id"] = configuration.padToken
        return try HuggingFaceConfiguration.json(root, name: "generation_config.json")
    }
}
