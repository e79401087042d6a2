internal import Formats
internal import Kernels
internal import Testing

@testable internal import Quantization

/// Bytes as hexadecimal text.
func hex(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { byte in
        let text = String(byte, radix: 16)
        return text.count == 1 ? "0" + text : text
    }.joined()
}

/// Quantizes one row.
func pack(_ values: [Float], _ format: QuantizationFormat) throws -> PackedTensor {
    try values.withUnsafeBufferPointer {
        try BlockQuantizer.quantize(
            $0,
            rows: 1,
            columns: values.count,
            format: format,
            team: ThreadTeam(threadCount: 1)
        )
    }
}

/// Rounds and returns, by the fast path.
func fakeQuantized(
    _ values: [Float],
    _ format: QuantizationFormat,
    threads: Int = 1
) -> [Float] {
    var output = values
    BlockQuantizer.fakeQuantize(
        values,
        into: &output,
        rows: 1,
        columns: values.count,
        format: format,
        team: ThreadTeam(threadCount: threads)
    )
    return output
}

struct BlockQuantizerTests {
    private static func ramp(_ step: Double) -> [Float] {
        (0..<32).map { Float(Double($0 - 16) * step) }
    }

    private static func format(
        _ base: QuantizationFormat,
        _ mode: ScaleMode,
        _ tie: TieRule = .even
    ) -> QuantizationFormat {
        var format = base
        format.scaleMode = mode
        format.tieRule = tie
        return format
    }

    /// A golden block: amax 7.2 and 6.24 tell the scale modes apart.
    struct Golden: Sendable {
        let step: Double
        let format: QuantizationFormat
        let scale: UInt8
        let codes: String
    }

    static let goldens: [Golden] = [
        Golden(
            step: 0.45,
            format: format(.mxfp4, .floor),
            scale: 127,
            codes: "ffffefeedecdbc9a1032445566667777"
        ),
        Golden(
            step: 0.45,
            format: format(.mxfp4, .even),
            scale: 128,
            codes: "deddcdccbcab9a890011223344445555"
        ),
        Golden(
            step: 0.45,
            format: format(.mxfp4, .evenCT),
            scale: 128,
            codes: "deddcdccbcab9a890011223344445555"
        ),
        Golden(
            step: 0.45,
            format: format(.mxfp4, .rceil),
            scale: 128,
            codes: "deddcdccbcab9a890011223344445555"
        ),
        Golden(
            step: 0.45,
            format: format(.mxfp4, .ceil),
            scale: 128,
            codes: "deddcdccbcab9a890011223344445555"
        ),
        Golden(
            step: 0.39,
            format: format(.mxfp4, .floor),
            scale: 127,
            codes: "ffffeeeeddccab9a1022435465667677"
        ),
        Golden(
            step: 0.39,
            format: format(.mxfp4, .even),
            scale: 127,
            codes: "ffffeeeeddccab9a1022435465667677"
        ),
        Golden(
            step: 0.39,
            format: format(.mxfp4, .rceil),
            scale: 128,
            codes: "ddddccccbbaa9a890011223243445455"
        ),
        Golden(
            step: 0.39,
            format: format(.mxfp4, .ceil),
            scale: 128,
            codes: "ddddccccbbaa9a890011223243445455"
        ),
        Golden(
            step: 0.45,
            format: format(.mxfp6E2M3, .floor),
            scale: 127,
            codes: "bedff3bb9ee3763dc7ee7a9200712c4e34551696691bd779"
        ),
        Golden(
            step: 0.45,
            format: format(.mxfp6E3M2, .floor),
            scale: 125,
            codes: "ffeffb7dcff3bb9ee3773dbfc033551796691bc7759de77d"
        ),
        Golden(
            step: 0.45,
            format: format(.mxfp6E3M2, .rceil),
            scale: 126,
            codes: "fbaeeb798ee3b75dd373fcaec0f24413555917866599a66d"
        ),
    ]

    @Test(arguments: goldens)
    func packsGoldenBlocks(golden: Golden) throws {
        let packed = try pack(Self.ramp(golden.step), golden.format)
        #expect(packed.scales == [golden.scale])
        #expect(hex(packed.codes) == golden.codes)
    }

