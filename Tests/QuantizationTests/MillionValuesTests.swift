internal import Formats
internal import Foundation
internal import Kernels
internal import Testing

@testable internal import Quantization

/// Codes and scales of a million values (a quarter million of scales that are not powers of two)
/// against ml_dtypes, as sums; see `Fixtures/make_sums.py`.
struct MillionValuesTests {
    private static let count = 1 << 20

    private static func mix(_ index: UInt64) -> UInt64 {
        var z = (index &+ 1) &* 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    private static let values: [Float] = (0..<UInt64(count)).map { index in
        let r = mix(index + 20_261_124)
        let base = Int(1 + mix(index / 32 + 77_000_000_000) % 253)
        let exponent = UInt64(max(base - Int(r % 8), 0))
        let mask: UInt64 = r >> 40 & 1 == 1 ? 0x78_0000 : 0x7F_FFFF
        let sign = (r >> 41 & 1) << 31
        let isZero = (r >> 42) % 50 == 0 || (64..<96).contains(index)
        let bits = isZero ? sign : sign | exponent << 23 | (r >> 8 & mask)
        return Float(bitPattern: UInt32(bits))
    }

    /// Values under two levels or FP32 scales; see `scaled_values` of the script.
    private static func scaledValues(_ format: QuantizationFormat) -> [Float] {
        let grid = format.element.grid
        let isTwoLevel = format.scaleKind == .e4m3TwoLevel
        let group: UInt64 = isTwoLevel ? 32 : 512
        let lowest = Float(sign: .plus, exponent: -grid.maximumExponent, significand: 1)
        let isInteger = grid.isInteger ? 1 : 0
        let ties: UInt64 = 1 << UInt64(grid.mantissaBits - isInteger)
        let tieUnit = Float(
            sign: .plus,
            exponent: grid.maximumExponent + isInteger - grid.mantissaBits - 2,
            significand: 1
        )
        func power(_ index: UInt64) -> Float {
            Float(sign: .plus, exponent: -Int(mix(index / 16) % 9), significand: 1)
        }
        return (0..<UInt64(count / 4)).map { index in
            let first = index / group * group
            let unit =
                isTwoLevel
                ? lowest * (1 + Float(mix(first + 7) % 13) / 16) * power(first)
                : lowest * (first / group % 2 == 0 ? 1 : 1.1)
            let top = grid.maximumValue * unit
            var magnitude = (1 + Float(mix(index) >> 40) / Float(1 << 24)) * power(index) * 0.5
            if index % 5 == 0 {
                let odd = 2 * (mix(index + 99) % ties) + 1
                let tie = Float((2 << UInt64(grid.mantissaBits)) + odd) * tieUnit
                magnitude = top / grid.maximumValue * tie
            }
            if index == first {
                magnitude = top
            }
            return index % 3 == 0 ? -magnitude : magnitude
        }
    }

    private static let weights = (0..<UInt64(count)).map(mix)

    private static func sum(_ bytes: some Sequence<UInt8>) -> String {
        "\(zip(bytes, weights).reduce(UInt64(0)) { $0 &+ (UInt64($1.0) + 1) &* $1.1 })"
    }

    private func expected() throws -> [String: [String]] {
        let folder = try #require(Bundle.module.resourceURL).appending(path: "Fixtures")
        let data = try Data(contentsOf: folder.appending(path: "sums.json"))
        return try JSONDecoder().decode([String: [String]].self, from: data)
    }

    private func sums(
        _ values: [Float],
        _ format: QuantizationFormat,
        rows: Int = 1
    ) throws -> [String] {
        let packed = try values.withUnsafeBufferPointer {
            try BlockQuantizer.quantize(
                $0,
                rows: rows,
                columns: values.count / rows,
                format: format,
                team: ThreadTeam(threadCount: 2)
            )
        }
        var codes = [UInt8](repeating: 0, count: values.count)
        QuantizeKernels.unpack(
            &codes,
            packed: packed.codes,
            count: codes.count,
            codeBits: format.element.bitWidth
        )
        let scales =
            format.scaleKind.hasBlocks
            ? packed.scales : packed.floatScales.withUnsafeBytes { [UInt8]($0) }
        return [Self.sum(scales), Self.sum(codes)]
    }

    @Test(arguments: ["mxfp4", "mxfp6_e2m3", "mxfp6_e3m2", "mxfp8", "mxfp8_e5m2", "mxint8"])
    func everyScaleModeAndTieRule(name: String) throws {
        let expected = try expected()
        var format = try #require(QuantizationFormat(algorithm: name))
        for blockSize in [8, 16, 32] {
            for mode in ScaleMode.allCases where mode.isOfPowersOfTwo {
                for tie in TieRule.allCases {
                    (format.blockSize, format.scaleMode, format.tieRule) = (blockSize, mode, tie)
                    let key = "\(name)/\(blockSize)/\(mode.rawValue)/\(tie.rawValue)"
                    #expect(try sums(Self.values, format) == expected[key], "\(key)")
                }
            }
        }
    }

    @Test(arguments: ElementFormat.allCases)
    func twoLevelScales(element: ElementFormat) throws {
        let expected = try expected()
        var format = QuantizationFormat(element: element, scaleKind: .e4m3TwoLevel)
        let values = Self.scaledValues(format)
        for blockSize in [8, 16, 32] {
            for tie in TieRule.allCases {
                (format.blockSize, format.tieRule) = (blockSize, tie)
                let key = "\(format.name)/\(blockSize)/\(tie.rawValue)"
                #expect(try sums(values, format) == #require(expected[key]), "\(key)")
            }
        }
    }

    @Test(arguments: ElementFormat.allCases, [ScaleKind.perTensor, .perChannel])
    func floatScales(element: ElementFormat, kind: ScaleKind) throws {
        let expected = try expected()
        var format = QuantizationFormat(element: element, scaleKind: kind)
        let values = Self.scaledValues(format)
        for tie in TieRule.allCases {
            format.tieRule = tie
            let key = "\(format.name)/\(tie.rawValue)"
            #expect(
                try sums(values, format, rows: values.count / 512) == #require(expected[key]),
                "\(key)"
            )
        }
    }
}
