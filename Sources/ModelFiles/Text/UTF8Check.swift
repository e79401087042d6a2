/// Where a text's bytes first break UTF-8, and what they may be instead.
///
/// - SeeAlso: The Unicode Standard, section 3.9, table 3-7.
struct UTF8Check {
    /// What is wrong.
    enum Fault: Equatable {
        /// A byte that no UTF-8 has there.
        case byte(UInt8)
        /// The text ends within a character.
        case end
        /// A zero byte, which no text holds.
        case zero
    }

    /// The first byte that is wrong, counted from the first byte of the buffer.
    let offset: Int
    let fault: Fault

    /// Looks for the first fault; nil if there is none.
    init?(_ bytes: UnsafeRawBufferPointer) {
        var index = 0
        let count = bytes.count
        while index < count {
            index = Self.skipPlain(bytes, from: index)
            guard index < count else { return nil }
            let lead = bytes[index]
            guard lead != 0 else {
                (offset, fault) = (index, .zero)
                return
            }
            guard lead >= 0x80 else {
                index += 1
                continue
            }
            guard let (length, second) = Self.sequence(lead) else {
                (offset, fault) = (index, .byte(lead))
                return
            }
            for step in 1..<length {
                guard index + step < count else {
                    (offset, fault) = (index, .end)
                    return
                }
                let allowed = step == 1 ? second : 0x80...0xBF
                guard allowed.contains(bytes[index + step]) else {
                    (offset, fault) = (index, .byte(lead))
                    return
                }
            }
            index += length
        }
        return nil
    }

    /// Skips what is neither zero nor above ASCII, eight bytes at a time.
    private static func skipPlain(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        var index = start
        while index + 8 <= bytes.count {
            let word = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            // A byte's high bit stays clear only if the byte is 1...0x7F.
            let marks = (word &- 0x0101_0101_0101_0101) | word
            guard marks & 0x8080_8080_8080_8080 == 0 else { break }
            index += 8
        }
        return index
    }

    /// How long a character with this first byte is, and what its second byte may be.
    private static func sequence(_ lead: UInt8) -> (length: Int, second: ClosedRange<UInt8>)? {
        switch lead {
        case 0xC2...0xDF: (2, 0x80...0xBF)
        case 0xE0: (3, 0xA0...0xBF)
        case 0xED: (3, 0x80...0x9F)
        case 0xE1...0xEF: (3, 0x80...0xBF)
        case 0xF0: (4, 0x90...0xBF)
        case 0xF1...0xF3: (4, 0x80...0xBF)
        case 0xF4: (4, 0x80...0x8F)
        default: nil
        }
    }

    /// The sentence about the fault.
    ///
    /// `skipped`: Bytes of the file before the buffer.
    func message(
        _ bytes: UnsafeRawBufferPointer,
        skipped: Int,
        name: String,
        path: String
    ) -> String {
        let line = bytes[..<offset].reduce(1) { $1 == UInt8(ascii: "\n") ? $0 + 1 : $0 }
        let place = "at byte \(skipped + offset), in line \(line)"
        if Self.isBinary(bytes, around: offset) {
            let what =
                switch fault {
                case .zero: "a zero byte"
                case .end: "its end"
                case .byte(let byte): "byte 0x\(String(byte, radix: 16, uppercase: true))"
                }
            return "\(name): not UTF-8 text but binary data: \(what) \(place); expected a text"
        }
        switch fault {
        case .zero:
            return """
                \(name): a zero byte \(place); expected UTF-8 text: a text cut or padded by a crash \
                holds such bytes; take them out: \(TextForm.filled(#"tr -d '\000' < IN > OUT"#, path))
                """
        case .end:
            return """
                \(name): not UTF-8: the file ends within a character, \(place); cut off? This \
                leaves the rest out: \(TextForm.repair(of: path))
                """
        case .byte(let byte):
            let digits = String(byte, radix: 16, uppercase: true)
            let what = "\(name): not UTF-8: byte 0x\(digits) \(place)"
            guard let encoding = Self.singleByteEncoding(bytes, from: offset) else {
                return """
                    \(what); if it is in another encoding, convert it: \
                    \(TextForm.conversion(of: path, from: "ENCODING")); if it is broken, this leaves \
                    out what is: \(TextForm.repair(of: path))
                    """
            }
            let known = encoding == "ISO-8859-1" ? "Latin-1 (ISO-8859-1)" : encoding
            return """
                \(what); it looks like \(known), so convert it: \
                \(TextForm.conversion(of: path, from: encoding))
                """
        }
    }