    @Test(arguments: [
        (TieRule.even, "20426476a8caecfe"), (.zero, "10325476" + "98badcfe"),
        (.away, "21436577a9cbedff"),
    ])
    func breaksTies(rule: TieRule, codes: String) throws {
        let ties: [Float] = [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5, 6]
        let values = ties + ties.map { -$0 } + [Float](repeating: 0, count: 16)
        let packed = try pack(values, Self.format(.mxfp4, .floor, rule))
        #expect(packed.scales == [127])
        #expect(hex(packed.codes.prefix(8)) == codes)
        #expect(packed.codes.suffix(8).allSatisfy { $0 == 0 })
    }

    @Test func packsNVFP4() throws {
        let packed = try pack(Self.ramp(0.37), .nvfp4)
        let scale = try #require(packed.globalScale)
        #expect(scale.bitPattern == 0x3b10_55d2)
        #expect(packed.scales == [0x7E, 0x7D])
        #expect(hex(packed.codes) == "ffefeededdccab9a" + "1022435465667677")
    }

    @Test(arguments: QuantizationFormat.all)
    func fakeQuantizationIsQuantizeThenDequantize(format: QuantizationFormat) throws {
        for mode in ScaleMode.allCases {
            for tie in TieRule.allCases {
                let format = Self.format(format, mode, tie)
                var values = Bits(seed: 11).floats(64 * 32)
                // Whole blocks of zeros, signed zeros and tiny values among the random bits.
                for index in 0..<32 {
                    values[index] = 0
                    values[32 + index] = -0.0
                    values[2 * 32 + index] = Float(index) * 0x1p-140
                }
                let packed = try pack(values, format)
                var dequantized = values
                try dequantized.withUnsafeMutableBufferPointer {
                    try BlockQuantizer.dequantize(
                        packed,
                        into: $0,
                        team: ThreadTeam(threadCount: 1)
                    )
                }
                let simulated = fakeQuantized(values, format)
                #expect(
                    simulated.map(\.bitPattern) == dequantized.map(\.bitPattern),
                    "\(format.name) \(mode) \(tie)"
                )
            }
        }
    }

    @Test(arguments: QuantizationFormat.all, [8, 16, 24, 32])
    func fastKernelEqualsReference(format: QuantizationFormat, blockSize: Int) {
        for mode in ScaleMode.allCases
        where format.scaleKind == .e8m0 || mode == .floor || mode == .fourOverSix {
            for tie in TieRule.allCases {
                let storage = Self.format(format, mode, tie).storage(scale: 0x1.2p-7)
                for blocks in [0, 1, 3, 65] {
                    let values = Bits(seed: UInt64(blocks + 1)).floats(blocks * blockSize)
                    let fast = KernelOutputs(fast: values, blockSize: blockSize, storage: storage)
                    let reference = KernelOutputs(
                        reference: values,
                        blockSize: blockSize,
                        storage: storage
                    )
                    #expect(
                        fast == reference,
                        "\(format.name) \(mode) \(tie) by \(blockSize), \(blocks) blocks"
                    )
                }
            }
        }
    }

    @Test func resultDoesNotDependOnThreads() {
        let values = Bits(seed: 5).floats(32 * 77)
        for format in QuantizationFormat.all {
            let one = fakeQuantized(values, format)
            for threads in [2, 3, 5] {
                #expect(fakeQuantized(values, format, threads: threads) == one)
            }
        }
    }

    @Test func nonFiniteValuesPoisonTheirBlockOnly() throws {
        for bad in [Float.nan, .infinity, -.infinity] {
            var values = [Float](repeating: 1, count: 64)
            values[3] = bad
            let rounded = fakeQuantized(values, .mxfp4)
            #expect(rounded.prefix(32).allSatisfy { $0.isNaN })
            #expect(rounded.suffix(32).allSatisfy { $0 == 1 })
            let error = #expect(throws: QuantizationError.self) { try pack(values, .mxfp4) }
            #expect(error?.code == .nonFiniteInput)
        }
    }

    @Test func refusesPartialBlocks() {
        let error = #expect(throws: QuantizationError.self) {
            try pack([Float](repeating: 1, count: 40), .mxfp4)
        }
        #expect(error?.code == .shapeMismatch)
        #expect(error?.message.contains("40 columns") == true)
    }

    @Test func clippedEstimatorZeroesWhatSaturates() {
        // amax 7.2 under the floor rule has scale 1: magnitudes above 6 saturate.
        var gradient = [Float](repeating: 1, count: 32)
        let values = Self.ramp(0.45)
        BlockQuantizer.maskSaturated(
            gradient: &gradient,
            source: values,
            rows: 1,
            columns: 32,
            format: .mxfp4,
            team: ThreadTeam(threadCount: 1)
        )
        #expect(zip(values, gradient).allSatisfy { (abs($0) > 6) == ($1 == 0) })
    }

    @Test func unpackedSextetsFollowTheirLayout() {
        // The published example: E3M2 codes of 0, -0.0625, 1, 28.
        let codes: [UInt8] = [0x00, 0x21, 0x0C, 0x1F]
        var packed = [UInt8](repeating: 0, count: 3)
        QuantizeKernels.pack(&packed, codes: codes, count: 4, codeBits: 6)
        #expect(hex(packed) == "40c87c")
        var unpacked = [UInt8](repeating: 0, count: 4)
        QuantizeKernels.unpack(&unpacked, packed: packed, count: 4, codeBits: 6)
        #expect(unpacked == codes)
    }
}

