/// SentencePiece's `tokenizer.model`: a protobuf message of pieces and what was trained how.
///
/// Read are BPE models whose normalizer changes nothing but spaces.
/// - SeeAlso: google/sentencepiece, `src/sentencepiece_model.proto`.
struct SentencePieceModel {
    private(set) var pieces: [String] = []
    private(set) var scores: [Float] = []
    private(set) var kinds: [PieceScoreModel.Kind] = []
    private(set) var beginningOfText = 1
    private(set) var endOfText = 2
    private(set) var addsPrefix = true
    private(set) var squeezesSpaces = true
    private(set) var escapesSpaces = true
    private var modelType = 1
    private var hasByteFallback = false
    private var putsSpaceLast = false
    private var charsMapByteCount = 0
    private var normalizerName = ""

    private let path: String

    private static let pieceLimit = 1 << 22

    /// Parses and checks.
    ///
    /// - Throws: ``ModelFileError``; `unsupported` for another model than BPE and for normalizers.
    init(_ bytes: [UInt8], path: String) throws(ModelFileError) {
        self.path = path
        var reader = ProtobufReader(bytes[...], path: path)
        while let field = try reader.next() {
            switch (field.number, field.value) {
            case (1, .bytes(let bytes)): try readPiece(bytes)
            case (2, .bytes(let bytes)): try readTrainer(bytes)
            case (3, .bytes(let bytes)): try readNormalizer(bytes)
            // Test data, the way back, and what other programs add.
            default: break
            }
        }
        try check()
    }

    private func check() throws(ModelFileError) {
        guard !pieces.isEmpty else {
            throw ModelFileError(.malformed, "\(path): no pieces, so it is no SentencePiece model")
        }
        guard modelType == 2 else {
            let names = [1: "UNIGRAM", 3: "WORD", 4: "CHAR"]
            throw ModelFileError(
                .unsupported,
                "\(path): model_type \(names[modelType] ?? "\(modelType)") is not read; BPE is"
            )
        }
        guard charsMapByteCount == 0 else {
            throw ModelFileError(
                .unsupported,
                """
                \(path): normalizer \(normalizerName) has a character map of \(charsMapByteCount) \
                bytes, which is not read; identity is. Save a tokenizer.json beside it
                """
            )
        }
        guard !putsSpaceLast else {
            throw ModelFileError(.unsupported, "\(path): treat_whitespace_as_suffix is not read")
        }
        if hasByteFallback {
            let count = kinds.count { $0 == .byte }
            guard count == 256 else {
                throw ModelFileError(
                    .malformed,
                    "\(path): byte_fallback with \(count) byte pieces; 256 are needed"
                )
            }
        }
    }

    private mutating func readPiece(_ bytes: ArraySlice<UInt8>) throws(ModelFileError) {
        guard pieces.count < Self.pieceLimit else {
            throw ModelFileError(.malformed, "\(path): more than \(Self.pieceLimit) pieces")
        }
        var text: String?
        var score: Float = 0
        var kind = PieceScoreModel.Kind.normal
        var reader = ProtobufReader(bytes, path: path)
        while let field = try reader.next() {
            switch (field.number, field.value) {
            case (1, .bytes(let bytes)): text = String(validating: bytes, as: UTF8.self)
            case (2, .fixed32(let bits)): score = Float(bitPattern: bits)
            case (3, .integer(let value)):
                guard let known = Int(exactly: value).flatMap(PieceScoreModel.Kind.init) else {
                    throw ModelFileError(
                        .malformed,
                        "\(path): piece \(pieces.count) has the type \(value); 1 to 6 are"
                    )
                }
                kind = known
            default: break
            }
        }
        guard let text, !text.isEmpty, score.isFinite else {
            throw ModelFileError(
                .malformed,
                "\(path): piece \(pieces.count) has no text in UTF-8, or no finite score"
            )
        }
        pieces.append(text)
        scores.append(score)
        kinds.append(kind)
    }

    private mutating func readTrainer(_ bytes: ArraySlice<UInt8>) throws(ModelFileError) {
        var reader = ProtobufReader(bytes, path: path)
        while let field = try reader.next() {
            guard case .integer(let value) = field.value else { continue }
            // Absent tokens have the number -1.
            let number = Int(truncatingIfNeeded: Int32(truncatingIfNeeded: value))
            switch field.number {
            case 3: modelType = number
            case 24: putsSpaceLast = value != 0
            case 35: hasByteFallback = value != 0
            case 41: beginningOfText = number
            case 42: endOfText = number
            default: break
            }
        }
    }

