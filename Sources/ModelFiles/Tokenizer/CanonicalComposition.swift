/// Puts marks together with what they stand on: the second half of NFC and NFKC.
///
/// Foundation's own mapping misses a final consonant after a composed Hangul syllable and takes scalars
/// for one that are none.
enum CanonicalComposition {
    private static let pairs: [UInt64: UInt32] = {
        let triples = CompositionTable.triples
        var pairs: [UInt64: UInt32] = [:]
        for start in stride(from: 0, to: triples.count, by: 3) {
            pairs[key(triples[start], triples[start + 1])] = triples[start + 2]
        }
        return pairs
    }()

    /// Composes a decomposed text in canonical order (Unicode 3.11, D117).
    static func compose(_ scalars: some Sequence<Unicode.Scalar>) -> [Unicode.Scalar] {
        var output: [Unicode.Scalar] = []
        /// Where the last starter stands, and the class of what was put behind it last.
        var starter: Int?
        var lastClass: UInt8 = 0
        for scalar in scalars {
            let own = scalar.properties.canonicalCombiningClass.rawValue
            let isBlocked = starter.map { output.count - 1 > $0 && lastClass >= own } ?? true
            if let starter, !isBlocked, let composite = compose(output[starter], scalar) {
                output[starter] = composite
                continue
            }
            if own == 0 { starter = output.count }
            lastClass = own
            output.append(scalar)
        }
        return output
    }

    private static func compose(
        _ first: Unicode.Scalar,
        _ second: Unicode.Scalar
    ) -> Unicode.Scalar? {
        hangul(first.value, second.value)
            ?? pairs[key(first.value, second.value)].flatMap(Unicode.Scalar.init)
    }

    /// Unicode 3.12: syllables of a leading consonant and a vowel, then a final consonant.
    private static func hangul(_ first: UInt32, _ second: UInt32) -> Unicode.Scalar? {
        let (syllables, finals): (UInt32, UInt32) = (0xAC00, 28)
        if (0x1100..<0x1113).contains(first), (0x1161..<0x1176).contains(second) {
            return Unicode.Scalar(syllables + ((first - 0x1100) * 21 + second - 0x1161) * finals)
        }
        // The final before the first one stands for none.
        if (syllables..<0xD7A4).contains(first), (first - syllables) % finals == 0,
            (0x11A8..<0x11C3).contains(second)
        {
            return Unicode.Scalar(first + second - 0x11A7)
        }
        return nil
    }

    private static func key(_ first: UInt32, _ second: UInt32) -> UInt64 {
        UInt64(first) << 32 | UInt64(second)
    }
}