    /// Whether what stands around a fault is no text that was cut, padded or converted, so that nothing makes
    /// text of it: zeros in many places, or control characters that no text holds, one byte in fifty.
    ///
    /// A crash leaves zeros in few places, many in a row.
    private static func isBinary(_ bytes: UnsafeRawBufferPointer, around fault: Int) -> Bool {
        let range = max(0, fault - (1 << 16))..<min(bytes.count, fault + (1 << 16))
        var (zeroRuns, controls, others) = (0, 0, 0)
        var isZero = false
        for byte in UnsafeRawBufferPointer(rebasing: bytes[range]) {
            if byte == 0 {
                if !isZero { zeroRuns += 1 }
            } else if byte < 0x20 && !(0x08...0x0D).contains(byte) && byte != 0x1B || byte == 0x7F {
                controls += 1
            } else {
                others += 1
            }
            isZero = byte == 0
        }
        return zeroRuns > 8 || controls > 8 && controls * 50 > controls + others
    }

    /// The encoding of western European letters that the text seems to have around the fault.
    ///
    /// At least four in five of its bytes above ASCII make up no UTF-8 character, nine in ten of these
    /// stand as Latin-1 or Windows-1252 has them in words, they are a quarter of the text at most, and
    /// hardly any byte is a control character. Other alphabets (Cyrillic, Greek), central European
    /// encodings and broken files fail one of these.
    private static func singleByteEncoding(
        _ bytes: UnsafeRawBufferPointer,
        from fault: Int
    ) -> String? {
        let range = max(0, fault - (1 << 16))..<min(bytes.count, fault + (1 << 16))
        var index = range.lowerBound
        var (controls, single, multiple, windows, fitting) = (0, 0, 0, 0, 0)
        while index < range.upperBound {
            let byte = bytes[index]
            switch byte {
            case 0x20..<0x7F, 0x09, 0x0A, 0x0C, 0x0D: break
            case 0..<0x20, 0x7F: controls += 1
            default:
                if let (length, second) = sequence(byte), index + length <= range.upperBound,
                    second.contains(bytes[index + 1]),
                    (1..<length).allSatisfy({ bytes[index + $0] & 0xC0 == 0x80 })
                {
                    multiple += 1
                    index += length - 1
                } else {
                    single += 1
                    if (0x80...0x9F).contains(byte) { windows += 1 }
                    if fitsWesternText(bytes, at: index, in: range) { fitting += 1 }
                }
            }
            index += 1
        }
        guard controls * 100 <= range.count, multiple * 4 <= single, single * 4 <= range.count,
            fitting * 10 >= single * 9
        else { return nil }
        return windows > 0 ? "WINDOWS-1252" : "ISO-8859-1"
    }

    /// Whether a byte above ASCII may stand where it does in Latin-1 or Windows-1252: an accented letter
    /// in a word, a sign not between two letters.
    private static func fitsWesternText(
        _ bytes: UnsafeRawBufferPointer,
        at index: Int,
        in range: Range<Int>
    ) -> Bool {
        func isLetter(_ index: Int) -> Bool {
            range.contains(index) && (0x61...0x7A).contains(bytes[index] | 0x20)
        }
        let isWithin = [index - 1, index + 1].allSatisfy {
            isLetter($0) || range.contains($0) && bytes[$0] >= 0xC0
        }
        switch bytes[index] {
        // Windows-1252 has no characters for these.
        case 0x81, 0x8D, 0x8F, 0x90, 0x9D: return false
        // OE, S, Z, Y with their marks, and what stands within words: apostrophe, dashes, hyphen, dot.
        case 0x8A, 0x8C, 0x8E, 0x9A, 0x9C, 0x9E, 0x9F:
            return isLetter(index - 1) || isLetter(index + 1)
        case 0x92, 0x96, 0x97, 0xAD, 0xB7: return true
        case 0x80...0xBF, 0xD7, 0xF7: return !isWithin
        // y with two dots ends no word that people write; 0xFF is what broken files hold.
        case 0xFF: return isWithin
        // A letter: beside one of ASCII, or a word of its own.
        default:
            let isAlone = [index - 1, index + 1].allSatisfy {
                !range.contains($0) || bytes[$0] < 0x80 && !isLetter($0)
            }
            return isLetter(index - 1) || isLetter(index + 1) || isAlone
        }
    }
}
