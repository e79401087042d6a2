internal import Foundation

/// Finds what of a Hugging Face folder is carried over.
enum SourceFolder {
    private static let names: Set<String> = [
        "tokenizer.json", "tokenizer.model", "tokenizer.model.v3", "tekken.json",
        "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
        "vocab.txt", "merges.txt", "generation_config.json", "chat_template.jinja",
        "chat_template.json", cardName,
    ]
    /// Beginnings of the names of licences, in lower case.
    private static let licences = ["license", "licence", "notice", "use_policy", "copying"]

    /// The model card.
    static let cardName = "README.md"
    /// The folder of further chat templates.
    static let templateFolder = "additional_chat_templates"

    /// How many files are carried at most.
    private static let countLimit = 64

    private static func isCarried(_ name: String) -> Bool {
        let lower = name.lowercased()
        // Code may be called anything.
        let isText = !lower.hasSuffix(".py") && !lower.hasSuffix(".safetensors")
        return names.contains(name) || isText && licences.contains { lower.hasPrefix($0) }
    }

    /// The files of a folder that are carried, below it.
    static func names(in folder: String) -> [String] {
        let templates = list("\(folder)/\(templateFolder)").filter { $0.hasSuffix(".jinja") }
        return (list(folder).filter(isCarried) + templates.map { "\(templateFolder)/\($0)" })
            .filter { FileSystem.isFile("\(folder)/\($0)") }
    }

    /// What a folder holds beside its weights.
    ///
    /// - Throws: ``ModelFileError`` if a file is too large, or a chat template cannot be read.
    static func read(_ origin: HuggingFaceOrigin) throws(ModelFileError) -> SourceFiles {
        let folder = origin.path
        var source = SourceFiles(
            name: URL(filePath: folder).standardizedFileURL.lastPathComponent,
            origin: .folder(origin)
        )
        for name in names(in: folder) {
            source.files[name] = try content("\(folder)/\(name)")
        }
        guard source.files.count <= countLimit else {
            throw ModelFileError(
                .malformed,
                "\(folder): \(source.files.count) files beside the weights, more than \(countLimit)"
            )
        }
        source.chatTemplates = try ChatTemplates(files: source.files, folder: folder)
        // Classes of another repository are named by it and two dashes.
        let map = origin.config.value("auto_map").map { String(decoding: $0, as: UTF8.self) }
        source.hasCode = map.map { !$0.contains("--") } ?? false
        let code = list(folder).filter { $0.hasSuffix(".py") }
        if !code.isEmpty || source.hasCode {
            let names = code.isEmpty ? "auto_map in config.json" : code.joined(separator: ", ")
            source.notes.append(
                "custom code is not carried over (\(names)): readers take their own classes"
            )
        }
        return source
    }

    private static func content(_ path: String) throws(ModelFileError) -> SourceFiles.Content {
        let count = try MappedFile(path: path).bytes.count
        guard count <= SourceFiles.Content.limit else {
            throw ModelFileError(
                .malformed,
                "\(path): \(count) bytes, more than the limit of \(SourceFiles.Content.limit)"
            )
        }
        return .file(path: path)
    }

    private static func list(_ folder: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
    }
}
