/// The arguments of weights, inputs or the cache in a configuration of compressed-tensors.
///
/// - SeeAlso: `QuantizationArgs` of `quantization/quant_args.py`.
extension CompressedTensors {
    /// Arguments as the package understands them, where it allows to leave some out.
    struct Arguments: Equatable {
        /// What codes are.
        enum Element: String, CaseIterable {
            case int
            case float
        }

        /// What shares a scale.
        enum Strategy: String, CaseIterable {
            case tensor
            case channel
            case group
            case block
            case token
            case tensorGroup = "tensor_group"
            case head = "attn_head"
        }

        /// Which scales are found as the model runs.
        enum Dynamic: Equatable {
            case none
            /// Those of blocks; the one above them is stored.
            case local
            case all
        }

        let bits: Int
        let element: Element
        let isSymmetric: Bool
        let strategy: Strategy
        /// Nil unless by group.
        let groupSize: Int?
        /// Rows and columns of a block; nil unless by block.
        let blockStructure: [Int]?
        let dynamic: Dynamic
        /// `scale_dtype`.
        let scaleType: String?
        /// Whether GPTQ's order of columns was another while it ran.
        let isOrdered: Bool

        /// How scales were found does not matter any more, and zero points are of zero.
        static let keys = KnownKeys(
            used: [
                "num_bits", "type", "symmetric", "group_size", "strategy", "block_structure",
                "dynamic", "actorder", "scale_dtype",
            ],
            neutral: ["zp_dtype", "observer", "observer_kwargs"]
        )

        /// Reads arguments.
        ///
        /// - Throws: ``ModelFileError`` for what the package refuses.
        init(_ root: JSONObject) throws(ModelFileError) {
            bits = try root.integer("num_bits") ?? 8
            element = try root.word("type", ignoringCase: true) ?? .int
            isSymmetric = try root.flag("symmetric") ?? true
            scaleType = try root.text("scale_dtype")
            blockStructure = try Self.blockStructure(root)
            dynamic = try Self.dynamic(root)
            isOrdered = try Self.isOrdered(root)
            let size = try root.integer("group_size")
            if let size, size < -1 || size == 0 && root["strategy"] == nil {
                throw ModelFileError(.malformed, "\(root.place): group_size is \(size)")
            }
            // Minus one is what channels have.
            groupSize = size.flatMap { $0 > 0 ? $0 : nil }
            strategy =
                try root.word("strategy", ignoringCase: true)
                ?? (size == nil ? .tensor : size == -1 ? .channel : .group)
            try check(root.place)
        }

        /// What the package does not take together.
        private func check(_ place: String) throws(ModelFileError) {
            let isGroup = strategy == .group || strategy == .tensorGroup
            let name = strategy.rawValue
            let fault: String? =
                if isGroup, groupSize == nil {
                    "strategy is \(name), but group_size is no positive number"
                } else if !isGroup, let groupSize {
                    "strategy is \(name), but group_size is \(groupSize)"
                } else if strategy == .block, blockStructure == nil {
                    "strategy is block, but block_structure is missing"
                } else if strategy != .block, blockStructure != nil {
                    "block_structure is there, but strategy is \(name)"
                } else if strategy == .token, dynamic == .none {
                    "strategy is token, but dynamic is not true"
                } else if dynamic != .none, ![.token, .tensor].contains(strategy), !isGroup {
                    "dynamic is not false, but strategy is \(name)"
                } else if dynamic == .local, strategy != .tensorGroup {
                    "dynamic is local, but strategy is \(name), not tensor_group"
                } else {
                    nil
                }
            if let fault { throw ModelFileError(.malformed, "\(place): \(fault)") }
        }

        /// What the package does not take of inputs; nil if it takes them.
        var faultOfInputs: String? {
            if isOrdered { return "actorder is of weights only" }
            switch strategy {
            case .token, .tensor, .group, .tensorGroup, .head: return nil
            case .channel, .block: return "strategy is \(strategy.rawValue), which weights have"
            }
        }

        private static func dynamic(_ root: JSONObject) throws(ModelFileError) -> Dynamic {
            switch root["dynamic"] {
            case nil, .flag(false): return .none
            case .flag(true): return .all
            case .text(let text) where text.lowercased() == "local": return .local
            case .some(let value):
                throw ModelFileError(
                    .malformed,
                    "\(root.place): dynamic is \(value.excerpt), not true, false or local"
                )
            }
        }

        /// Columns in the order of their activations have another layout; GPTQ's own order has not.
        private static func isOrdered(_ root: JSONObject) throws(ModelFileError) -> Bool {
            switch root["actorder"] {
            case nil, .flag(false): return false
            case .text(let text) where ["weight", "static"].contains(text.lowercased()):
                return true
            case .some(let value):
                throw ModelFileError(
                    .unsupported,
                    "\(root.place): actorder is \(value.excerpt), which is not read"
                )
            }
        }

        /// `block_structure` is a pair, or a text of older files, as in `128x128`.
        private static func blockStructure(_ root: JSONObject) throws(ModelFileError) -> [Int]? {
            let sizes: [Int]
            switch root["block_structure"] {
            case nil: return nil
            case .list(let list):
                sizes = list.compactMap { if case .integer(let size) = $0 { size } else { nil } }
                guard sizes.count == list.count else { throw noStructure(root) }
            case .text(let text): sizes = text.split(separator: "x").compactMap { Int($0) }
            default: throw noStructure(root)
            }
            guard sizes.count == 2, sizes.allSatisfy({ (1...1 << 20).contains($0) }) else {
                throw noStructure(root)
            }
            return sizes
        }

        private static func noStructure(_ root: JSONObject) -> ModelFileError {
            ModelFileError(
                .malformed,
                "\(root.place): block_structure is not two positive numbers"
            )
        }

        /// In words, as in `dynamic 8-bit float by group of 128`.
        var description: String {
            let kind =
                switch dynamic {
                case .none: "static"
                case .local: "locally dynamic"
                case .all: "dynamic"
                }
            let size = groupSize.map { " of \($0)" } ?? ""
            let scales = scaleType.map { " with \($0) scales" } ?? ""
            return "\(isSymmetric ? "" : "asymmetric ")\(kind) \(bits)-bit \(element.rawValue) by "
                + "\(strategy.rawValue)\(size)\(scales)"
        }
    }
}

extension JSONObject {
    /// The case that a member names; nil if it is absent or null.
    ///
    /// - Throws: ``ModelFileError`` (`malformed`) if it is another word, so that none is taken for a
    ///   default.
    func word<Word: RawRepresentable<String> & CaseIterable>(
        _ key: String,
        ignoringCase: Bool = false
    ) throws(ModelFileError) -> Word? {
        guard let text = try text(key) else { return nil }
        guard let word = Word(rawValue: ignoringCase ? text.lowercased() : text) else {
            let words = Word.allCases.map(\.rawValue).joined(separator: ", ")
            throw ModelFileError(
                .malformed,
                "\(place): \(key) is \(text.prefix(64).debugDescription), none of \(words)"
            )
        }
        return word
    }
}