/// What the three kernels make of values: bits of fake quantized ones, codes and scales, bits of
/// what these stand for.
struct KernelOutputs: Equatable {
    private var rounded: [UInt32]
    private var codes: [UInt8]
    private var scales: [UInt8]
    private var dequantized: [UInt32]

    init(fast values: [Float], blockSize: Int, storage: BlockStorage) {
        self.init(
            values,
            blockSize,
            storage,
            QuantizeKernels.fakeQuantize,
            QuantizeKernels.quantize,
            QuantizeKernels.dequantize
        )
    }

    init(reference values: [Float], blockSize: Int, storage: BlockStorage) {
        self.init(
            values,
            blockSize,
            storage,
            QuantizeKernels.fakeQuantizeReference,
            QuantizeKernels.quantizeReference,
            QuantizeKernels.dequantizeReference
        )
    }

    private init(
        _ values: [Float],
        _ blockSize: Int,
        _ storage: BlockStorage,
        _ fakeQuantize: (
            UnsafeMutablePointer<Float>, UnsafePointer<Float>, Int, Int, BlockStorage
        ) -> Void,
        _ quantize: (
            UnsafeMutablePointer<UInt8>, UnsafeMutablePointer<UInt8>, UnsafePointer<Float>, Int,
            Int, BlockStorage
        ) -> Void,
        _ dequantize: (
            UnsafeMutablePointer<Float>, UnsafePointer<UInt8>, UnsafePointer<UInt8>, Int, Int,
            BlockStorage
        ) -> Void
    ) {
        let count = values.count
        var floats = values
        codes = [UInt8](repeating: 0xA5, count: count)
        scales = [UInt8](repeating: 0xA5, count: count / blockSize)
        fakeQuantize(&floats, values, count, blockSize, storage)
        rounded = floats.map(\.bitPattern)
        quantize(&codes, &scales, values, count, blockSize, storage)
        dequantize(&floats, codes, scales, count, blockSize, storage)
        dequantized = floats.map(\.bitPattern)
    }
}

/// Random finite floats: half of them any bit pattern, half near one.
struct Bits {
    var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt32 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt32(truncatingIfNeeded: state >> 32)
    }

    func floats(_ count: Int) -> [Float] {
        var copy = self
        return (0..<count).map { index in
            let bits = copy.next()
            // Whole blocks share a range, so that blocks of every magnitude occur.
            if index / 32 % 2 == 0 {
                return Float(Int32(bitPattern: bits)) * 0x1p-30
            }
            let value = Float(bitPattern: bits)
            return value.isFinite ? value : Float(bits & 1023)
        }
    }
}
