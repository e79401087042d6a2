/// Checks the numbers of a tensor in one pass over its mapped bytes.
enum ValueLint {
    /// Elements that are wrong.
    private struct Tally {
        var count = 0
        var first: Int?

        mutating func add(_ index: Int) {
            count += 1
            if first == nil { first = index }
        }
    }

    /// Checks a tensor of a quantized module.
    static func values(
        _ tensor: SafetensorsFile.Tensor,
        _ role: SchemeTensor.Role,
        _ log: inout LintLog
    ) {
        let (name, shape) = (tensor.name, tensor.shape)
        switch role {
        case .elements:
            // Of packed codes every byte is valid.
            guard tensor.type == .f8E4M3 else { return }
            let found = tally(tensor.bytes) { $0 & 0x7F == 0x7F }
            report(found, "E4M3 elements are NaN", name, shape, &log)
        case .blockScales where tensor.type == .f8E4M3:
            let nan = tally(tensor.bytes) { $0 & 0x7F == 0x7F }
            report(nan, "scale bytes are NaN in E4M3", name, shape, &log)
            let negative = tally(tensor.bytes) { $0 & 0x80 != 0 && $0 != 0xFF }
            report(negative, "scale bytes are negative", name, shape, &log)
        case .blockScales:
            let found = tally(tensor.bytes) { $0 == 0xFF }
            report(found, "scale bytes are 255, NaN in E8M0", name, shape, &log)
        case .columnFactors: floats(tensor, &log)
        case .factors, .twoLevelFactor, .twoLevelDivisor, .inputFactor, .twoLevelInputFactor,
            .twoLevelInputDivisor:
            factors(tensor.bytes, name, shape, &log)
            lintDirection(tensor, role, &log)
        }
        MappedFile.dropPages(of: tensor.bytes)
    }

    /// Checks that a float tensor's values are finite.
    static func floats(_ tensor: SafetensorsFile.Tensor, _ log: inout LintLog) {
        let found =
            switch tensor.type {
            case .f32: words(tensor.bytes, mask: 0x7F80_0000 as UInt32)
            case .bf16: words(tensor.bytes, mask: 0x7F80 as UInt16)
            case .f16: words(tensor.bytes, mask: 0x7C00 as UInt16)
            default: Tally()
            }
        report(found, "values are not finite", tensor.name, tensor.shape, &log)
        MappedFile.dropPages(of: tensor.bytes)
    }

    /// Checks the same of a GGUF tensor, and its blocks' scales.
    static func blocks(_ tensor: GGUFFile.Tensor, _ log: inout LintLog) {
        let (name, bytes, stride) = (tensor.name, tensor.bytes, tensor.type.blockByteCount)
        switch tensor.type {
        case .f32:
            let found = words(bytes, mask: 0x7F80_0000 as UInt32)
            report(found, "values are not finite", name, tensor.shape, &log)
        case .bf16, .f16:
            let mask: UInt16 = tensor.type == .bf16 ? 0x7F80 : 0x7C00
            report(words(bytes, mask: mask), "values are not finite", name, tensor.shape, &log)
        case .mxfp4:
            let found = tally(bytes, stride: stride, scales: 1) { $0 == 0xFF }
            report(found, "blocks have a scale of 255, NaN in E8M0", name, [], &log)
        case .nvfp4:
            let found = tally(bytes, stride: stride, scales: 4) { $0 >= 0x7F }
            report(found, "scale bytes are negative or NaN", name, [], &log)
        case .q4_0, .q4_1, .q8_0:
            // The exponent of the half-precision factor stands in its second byte.
            let found = tally(
                UnsafeRawBufferPointer(rebasing: bytes.dropFirst()),
                stride: stride,
                scales: 1
            ) { $0 & 0x7C == 0x7C }
            report(found, "blocks have a factor that is not finite", name, [], &log)
        case .q4_K, .q5_K, .q6_K: return
        }
        MappedFile.dropPages(of: bytes)
    }

    /// Checks that FP32 scales are finite and positive; a zero among several is a row of zeros.
    static func factors(
        _ bytes: UnsafeRawBufferPointer,
        _ name: String,
        _ shape: [Int],
        _ log: inout LintLog
    ) {
        var wrong = Tally()
        var zeros = Tally()
        for index in 0..<bytes.count / 4 {
            let value = float(bytes, index)
            if !value.isFinite || value < 0 {
                wrong.add(index)
            } else if value == 0 {
                zeros.add(index)
            }
        }
        report(wrong, "FP32 scales are negative or not finite", name, shape, &log)
        guard bytes.count > 4 else {
            return report(zeros, "FP32 scales are zero", name, shape, &log)
        }
        if zeros.count > 0 {
            log.warning(name, "\(zeros.count) rows have a scale of zero")
        }
    }

    /// A little-endian FP32 number.
    static func float(_ bytes: UnsafeRawBufferPointer, _ index: Int) -> Float {
        let bits = bytes.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self)
        return Float(bitPattern: UInt32(littleEndian: bits))
    }

    /// Weights and inputs of trained models stay far below 2688, where factor and divisor cross.
    private static func lintDirection(
        _ tensor: SafetensorsFile.Tensor,
        _ role: SchemeTensor.Role,
        _ log: inout LintLog
    ) {
        guard role.isTwoLevel else { return }
        let value = float(tensor.bytes, 0)
        if role.isReciprocal, value > 0, value < 1 {
            log.warning(
                tensor.name,
                "is \(value), below 1: it looks inverted; compressed-tensors stores 2688 / amax"
            )
        } else if !role.isReciprocal, value > 1, value.isFinite {
            log.warning(
                tensor.name,
                "is \(value), above 1: it looks inverted; ModelOpt stores amax / 2688"
            )
        }
    }

    private static func report(
        _ tally: Tally,
        _ what: String,
        _ name: String,
        _ shape: [Int],
        _ log: inout LintLog
    ) {
        guard let first = tally.first else { return }
        let columns = shape.count == 2 ? shape[1] : 0
        let place = columns > 0 ? "[\(first / columns), \(first % columns)]" : "\(first)"
        log.error(name, "\(tally.count) \(what), the first at \(place); export it again")
    }

    @inline(__always)
    private static func tally(
        _ bytes: UnsafeRawBufferPointer,
        _ isWrong: (UInt8) -> Bool
    ) -> Tally {
        var tally = Tally()
        for index in 0..<bytes.count where isWrong(bytes[index]) { tally.add(index) }
        return tally
    }

    /// Looks at the first `scales` bytes of every block of `stride`.
    @inline(__always)
    private static func tally(
        _ bytes: UnsafeRawBufferPointer,
        stride: Int,
        scales: Int,
        _ isWrong: (UInt8) -> Bool
    ) -> Tally {
        var tally = Tally()
        for start in Swift.stride(from: 0, to: bytes.count, by: stride) {
            for index in start..<min(start + scales, bytes.count) where isWrong(bytes[index]) {
                tally.add(start / stride)
            }
        }
        return tally
    }

    /// Finds numbers whose exponent is all ones.
    @inline(__always)
    private static func words<Word: FixedWidthInteger>(
        _ bytes: UnsafeRawBufferPointer,
        mask: Word
    ) -> Tally {
        let size = MemoryLayout<Word>.size
        var tally = Tally()
        for index in 0..<bytes.count / size {
            let word = bytes.loadUnaligned(fromByteOffset: index * size, as: Word.self)
            if Word(littleEndian: word) & mask == mask { tally.add(index) }
        }
        return tally
    }
}
