/// The parts of a model's name, as in `meta-llama/Llama-3.2-1B-Instruct`.
///
/// - SeeAlso: llama.cpp, `gguf-py/gguf/metadata.py`, `get_model_id_components`: what its converter
///   takes them for.
struct ModelName: Sendable, Equatable {
    private enum Kind { case base, size, finetune, version, type }

    /// The name without the organization.
    let full: String
    private(set) var organization: String?
    private(set) var basename: String?
    private(set) var finetune: String?
    private(set) var version: String?
    private(set) var sizeLabel: String?

    /// `parameterCount`: Parameters of the model, which tell its size from the length of its context.
    init(_ identifier: String, parameterCount: Int) {
        guard !identifier.contains(" ") else {
            full = identifier
            return
        }
        let halves = identifier.split(separator: "/", maxSplits: 1).map(String.init)
        full = halves.last ?? identifier
        if halves.count == 2, !halves[0].hasPrefix(".") { organization = halves[0] }
        var parts = full.split(separator: "-").map(String.init)
        var kinds: [Set<Kind>] = []
        for index in parts.indices {
            kinds.append(Self.kinds(&parts[index], isFirst: index == 0, parameterCount))
        }
        Self.dropWords(parts, &kinds)
        Self.findBase(parts, &kinds)
        func joined(_ isPart: (Set<Kind>) -> Bool) -> String? {
            let chosen = zip(parts, kinds).filter { isPart($0.1) }.map(\.0)
            return chosen.isEmpty ? nil : chosen.joined(separator: "-")
        }
        sizeLabel = joined { $0.contains(.size) }
        finetune = joined { $0.contains(.finetune) }
        version = joined { $0.contains(.version) && !$0.contains(.base) }
        // A name of one word may be anything.
        if sizeLabel != nil || finetune != nil || version != nil {
            basename = joined { $0.contains(.base) }
        }
    }

    private static func kinds(
        _ part: inout String,
        isFirst: Bool,
        _ parameterCount: Int
    ) -> Set<Kind> {
        let lower = part.lowercased()
        if lower.wholeMatch(of: /(v|iter)?\d+(\.\d+)*/) != nil { return [.version] }
        if lower.wholeMatch(of: /i?q\d(_\w)*|b?fp?(16|32)/) != nil {
            part = part.uppercased()
            return [.type]
        }
        if isFirst { return [] }
        if lower.wholeMatch(of: /small|mini|medium|large|x?xl/) != nil { return [.size] }
        if lower.wholeMatch(of: /(a|\d+x)?\d+([._]\d+)?[kmbt]\d?/) != nil {
            return size(&part, parameterCount)
        }
        return lower.wholeMatch(of: /chat|instruct|vision|lora/) == nil ? [] : [.finetune]
    }

    /// A number with a unit: the size, unless that is far from the count.
    private static func size(_ part: inout String, _ parameterCount: Int) -> Set<Kind> {
        part = part.replacing("_", with: ".")
        if let last = part.last, last.isNumber {
            // As in bloom-7b1.
            let unit = part.dropLast().last.map(String.init) ?? ""
            part = "\(part.dropLast(2)).\(last)\(unit)"
        }
        let unit = part.last?.uppercased() ?? ""
        part = part.dropLast() + unit
        let scales = ["K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12]
        if parameterCount > 0, let number = Double(part.dropLast()), let scale = scales[unit] {
            let distance = abs(number * scale - Double(parameterCount))
            if distance > 7 * Double(parameterCount) / 8 {
                part = part.dropLast() + unit.lowercased()
                return [.finetune]
            }
        }
        return [.size]
    }

    /// Sizes in words say nothing beside one in numbers.
    private static func dropWords(_ parts: [String], _ kinds: inout [Set<Kind>]) {
        let sizes = parts.indices.filter { kinds[$0].contains(.size) }
        guard sizes.contains(where: { parts[$0].contains(where: \.isNumber) }) else { return }
        for index in sizes where parts[index].allSatisfy(\.isLetter) { kinds[index] = [] }
    }

    /// What begins the name, up to the first part of another kind, is the base; the rest tells of
    /// its tuning.
    private static func findBase(_ parts: [String], _ kinds: inout [Set<Kind>]) {
        var isAtStart = true
        for index in parts.indices {
            let isWord = kinds[index].isEmpty && parts[index].first?.isLetter == true
            if isAtStart, isWord || kinds[index].contains(.version) {
                kinds[index].insert(.base)
            } else {
                isAtStart = false
                if kinds[index].isEmpty { kinds[index].insert(.finetune) }
            }
        }
        for index in parts.indices.reversed() {
            guard kinds[index].contains(.base), kinds[index].count > 1 else { return }
            kinds[index].remove(.base)
        }
    }

    /// A name in words with capitals, but for numbers and versions.
    static func title(_ name: String) -> String {
        name.replacing("-", with: " ").split(whereSeparator: \.isWhitespace).map { word in
            let isLower = word == word.lowercased() && word.contains(where: \.isLetter)
            let isVersion = word.wholeMatch(of: /v\d+(\.\d+)*/) != nil
            let isNumber = word.first?.isNumber == true || isVersion
            guard isLower, !isNumber else { return String(word) }
            var wasLetter = false
            return word.reduce(into: "") { text, character in
                text += wasLetter ? String(character) : character.uppercased()
                wasLetter = character.isLetter
            }
        }.joined(separator: " ")
    }

    /// A count of parameters in two digits or more, as in `135M`.
    static func sizeLabel(_ count: Int) -> String {
        let units = [(1e12, "T"), (1e9, "B"), (1e6, "M")]
        let (scale, unit) = units.first { Double(count) > $0.0 } ?? (1e3, "K")
        let value = Double(count) / scale
        let whole = value.rounded(.toNearestOrEven)
        if whole >= 10 { return "\(Int(whole))\(unit)" }
        if whole >= 1 { return "\((value * 10).rounded() / 10)\(unit)" }
        return "\((value * 100).rounded() / 100)\(unit)"
    }
}
