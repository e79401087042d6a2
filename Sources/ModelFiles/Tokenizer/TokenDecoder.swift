/// How tokens become text again, as tokenizer.json's `decoder` lists it.
enum DecoderStep: Sendable, Equatable {
    case byteLevel
    case replace(SplitExpression, [UInt8])
    /// Runs of byte tokens become what they spell; bytes that are no UTF-8 become replacement
    /// characters.
    case byteFallback
    case fuse
    /// Up to so many of a character are dropped at a token's start and end.
    case strip(Unicode.Scalar, start: Int, stop: Int)
    /// The stand-in becomes a space, or nothing in the first token.
    case metaspace(Unicode.Scalar, dropsFirst: Bool)

    func apply(_ tokens: [[UInt8]]) -> [[UInt8]] {
        switch self {
        case .byteLevel:
            var bytes: [UInt8] = []
            for token in tokens {
                bytes += ByteAlphabet.bytes(of: String(decoding: token, as: UTF8.self)) ?? token
            }
            return [Array(String(decoding: bytes, as: UTF8.self).utf8)]
        case .replace(let expression, let content):
            return tokens.map { Self.replace($0, expression, content) }
        case .byteFallback: return Self.joinBytes(tokens)
        case .fuse: return [tokens.flatMap { $0 }]
        case .strip(let scalar, let start, let stop):
            let unit = Array(String(scalar).utf8)
            return tokens.map { Self.strip($0, unit, start: start, stop: stop) }
        case .metaspace(let replacement, let dropsFirst):
            return tokens.enumerated().map { index, token in
                var view = String.UnicodeScalarView()
                for scalar in String(decoding: token, as: UTF8.self).unicodeScalars {
                    if scalar != replacement {
                        view.append(scalar)
                    } else if index > 0 || !dropsFirst {
                        view.append(" ")
                    }
                }
                return Array(String(view).utf8)
            }
        }
    }

    private static func replace(
        _ token: [UInt8],
        _ expression: SplitExpression,
        _ content: [UInt8]
    ) -> [UInt8] {
        let scalars = Array(String(decoding: token, as: UTF8.self).unicodeScalars)
        let replacement = Array(String(decoding: content, as: UTF8.self).unicodeScalars)
        var view = String.UnicodeScalarView()
        view.append(contentsOf: NormalizerStep.replace(expression, replacement).apply(scalars))
        return Array(String(view).utf8)
    }

    private static func joinBytes(_ tokens: [[UInt8]]) -> [[UInt8]] {
        var output: [[UInt8]] = []
        var pending: [UInt8] = []
        func flush(_ pending: inout [UInt8], _ output: inout [[UInt8]]) {
            guard !pending.isEmpty else { return }
            if String(validating: pending, as: UTF8.self) != nil {
                output.append(pending)
            } else {
                output += [[UInt8]](repeating: Array("\u{FFFD}".utf8), count: pending.count)
            }
            pending = []
        }
        for token in tokens {
            if let byte = ByteAlphabet.fallbackByte(of: token) {
                pending.append(byte)
            } else {
                flush(&pending, &output)
                output.append(token)
            }
        }
        flush(&pending, &output)
        return output
    }

    private static func strip(
        _ token: [UInt8],
        _ unit: [UInt8],
        start: Int,
        stop: Int
    ) -> [UInt8] {
        var slice = token[...]
        for _ in 0..<start where slice.starts(with: unit) { slice = slice.dropFirst(unit.count) }
        for _ in 0..<stop where slice.suffix(unit.count).elementsEqual(unit) {
            slice = slice.dropLast(unit.count)
        }
        return Array(slice)
    }
}
