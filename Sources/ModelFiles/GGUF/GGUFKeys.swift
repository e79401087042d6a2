/// The metadata of one architecture in a GGUF file that remembers who asked for it.
struct GGUFKeys {
    /// What begins the keys, as in `llama`.
    let architecture: String
    /// The file.
    let path: String
    private let metadata: [String: GGUFFile.Value]
    private var taken: Set<String> = []

    init(_ metadata: [String: GGUFFile.Value], architecture: String, path: String) {
        self.metadata = metadata
        self.architecture = architecture
        self.path = path
    }

    private func name(_ key: String) -> String { "\(architecture).\(key)" }

    private mutating func take(_ key: String) -> GGUFFile.Value? {
        taken.insert(key)
        return metadata[name(key)]
    }

    func isPresent(_ key: String) -> Bool { metadata[name(key)] != nil }

    /// An integer; a list of equal ones, one for each layer, is one.
    mutating func integer(_ key: String) throws(ModelFileError) -> Int? {
        guard let value = take(key) else { return nil }
        switch value {
        case .integer(let number): return number
        case .integers(let list):
            if let first = list.first, list.allSatisfy({ $0 == first }) { return first }
            throw refusal(key, "layers of different sizes are not computed")
        default: throw malformed(key, "is no integer")
        }
    }

    /// A number; one that FP32 holds is the shortest decimal of it.
    mutating func number(_ key: String) throws(ModelFileError) -> Double? {
        guard let value = take(key) else { return nil }
        switch value {
        case .integer(let number): return Double(number)
        case .number(let number):
            guard number.isFinite else { throw malformed(key, "is \(number)") }
            let float = Float(number)
            return Double(float) == number ? float.decimal : number
        default: throw malformed(key, "is no number")
        }
    }

    mutating func flag(_ key: String) throws(ModelFileError) -> Bool? {
        guard let value = take(key) else { return nil }
        guard case .boolean(let flag) = value else { throw malformed(key, "is no flag") }
        return flag
    }

    mutating func flags(_ key: String) throws(ModelFileError) -> [Bool]? {
        guard let value = take(key) else { return nil }
        switch value {
        case .flags(let flags): return flags
        case .integers(let list): return list.map { $0 != 0 }
        default: throw malformed(key, "is no list of flags")
        }
    }

    /// Which layers have windows by `attention.sliding_window_pattern`: a flag for each, or the
    /// period in which one layer has none.
    mutating func slidingLayers(
        count: Int,
        by layers: (_ count: Int, _ period: Int?) -> [Bool]
    ) throws(ModelFileError) -> [Bool] {
        let key = "attention.sliding_window_pattern"
        guard isPresent(key) else { return layers(count, nil) }
        if case .integer(let period) = metadata[name(key)] {
            taken.insert(key)
            guard period > 0 else { throw malformed(key, "is \(period)") }
            return layers(count, period)
        }
        let list = try flags(key) ?? []
        guard list.count == count else {
            throw malformed(key, "has \(list.count) of \(count) layers")
        }
        return list
    }

    mutating func text(_ key: String) throws(ModelFileError) -> String? {
        guard let value = take(key) else { return nil }
        guard case .text(let text) = value else { throw malformed(key, "is no text") }
        return text
    }

    mutating func required(_ key: String) throws(ModelFileError) -> Int {
        guard let value = try integer(key) else { throw malformed(key, "is missing") }
        return value
    }

    /// Takes keys that change nothing of what is computed.
    mutating func ignore(_ keys: [String]) { taken.formUnion(keys) }

    /// Takes a key with the only value that is computed.
    mutating func expect(_ key: String, _ value: GGUFFile.Value) throws(ModelFileError) {
        guard let found = take(key), found != value else { return }
        throw refusal(key, "only \(value.excerpt) is computed")
    }

    /// Refuses the architecture's keys that nobody took.
    func refuseRest() throws(ModelFileError) {
        let prefix = architecture + "."
        let rest = metadata.keys.filter { $0.hasPrefix(prefix) }
            .map { String($0.dropFirst(prefix.count)) }
            .filter { !taken.contains($0) }
        guard let key = rest.min() else { return }
        throw refusal(key, "qat does not know this key; use the Hugging Face folder")
    }

    /// An error that names a key, its value and why it is not read.
    func refusal(_ key: String, _ reason: String) -> ModelFileError {
        let value = metadata[name(key)]?.excerpt ?? "missing"
        return ModelFileError(
            .unsupported,
            "\(path): metadata \(name(key)) is \(value): \(reason)"
        )
    }

    func malformed(_ key: String, _ what: String) -> ModelFileError {
        ModelFileError(.malformed, "\(path): metadata \(name(key)) \(what)")
    }
}

extension GGUFFile.Value {
    /// The value, shortened, for messages.
    var excerpt: String {
        switch self {
        case .integer(let number): "\(number)"
        case .number(let number): "\(Float(number))"
        case .boolean(let flag): "\(flag)"
        case .text(let text): "\"\(text.prefix(60))\""
        case .texts(let texts): "a list of \(texts.count) texts"
        case .integers(let list): "[\(list.prefix(4).map { "\($0)" }.joined(separator: ", ")), …]"
        case .flags(let flags): "a list of \(flags.count) flags"
        case .floats(let list): "a list of \(list.count) numbers"
        case .other: "a list"
        }
    }
}

/// The metadata of one architecture that is to be written, in order.
struct GGUFMetadata {
    /// What begins the keys, as in `llama`.
    let architecture: String
    private(set) var pairs: [(key: String, value: ByteWriter.Value)] = []

    init(architecture: String) { self.architecture = architecture }

    mutating func set(_ key: String, _ value: Int) {
        pairs.append(("\(architecture).\(key)", .unsigned(UInt32(clamping: value))))
    }

    mutating func set(_ key: String, _ value: Float) {
        pairs.append(("\(architecture).\(key)", .float(value)))
    }

    mutating func set(_ key: String, _ value: String) {
        pairs.append(("\(architecture).\(key)", .text(value)))
    }

    mutating func set(_ key: String, _ value: [Bool]) {
        pairs.append(("\(architecture).\(key)", .flags(value)))
    }

    /// The pairs as a reader has them.
    var values: [String: GGUFFile.Value] {
        Dictionary(
            uniqueKeysWithValues: pairs.map { key, value in
                switch value {
                case .unsigned(let number): (key, .integer(Int(number)))
                case .float(let number): (key, .number(Double(number)))
                case .boolean(let flag): (key, .boolean(flag))
                case .text(let text): (key, .text(text))
                case .texts(let texts): (key, .texts(texts))
                case .integers(let list): (key, .integers(list.map { Int($0) }))
                case .flags(let flags): (key, .flags(flags))
                case .floats(let list): (key, .floats(list))
                case .stored: (key, .other)
                }
            }
        )
    }
}
