internal import Foundation

/// The chat templates of a model: the one that is taken unless another is asked for, and others by
/// name.
///
/// - SeeAlso: Hugging Face Transformers, `tokenization_utils_base.py`, `from_pretrained` and
///   `save_chat_templates`.
struct ChatTemplates: Sendable, Equatable {
    /// The template called `default`.
    var main: String?
    /// The others, by name.
    var named: [String: String] = [:]

    private static let countLimit = 64
    private static let byteLimit = 16 << 20
    private static let mainFile = "chat_template.jinja"

    init() {}

    /// Reads the templates of a folder: from files of their own, which win, or from
    /// tokenizer_config.json, or from chat_template.json.
    init(
        files: [String: SourceFiles.Content],
        folder: String
    ) throws(ModelFileError) {
        for (name, content) in files.sorted(by: { $0.key < $1.key }) {
            let isNamed = name.hasPrefix(SourceFolder.templateFolder + "/")
            guard isNamed || name == Self.mainFile else { continue }
            let bytes = try content.read()
            guard bytes.count <= Self.byteLimit,
                let text = String(validating: bytes, as: UTF8.self)
            else {
                throw ModelFileError(
                    .malformed,
                    "\(folder)/\(name) is no UTF-8 text of up to \(Self.byteLimit) bytes"
                )
            }
            let stem = name.dropFirst(SourceFolder.templateFolder.count + 1).dropLast(6)
            add(text, name: isNamed ? String(stem) : "default")
        }
        for name in ["tokenizer_config.json", "chat_template.json"] where isEmpty {
            guard let content = files[name] else { continue }
            let place = "\(folder)/\(name)"
            let bytes = try content.read()
            guard bytes.count <= Self.byteLimit,
                case .object(let members) = try JSONValue.parse(
                    bytes,
                    path: place,
                    limit: 1 << 18
                )
            else {
                throw ModelFileError(
                    .malformed,
                    "\(place) is no JSON object of up to \(Self.byteLimit) bytes"
                )
            }
            try read(JSONObject(members: members, place: place))
        }
        guard named.count <= Self.countLimit else {
            throw ModelFileError(.malformed, "\(folder): \(named.count) chat templates")
        }
    }

    /// Takes the templates of a GGUF file.
    init(_ gguf: GGUFOrigin) {
        main = gguf.text("tokenizer.chat_template")
        let prefix = "tokenizer.chat_template."
        for (key, value) in gguf.values where key.hasPrefix(prefix) {
            if case .text(let text) = value { named[String(key.dropFirst(prefix.count))] = text }
        }
    }

    var isEmpty: Bool { main == nil && named.isEmpty }

    private mutating func add(_ text: String, name: String) {
        if name == "default" { main = text } else { named[name] = text }
    }

    /// A text, or a list of named ones.
    private mutating func read(_ object: JSONObject) throws(ModelFileError) {
        let key = "chat_template"
        switch object[key] {
        case nil: return
        case .list:
            for entry in try object.objects(in: key) ?? [] {
                guard let name = try entry.text("name"), let text = try entry.text("template")
                else {
                    throw ModelFileError(
                        .malformed,
                        "\(entry.place): a template without name or template"
                    )
                }
                add(text, name: name)
            }
        default: main = try object.text(key)
        }
    }

    /// The files of a Hugging Face folder.
    var files: [String: [UInt8]] {
        var files: [String: [UInt8]] = [:]
        if let main { files[Self.mainFile] = Array(main.utf8) }
        for (name, text) in named {
            files["\(SourceFolder.templateFolder)/\(Self.plain(name)).jinja"] = Array(text.utf8)
        }
        return files
    }

    /// The keys of a GGUF file.
    var pairs: [(key: String, value: ByteWriter.Value)] {
        var pairs: [(key: String, value: ByteWriter.Value)] = []
        let sorted = named.map { (name: Self.plain($0.key), text: $0.value) }
            .sorted { $0.name < $1.name }
        for (index, (name, text)) in sorted.enumerated()
        where index == 0 || sorted[index - 1].name != name {
            pairs.append(("tokenizer.chat_template.\(name)", .text(text)))
        }
        if !pairs.isEmpty {
            let names = pairs.map { String($0.key.dropFirst("tokenizer.chat_template.".count)) }
            pairs.append(("tokenizer.chat_templates", .texts(names)))
        }
        if let main { pairs.append(("tokenizer.chat_template", .text(main))) }
        return pairs
    }

    /// A name in the letters that keys and files have.
    private static func plain(_ name: String) -> String {
        String(
            name.unicodeScalars.map { scalar in
                scalar.isASCII && scalar.properties.isAlphabetic
                    || ("0"..."9").contains(scalar) ? Character(scalar) : "_"
            }
        )
    }
}
