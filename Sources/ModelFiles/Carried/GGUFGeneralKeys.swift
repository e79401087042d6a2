/// `general.*` of a GGUF file: who made a model, what it is called, under which licence.
///
/// - SeeAlso: llama.cpp, `gguf-py/gguf/metadata.py`: what its converter finds in a folder.
enum GGUFGeneralKeys {
    typealias Pairs = [(key: String, value: ByteWriter.Value)]

    /// The keys of a model that comes from anything but a GGUF file.
    ///
    /// `parameterCount`: A tied head counts once.
    ///
    /// - Throws: ``ModelFileError`` if the model card or config.json cannot be read.
    static func pairs(
        of source: SourceFiles,
        parameterCount: Int
    ) throws(ModelFileError) -> Pairs {
        var card = ModelCard()
        if let content = source.files[SourceFolder.cardName] {
            card = try ModelCard(try content.read(), path: SourceFolder.cardName)
        }
        var facts = Facts(card)
        if case .folder(let origin) = source.origin,
            let name = origin.config.text("_name_or_path"), isIdentifier(name)
        {
            facts.fill(name, parameterCount)
        }
        facts.fill(source.name, parameterCount)
        var pairs: Pairs = [("general.type", .text("model"))]
        let texts = [
            ("name", facts.name ?? source.name), ("author", facts.author),
            ("version", facts.version), ("organization", facts.organization),
            ("finetune", facts.finetune), ("basename", facts.basename),
            ("description", card.text("description", "model_description")),
            ("size_label", facts.sizeLabel ?? ModelName.sizeLabel(parameterCount)),
            ("license", joined(card.texts("license"))),
            ("license.name", card.text("license_name")),
            ("license.link", card.text("license_link")),
        ]
        for case (let key, let text?) in texts { pairs.append(("general.\(key)", .text(text))) }
        pairs += references(
            card.texts(first: ["base_model", "base_models", "base_model_sources"]),
            "base_model",
            parameterCount
        )
        pairs += references(
            card.texts(first: ["datasets", "dataset", "dataset_sources"]),
            "dataset",
            parameterCount
        )
        let tags = card.texts("tags", "pipeline_tag")
        if !tags.isEmpty { pairs.append(("general.tags", .texts(tags))) }
        let languages = card.texts("languages", "language")
        if !languages.isEmpty { pairs.append(("general.languages", .texts(languages))) }
        return pairs
    }

    private static func joined(_ texts: [String]) -> String? {
        texts.isEmpty ? nil : texts.joined(separator: ",")
    }

    /// Whether it is a name on the hub and no path.
    private static func isIdentifier(_ name: String) -> Bool {
        !name.isEmpty && name.count { $0 == "/" } <= 1 && !name.hasPrefix("/")
    }

    /// What the card says, or else the parts of names, the first that tells.
    private struct Facts {
        var name: String?
        var author: String?
        var version: String?
        var organization: String?
        var finetune: String?
        var basename: String?
        var sizeLabel: String?

        init(_ card: ModelCard) {
            name = card.text("name", "model_name")
            author = card.text("author", "model_author", "model_creator")
            version = card.text("version", "model_version")
            organization = card.text("organization", "model_organization")
            finetune = card.text("finetune", "model_finetune")
            basename = card.text("basename", "model_basename", "model_type")
            sizeLabel = card.text("size_label", "model_size_label")
        }

        mutating func fill(_ identifier: String, _ parameterCount: Int) {
            guard !identifier.isEmpty else { return }
            let parts = ModelName(identifier, parameterCount: parameterCount)
            name = name ?? ModelName.title(parts.full)
            organization = organization ?? parts.organization.map(ModelName.title)
            basename = basename ?? parts.basename
            finetune = finetune ?? parts.finetune
            version = version ?? parts.version
            sizeLabel = sizeLabel ?? parts.sizeLabel
        }
    }

    private static func references(
        _ identifiers: [String],
        _ kind: String,
        _ parameterCount: Int
    ) -> Pairs {
        guard !identifiers.isEmpty else { return [] }
        var pairs: Pairs = [
            ("general.\(kind).count", .unsigned(UInt32(clamping: identifiers.count)))
        ]
        let hub = "https://huggingface.co/"
        for (index, identifier) in identifiers.enumerated() {
            let isLink = ["http://", "https://", "ssh://"].contains { identifier.hasPrefix($0) }
            let isHub = isLink && identifier.hasPrefix(hub)
            let name = isHub ? String(identifier.dropFirst(hub.count)) : identifier
            var texts: [(String, String?)] = []
            var link: String? = isLink ? identifier : nil
            if !isLink || isHub && name.count(where: { $0 == "/" }) == 1 {
                let parts = ModelName(name, parameterCount: parameterCount)
                texts = [
                    ("name", ModelName.title(parts.full)), ("version", parts.version),
                    ("organization", parts.organization.map(ModelName.title)),
                ]
                if parts.organization != nil { link = link ?? hub + name }
            }
            texts.append(("repo_url", link))
            for case (let key, let text?) in texts {
                pairs.append(("general.\(kind).\(index).\(key)", .text(text)))
            }
        }
        return pairs
    }
}

extension ModelCard {
    /// The texts of the first of some keys that is there.
    fileprivate func texts(first keys: [String]) -> [String] {
        keys.lazy.compactMap { values[$0] }.first ?? []
    }
}

extension JSONMembers {
    /// The text of a member; nil if it is none.
    func text(_ key: String) -> String? {
        guard let bytes = value(key),
            case .text(let text) = try? JSONValue.parse(bytes, path: key, limit: 1)
        else { return nil }
        return text
    }
}
