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
            let zeros = tally(tensor.bytes) { $0 == 0 }
            if zeros.count > 0 {
                log.warning(
                    name,
                    """
                    \(zeros.count) scale bytes are zero; who quantizes anew divides by them: write \
                    at least 1, which is 2^-9
                    """
                )
            }
        case .blockScales:
            let found = tally(tensor.bytes) { $0 == 0xFF }
            report(found, "scale bytes are 255, NaN in E8M0", name, shape, &log)
        case .columnFactors: floats(tensor, &log)
        case .factors, .twoLevelFactor, .twoLevelDivisor, .inputFactor, .twoLevelInputFactor,
            .twoLevelInputDivisor:
            factors(tensor, &log)
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

    /// Checks that float scales are finite, positive and normal: readers divide by them, and some
    /// flush subnormal numbers to zero.
    ///
    /// Of a row of zeros a scale of zero is only unusual.
    private static func factors(_ tensor: SafetensorsFile.Tensor, _ log: inout LintLog) {
        var numbers = [Float](repeating: 0, count: tensor.count)
        let result = numbers.withUnsafeMutableBufferPointer { buffer in
            Result { () throws(ModelFileError) in
                try tensor.copyFloats(to: buffer, path: tensor.name)
            }
        }
        if case .failure(let error) = result { return log.error(tensor.name, error.message) }
        // What counts as subnormal depends on the type that it is stored in.
        let least: Float = tensor.type == .f16 ? 0x1p-14 : .leastNormalMagnitude
        factors(numbers, tensor.name, tensor.shape, least: least, &log)
    }

    /// The same of an FP32 tensor's bytes.
    static func factors(
        _ bytes: UnsafeRawBufferPointer,
        _ name: String,
        _ log: inout LintLog
    ) {
        let numbers = (0..<bytes.count / 4).map { float(bytes, $0) }
        factors(numbers, name, [], least: .leastNormalMagnitude, &log)
    }

    private static func factors(
        _ numbers: [Float],
        _ name: String,
        _ shape: [Int],
        least: Float,
        _ log: inout LintLog
    ) {
        var (wrong, zeros, small) = (Tally(), Tally(), Tally())
        for (index, value) in numbers.enumerated() {
            if !value.isFinite || value < 0 {
                wrong.add(index)
            } else if value == 0 {
                zeros.add(index)
            } else if value < least {
                small.add(index)
            }
        }
        report(wrong, "FP32 scales are negative or not finite", name, shape, &log)
        let subnormal = "FP32 scales are subnormal, zero to those who flush such"
        guard numbers.count > 1 else {
            report(zeros, "FP32 scales are zero", name, shape, &log)
            report(small, subnormal, name, shape, &log)
            return
        }
        if zeros.count > 0 {
            log.warning(name, "\(zeros.count) rows have a scale of zero")
        }
        if small.count > 0 { log.warning(name, "\(small.count) \(subnormal)") }
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
        guard role.isTwoLevel, tensor.type == .f32 else { return }
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
