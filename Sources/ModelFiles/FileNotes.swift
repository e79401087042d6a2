public import Formats

/// What files say of their making: texts in the metadata of safetensors and GGUF, under keys that
/// begin with `qat.`.
public struct FileNotes: Sendable, Equatable {
    private enum Key: String {
        case version = "qat.version"
        case method = "qat.method"
        case rotation = "qat.rotation"
        case formats = "qat.formats"
        case activations = "qat.activations"
    }

    /// What stands in `qat.method` of trained models; others have a ``PostTrainingMethod/Name``.
    private static let training = "qat"

    /// All texts by key, those of others among them.
    public private(set) var texts: [String: String]

    /// What a file says.
    public init(_ texts: [String: String]) { self.texts = texts }

    /// What files of a model say that was quantized after training; `version`: The suite's.
    public init(
        method: PostTrainingMethod.Name,
        rotation: PostTrainingMethod.Rotation,
        version: String
    ) {
        self.init(training: false, version)
        self[.method] = method.rawValue
        self[.rotation] = rotation.rawValue
    }

    /// What files of a trained model say; `version`: The suite's.
    public init(ofTrainingBy version: String) { self.init(training: true, version) }

    private init(training: Bool, _ version: String) {
        texts = [:]
        self[.version] = version
        if training { self[.method] = Self.training }
    }

    private subscript(key: Key) -> String? {
        get { texts[key.rawValue] }
        set { texts[key.rawValue] = newValue }
    }

    /// Whether weights were scaled or rotated before they were rounded, as far as the file tells.
    var changesWeights: Bool {
        let method = self[.method].flatMap(PostTrainingMethod.Name.init)
        let isRotated = self[.rotation].map { $0 != PostTrainingMethod.Rotation.none.rawValue }
        return method?.scalesChannels ?? false || isRotated ?? false
    }

    /// Method and rotation in a few words; empty if the file has neither.
    var making: String {
        [("method", self[.method]), ("rotation", self[.rotation])]
            .compactMap { name, text in text.map { "\(name) \($0)" } }
            .joined(separator: ", ")
    }

    /// Adds formats of weights and inputs with all rounding rules, unless the file has others.
    mutating func add(
        formats: some Sequence<QuantizationFormat>,
        activations: QuantizationFormat?
    ) {
        let rules = Set(formats).map(Self.rules).sorted()
        self[.formats] = self[.formats] ?? "[\(rules.joined(separator: ","))]"
        self[.activations] = self[.activations] ?? activations.map(Self.rules)
    }

    /// A format with all rounding rules, as JSON.
    private static func rules(of format: QuantizationFormat) -> String {
        """
        {"name":"\(format.name)","element":"\(format.element.rawValue)",\
        "scale":"\(format.scaleKind.rawValue)","block_size":\(format.blockSize),\
        "scale_mode":"\(format.scaleMode.rawValue)","tie_rule":"\(format.tieRule.rawValue)"}
        """
    }

    /// The formats of weights; nil if the file does not say, or in words that are not known here.
    var formats: [QuantizationFormat]? {
        guard let text = self[.formats] else { return nil }
        let key = Key.formats.rawValue
        guard case .list(let list)? = try? JSONValue.parse(Array(text.utf8), path: key, limit: 4096)
        else { return nil }
        return list.compactMap { value in
            guard case .object(let members) = value else { return nil }
            return try? Self.format(JSONObject(members: members, place: key))
        }
    }

    /// The format of inputs, whose rounding rules configurations do not tell; nil if it is not there.
    ///
    /// - Throws: ``ModelFileError`` (`unsupported`) if it has words that are not known here, as files
    ///   of later versions may.
    func activations() throws(ModelFileError) -> QuantizationFormat? {
        guard let text = self[.activations] else { return nil }
        let key = Key.activations.rawValue
        do throws(ModelFileError) {
            let value = try JSONValue.parse(Array(text.utf8), path: key, limit: 64)
            guard case .object(let members) = value else { throw Self.missing("element", key) }
            return try Self.format(JSONObject(members: members, place: key))
        } catch {
            throw ModelFileError(.unsupported, "metadata \(error.message)")
        }
    }

    private static func format(_ root: JSONObject) throws(ModelFileError) -> QuantizationFormat {
        let element: ElementFormat? = try root.word("element")
        let scale: ScaleKind? = try root.word("scale")
        let mode: ScaleMode? = try root.word("scale_mode")
        let tie: TieRule? = try root.word("tie_rule")
        guard let element else { throw missing("element", root.place) }
        guard let scale else { throw missing("scale", root.place) }
        guard let mode else { throw missing("scale_mode", root.place) }
        guard let tie else { throw missing("tie_rule", root.place) }
        return QuantizationFormat(
            element: element,
            blockSize: try root.integer("block_size"),
            scaleKind: scale,
            scaleMode: mode,
            tieRule: tie
        )
    }

    private static func missing(_ key: String, _ place: String) -> ModelFileError {
        ModelFileError(.unsupported, "\(place): \(key) is missing")
    }
}
