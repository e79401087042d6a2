extension TokenizerJSON {
    private static func refusal(_ object: JSONObject, _ type: String, _ read: String)
        -> ModelFileError
    {
        ModelFileError(.unsupported, "\(object.place): type \(type) is not read; read are \(read)")
    }

    static func normalizer(_ object: JSONObject) throws(ModelFileError) -> [NormalizerStep] {
        let type = try object.text("type") ?? "?"
        switch type {
        case "Sequence":
            try object.expectOnly(["type", "normalizers"])
            var steps: [NormalizerStep] = []
            for part in try object.objects(in: "normalizers") ?? [] {
                steps += try normalizer(part)
            }
            return steps
        case "Strip":
            try object.expectOnly(["type", "strip_left", "strip_right"])
            return [
                .strip(
                    left: try object.flag("strip_left") ?? true,
                    right: try object.flag("strip_right") ?? true
                )
            ]
        case "Replace":
            try object.expectOnly(["type", "pattern", "content"])
            return [.replace(try pattern(object), Array(try content(object).unicodeScalars))]
        case "Prepend":
            try object.expectOnly(["type", "prepend"])
            return [.prepend(Array((try object.text("prepend") ?? "").unicodeScalars))]
        default: break
        }
        let plain: [String: NormalizerStep] = [
            "NFC": .canonicalComposition, "NFD": .canonicalDecomposition,
            "NFKC": .compatibilityComposition, "NFKD": .compatibilityDecomposition,
            "Lowercase": .lowercase,
        ]
        guard let step = plain[type] else {
            throw refusal(
                object,
                type,
                "Sequence, NFC, NFD, NFKC, NFKD, Lowercase, Strip, Replace, Prepend"
            )
        }
        try object.expectOnly(["type"])
        return [step]
    }

    static func preTokenizer(_ object: JSONObject) throws(ModelFileError) -> [PreTokenizer.Step] {
        let type = try object.text("type") ?? "?"
        switch type {
        case "Sequence":
            try object.expectOnly(["type", "pretokenizers"])
            var steps: [PreTokenizer.Step] = []
            for part in try object.objects(in: "pretokenizers") ?? [] {
                steps += try preTokenizer(part)
            }
            return steps
        case "ByteLevel":
            // Offsets are of no concern here.
            try object.expectOnly(["type", "add_prefix_space", "trim_offsets", "use_regex"])
            return [
                .byteLevel(
                    addsPrefixSpace: try object.flag("add_prefix_space") ?? true,
                    usesExpression: try object.flag("use_regex") ?? true
                )
            ]
        case "Split":
            try object.expectOnly(["type", "pattern", "behavior", "invert"])
            return [
                .split(
                    try pattern(object),
                    try behavior(object),
                    isInverted: try object.flag("invert") ?? false
                )
            ]
        case "Digits":
            try object.expectOnly(["type", "individual_digits"])
            return [.digits(individual: try object.flag("individual_digits") ?? false)]
        case "Punctuation":
            try object.expectOnly(["type", "behavior"])
            return [.punctuation(try object["behavior"] == nil ? .isolated : behavior(object))]
        case "Metaspace":
            let (replacement, scheme) = try metaspace(object)
            return [.metaspace(replacement, scheme, splits: try object.flag("split") ?? true)]
        case "Whitespace":
            try object.expectOnly(["type"])
            return [.whitespace]
        case "WhitespaceSplit":
            try object.expectOnly(["type"])
            return [.whitespaceSplit]
        case "CharDelimiterSplit":
            try object.expectOnly(["type", "delimiter"])
            return [.delimiter(try scalar("delimiter", of: object))]
        default:
            throw refusal(
                object,
                type,
                """
                Sequence, ByteLevel, Split, Digits, Punctuation, Metaspace, Whitespace, \
                WhitespaceSplit, CharDelimiterSplit
                """
            )
        }
    }

    static func decoder(_ object: JSONObject) throws(ModelFileError) -> [DecoderStep] {
        let type = try object.text("type") ?? "?"
        switch type {
        case "Sequence":
            try object.expectOnly(["type", "decoders"])
            var steps: [DecoderStep] = []
            for part in try object.objects(in: "decoders") ?? [] { steps += try decoder(part) }
            return steps
        case "ByteLevel":
            try object.expectOnly(["type", "add_prefix_space", "trim_offsets", "use_regex"])
            return [.byteLevel]
        case "Replace":
            try object.expectOnly(["type", "pattern", "content"])
            return [.replace(try pattern(object), Array(try content(object).utf8))]
        case "ByteFallback":
            try object.expectOnly(["type"])
            return [.byteFallback]
        case "Fuse":
            try object.expectOnly(["type"])
            return [.fuse]
        case "Strip":
            try object.expectOnly(["type", "content", "start", "stop"])
            let start = try object.integer("start") ?? 0
            let stop = try object.integer("stop") ?? 0
            guard (0...1024).contains(start), (0...1024).contains(stop) else {
                throw ModelFileError(
                    .malformed,
                    "\(object.place): Strip drops \(start) and \(stop) characters; 0 to 1024 are"
                )
            }
            return [.strip(try scalar("content", of: object), start: start, stop: stop)]
        case "Metaspace":
            let (replacement, scheme) = try metaspace(object)
            return [.metaspace(replacement, dropsFirst: scheme != .never)]
        default:
            throw refusal(
                object,
                type,
                "Sequence, ByteLevel, Replace, ByteFallback, Fuse, Strip, Metaspace"
            )
        }
    }

    private static func metaspace(
        _ object: JSONObject
    ) throws(ModelFileError) -> (Unicode.Scalar, PreTokenizer.PrependScheme) {
        try object.expectOnly([
            "type", "replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep",
        ])
        let name = try object.text("prepend_scheme") ?? "always"
        guard var scheme = PreTokenizer.PrependScheme(rawValue: name) else {
            throw refusal(object, "Metaspace with prepend_scheme \(name)", "always, first, never")
        }
        if try object.flag("add_prefix_space") == false {
            guard object["prepend_scheme"] == nil || scheme == .never else {
                throw ModelFileError(
                    .malformed,
                    "\(object.place): add_prefix_space is false and prepend_scheme \(name)"
                )
            }
            scheme = .never
        }
        return (try scalar("replacement", of: object), scheme)
    }

    private static func scalar(
        _ key: String,
        of object: JSONObject
    ) throws(ModelFileError) -> Unicode.Scalar {
        let scalars = (try object.text(key) ?? "").unicodeScalars
        guard let scalar = scalars.first, scalars.count == 1 else {
            throw ModelFileError(.malformed, "\(object.place): \(key) is not one character")
        }
        return scalar
    }

    private static func content(_ object: JSONObject) throws(ModelFileError) -> String {
        guard let content = try object.text("content") else {
            throw ModelFileError(.malformed, "\(object.place): content is missing")
        }
        return content
    }

    private static func pattern(_ object: JSONObject) throws(ModelFileError) -> SplitExpression {
        guard let pattern = try object.object("pattern") else {
            throw ModelFileError(.malformed, "\(object.place): pattern is missing")
        }
        try pattern.expectOnly(["String", "Regex"])
        if let literal = try pattern.text("String") {
            guard !literal.isEmpty else {
                throw ModelFileError(.unsupported, "\(pattern.place): an empty text is not read")
            }
            return SplitExpression(literal: literal)
        }
        guard let expression = try pattern.text("Regex") else {
            throw ModelFileError(.malformed, "\(pattern.place): neither String nor Regex")
        }
        return try SplitExpression(expression, place: pattern.place)
    }

    private static func behavior(
        _ object: JSONObject
    ) throws(ModelFileError) -> PieceList.Behavior {
        let name = try object.text("behavior") ?? "?"
        guard let behavior = PieceList.Behavior(rawValue: name) else {
            throw ModelFileError(
                .unsupported,
                """
                \(object.place): behavior \(name) is not read; read are Isolated, Removed, \
                MergedWithPrevious, MergedWithNext, Contiguous
                """
            )
        }
        return behavior
    }

    /// The tokens that are put before and after a single text.
    static func postProcessor(
        _ object: JSONObject
    ) throws(ModelFileError) -> (start: [Int32], end: [Int32]) {
        let type = try object.text("type") ?? "?"
        switch type {
        case "ByteLevel":
            // Changes offsets only.
            try object.expectOnly(["type", "add_prefix_space", "trim_offsets", "use_regex"])
            return ([], [])
        case "Sequence":
            try object.expectOnly(["type", "processors"])
            var added: (start: [Int32], end: [Int32]) = ([], [])
            for part in try object.objects(in: "processors") ?? [] {
                let (start, end) = try postProcessor(part)
                added = (start + added.start, added.end + end)
            }
            return added
        case "BertProcessing", "RobertaProcessing":
            try object.expectOnly(["type", "sep", "cls", "trim_offsets", "add_prefix_space"])
            return ([try tokenPair("cls", of: object)], [try tokenPair("sep", of: object)])
        case "TemplateProcessing":
            try object.expectOnly(["type", "single", "pair", "special_tokens"])
            return try template(object)
        default:
            throw refusal(
                object,
                type,
                "Sequence, ByteLevel, TemplateProcessing, BertProcessing, RobertaProcessing"
            )
        }
    }

    /// A token as a list of text and number.
    private static func tokenPair(
        _ key: String,
        of object: JSONObject
    ) throws(ModelFileError) -> Int32 {
        guard let list = try object.list(key), list.count == 2, case .integer(let id) = list[1],
            let id = Int32(exactly: id), id >= 0
        else {
            throw ModelFileError(
                .malformed,
                "\(object.place): \(key) is not a token and its number"
            )
        }
        return id
    }

    private static func template(
        _ object: JSONObject
    ) throws(ModelFileError) -> (start: [Int32], end: [Int32]) {
        let table = try object.object("special_tokens")
        var start: [Int32] = []
        var end: [Int32] = []
        var textCount = 0
        for part in try object.objects(in: "single") ?? [] {
            try part.expectOnly(["SpecialToken", "Sequence"])
            if let sequence = try part.object("Sequence") {
                guard try sequence.text("id") == "A" else {
                    throw ModelFileError(
                        .unsupported,
                        "\(part.place): a single text that is not sequence A"
                    )
                }
                textCount += 1
                continue
            }
            guard let name = try part.object("SpecialToken")?.text("id"),
                let ids = try table?.object(name)?.list("ids")
            else {
                throw ModelFileError(.malformed, "\(part.place): a token that is not in the table")
            }
            for value in ids {
                guard case .integer(let id) = value, (0..<1 << 22).contains(id) else {
                    throw ModelFileError(.malformed, "\(object.place): a number of \(name) is none")
                }
                if textCount == 0 { start.append(Int32(id)) } else { end.append(Int32(id)) }
            }
        }
        guard textCount == 1 else {
            throw ModelFileError(
                .unsupported,
                "\(object.place): single has the text \(textCount) times; once is read"
            )
        }
        return (start, end)
    }
}
