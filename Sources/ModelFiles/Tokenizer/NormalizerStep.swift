internal import Foundation

/// What is done to a text before it is split, as tokenizer.json's `normalizer` lists it.
enum NormalizerStep: Sendable, Equatable {
    case canonicalComposition
    case canonicalDecomposition
    case compatibilityComposition
    case compatibilityDecomposition
    case lowercase
    /// White space at the ends is dropped.
    case strip(left: Bool, right: Bool)
    case replace(SplitExpression, [Unicode.Scalar])
    /// A text is put before, unless there is nothing to put it before.
    case prepend([Unicode.Scalar])
    /// SentencePiece's `remove_extra_whitespaces`: no spaces at the ends, one at a time within.
    case squeezeSpaces

    var isPrepend: Bool {
        if case .prepend = self { true } else { false }
    }

    func apply(_ scalars: [Unicode.Scalar]) -> [Unicode.Scalar] {
        guard !scalars.isEmpty else { return scalars }
        switch self {
        case .canonicalComposition:
            return Self.map(scalars, from: 0x300) {
                CanonicalComposition.compose(
                    $0.decomposedStringWithCanonicalMapping.unicodeScalars
                )
            }
        case .canonicalDecomposition:
            return Self.map(scalars, from: 0xC0) {
                Array($0.decomposedStringWithCanonicalMapping.unicodeScalars)
            }
        case .compatibilityComposition:
            return Self.map(scalars, from: 0xA0) {
                CanonicalComposition.compose(Self.compatible($0))
            }
        case .compatibilityDecomposition:
            return Self.map(scalars, from: 0xA0) { Array(Self.compatible($0)) }
        case .lowercase:
            return scalars.flatMap { $0.properties.lowercaseMapping.unicodeScalars }
        case .strip(let left, let right):
            var slice = scalars[...]
            if left { slice = slice.drop { $0.properties.isWhitespace } }
            while right, slice.last?.properties.isWhitespace == true { slice.removeLast() }
            return Array(slice)
        case .replace(let expression, let content):
            return Self.replace(scalars, expression, content)
        case .prepend(let prefix):
            return prefix + scalars
        case .squeezeSpaces:
            var output: [Unicode.Scalar] = []
            for scalar in scalars where scalar != " " || (output.last ?? " ") != " " {
                output.append(scalar)
            }
            if output.last == " " { output.removeLast() }
            return output
        }
    }

    /// The compatibility decomposition, in canonical order.
    ///
    /// Foundation's own mapping does not reorder marks after a character that it decomposes.
    private static func compatible(_ text: String) -> String.UnicodeScalarView {
        text.decomposedStringWithCompatibilityMapping.decomposedStringWithCanonicalMapping
            .unicodeScalars
    }

    /// Applies a mapping if a scalar is not below the first that it changes.
    ///
    /// The library's tables are of Unicode 9. What later versions assigned stays as it is, and
    /// nothing is composed or reordered across it.
    private static func map(
        _ scalars: [Unicode.Scalar],
        from first: UInt32,
        _ mapping: (String) -> [Unicode.Scalar]
    ) -> [Unicode.Scalar] {
        guard scalars.contains(where: { $0.value >= first }) else { return scalars }
        var output: [Unicode.Scalar] = []
        output.reserveCapacity(scalars.count)
        var view = String.UnicodeScalarView()
        for scalar in scalars {
            guard isUnknown(scalar) else {
                view.append(scalar)
                continue
            }
            output += mapping(String(view))
            output.append(scalar)
            view = String.UnicodeScalarView()
        }
        output += mapping(String(view))
        return output
    }

    /// Whether a scalar was assigned after Unicode 9.
    private static func isUnknown(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value >= 0x300 && (scalar.properties.age?.major ?? 0) > 9
    }

    private static func replace(
        _ scalars: [Unicode.Scalar],
        _ expression: SplitExpression,
        _ content: [Unicode.Scalar]
    ) -> [Unicode.Scalar] {
        var output: [Unicode.Scalar] = []
        output.reserveCapacity(scalars.count)
        var end = 0
        scalars.withUnsafeBufferPointer { text in
            expression.forEachMatch(in: text) { match in
                output.append(contentsOf: text[end..<match.lowerBound])
                output.append(contentsOf: content)
                end = match.upperBound
            }
            output.append(contentsOf: text[end...])
        }
        return output
    }
}