    private mutating func readNormalizer(_ bytes: ArraySlice<UInt8>) throws(ModelFileError) {
        var reader = ProtobufReader(bytes, path: path)
        while let field = try reader.next() {
            switch (field.number, field.value) {
            case (1, .bytes(let bytes)): normalizerName = String(decoding: bytes, as: UTF8.self)
            case (2, .bytes(let bytes)): charsMapByteCount = bytes.count
            case (3, .integer(let value)): addsPrefix = value != 0
            case (4, .integer(let value)): squeezesSpaces = value != 0
            case (5, .integer(let value)): escapesSpaces = value != 0
            default: break
            }
        }
    }

    /// The tokenizer, with tokens that other files add and without any at a text's ends.
    func tokenizer(
        added: [Tokenizer.AddedToken] = [],
        addsBOS: Bool = false,
        addsEOS: Bool = false
    ) throws(ModelFileError) -> Tokenizer {
        let tokens = pieces.enumerated().map { (text: $1, id: Int32($0)) }
        let vocabulary = try TokenizerJSON.vocabulary(tokens, added: added, path: path)
        let extra = vocabulary.count - pieces.count
        var kinds = kinds
        if !hasByteFallback { kinds = kinds.map { $0 == .byte ? .control : $0 } }
        let model = PieceScoreModel(
            vocabulary: vocabulary,
            scores: scores + [Float](repeating: 0, count: extra),
            kinds: kinds + [PieceScoreModel.Kind](repeating: .control, count: extra)
        )
        var stages = Tokenizer.Stages()
        stages.addedTokens = added
        stages.normalizer = SentencePieceStages.normalizer(
            addsPrefix: addsPrefix,
            squeezes: squeezesSpaces,
            escapes: escapesSpaces
        )
        stages.decoder = SentencePieceStages.decoder(addsPrefix: addsPrefix)
        for (id, isAdded, name) in [
            (beginningOfText, addsBOS, "bos_id"), (endOfText, addsEOS, "eos_id"),
        ] where isAdded {
            guard pieces.indices.contains(id) else {
                throw ModelFileError(
                    .malformed,
                    "\(path): \(name) is \(id) of \(pieces.count) pieces, and it is to be added"
                )
            }
            if name == "bos_id" { stages.addedAtStart = [Int32(id)] }
            if name == "eos_id" { stages.addedAtEnd = [Int32(id)] }
        }
        return Tokenizer(vocabulary: vocabulary, scores: model, stages: stages)
    }
}

/// Reads the fields of a protobuf message one after another, never past its end.
struct ProtobufReader {
    enum Value {
        case integer(UInt64)
        case fixed32(UInt32)
        case bytes(ArraySlice<UInt8>)
        /// Eight bytes, which no field here is.
        case fixed64
    }

    private var bytes: ArraySlice<UInt8>
    private let path: String

    init(_ bytes: ArraySlice<UInt8>, path: String) {
        self.bytes = bytes
        self.path = path
    }

    /// The next field; nil at the end.
    mutating func next() throws(ModelFileError) -> (number: UInt64, value: Value)? {
        guard !bytes.isEmpty else { return nil }
        let key = try variable()
        let number = key >> 3
        guard number > 0 else { throw failure("field number 0") }
        switch key & 7 {
        case 0: return (number, .integer(try variable()))
        case 1:
            _ = try take(8)
            return (number, .fixed64)
        case 2:
            let count = try variable()
            guard count <= UInt64(bytes.count) else {
                throw failure("a field of \(count) bytes where \(bytes.count) are left")
            }
            return (number, .bytes(try take(Int(count))))
        case 5:
            let value = try take(4).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            return (number, .fixed32(value))
        default: throw failure("wire type \(key & 7)")
        }
    }

    private func failure(_ what: String) -> ModelFileError {
        ModelFileError(
            .malformed,
            "\(path): no protobuf message: \(what) at byte \(bytes.startIndex)"
        )
    }

    private mutating func take(_ count: Int) throws(ModelFileError) -> ArraySlice<UInt8> {
        guard count <= bytes.count else { throw failure("a cut field") }
        defer { bytes = bytes.dropFirst(count) }
        return bytes.prefix(count)
    }

    private mutating func variable() throws(ModelFileError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard let byte = bytes.popFirst() else { throw failure("a cut number") }
            guard shift < 63 || byte < 2 else { break }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        throw failure("a number of more than 64 bits")
    }
}
