internal import Formats
internal import Foundation
internal import Kernels
internal import Testing

@testable internal import Quantization

/// NVFP4 blocks whose largest value becomes 6 or 4.
struct FourOverSixTests {
    private static let format: QuantizationFormat = {
        var format = QuantizationFormat.nvfp4
        format.scaleMode = .fourOverSix
        return format
    }()
    private static let team = ThreadTeam(threadCount: 1)

    private struct Fixture {
        let values: [Float]
        let scale: UInt32
        let scales: [UInt8]
        let codes: [UInt8]
        let fours: Int
        var blocks: Int { scales.count }

        init() throws {
            let folder = try #require(Bundle.module.resourceURL).appending(path: "Fixtures")
            let blob = try Data(contentsOf: folder.appending(path: "four_over_six.bin"))
            let json = try Data(contentsOf: folder.appending(path: "four_over_six.json"))
            let index = try JSONDecoder().decode([String: Int].self, from: json)
            let blocks = try #require(index["blocks"])
            values = blob.withUnsafeBytes { bytes in
                (0..<blocks * 16).map {
                    Float(bitPattern: bytes.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self))
                }
            }
            scales = [UInt8](blob[blocks * 64..<blocks * 65])
            codes = [UInt8](blob[(blocks * 65)...])
            scale = UInt32(try #require(index["scale"]))
            fours = try #require(index["fours"])
        }
    }

    private static func unpack(_ packed: PackedTensor) -> [UInt8] {
        var codes = [UInt8](repeating: 0, count: packed.rows * packed.columns)
        QuantizeKernels.unpack(&codes, packed: packed.codes, count: codes.count, codeBits: 4)
        return codes
    }

    /// Against `Fixtures/make_four_over_six.py`: numpy and ml_dtypes.
    @Test func codesAndScalesEqualAnIndependentReference() throws {
        let fixture = try Fixture()
        let packed = try fixture.values.withUnsafeBufferPointer {
            try BlockQuantizer.quantize(
                $0,
                rows: fixture.blocks,
                columns: 16,
                format: Self.format,
                team: Self.team
            )
        }
        #expect(packed.globalScale?.bitPattern == fixture.scale)
        #expect(packed.scales == fixture.scales)
        #expect(Self.unpack(packed) == fixture.codes)
        // The fixture has blocks of both kinds.
        #expect(fixture.fours > 40 && fixture.fours < fixture.blocks - 40)
    }

    /// Rounding after training to nearest, simulated rounding and quantizing are one.
    @Test func everyWayToRoundIsTheSame() throws {
        let fixture = try Fixture()
        var values = fixture.values
        let packed = try values.withUnsafeMutableBufferPointer {
            try WeightRounding.round(
                $0,
                columns: 16,
                format: Self.format,
                search: .max,
                importance: (0..<16).map { Float($0 + 1) },
                team: Self.team
            )
        }
        #expect(packed.scales == fixture.scales)
        #expect(Self.unpack(packed) == fixture.codes)
        var simulated = fixture.values
        BlockQuantizer.fakeQuantize(
            simulated,
            into: &simulated,
            rows: fixture.blocks,
            columns: 16,
            format: Self.format,
            team: Self.team
        )
        #expect(simulated.map(\.bitPattern) == values.map(\.bitPattern))
    }

    /// A worked block: 3, and 2.3 that lies between 2 and 3 of six's steps of a half.
    @Test func aBlockTakesTheScaleThatLosesLess() throws {
        // Tensor's largest 6 · 256, so its FP32 scale is 1: block scales count themselves.
        var values = [Float](repeating: 0, count: 48)
        values[0] = 1536
        // Under 6 → 1: 6, 5 → 4 or 6, error 1. Under 4 → 1.5: 4 · 1.5, 5 / 1.5 = 3.33 → 3, 4.5: 0.25.
        values[16] = 6
        values[17] = 5
        // Under 6 → 1 exact; under 4 → 1.5: 3 / 1.5 = 2 exact, 1 / 1.5 → 0.5 or 1: an error.
        values[32] = 6
        values[33] = 3
        values[34] = 1
        let packed = try values.withUnsafeBufferPointer {
            try BlockQuantizer.quantize(
                $0,
                rows: 1,
                columns: 48,
                format: Self.format,
                team: Self.team
            )
        }
        #expect(packed.globalScale == 1)
        // E4M3 of 256, 1.5 and 1.
        #expect(packed.scales == [0x78, 0x3C, 0x38])
        #expect(Self.unpack(packed)[16...17] == [6, 5])
    }

    @Test func otherFormatsDoNotHaveIt() {
        for format in QuantizationFormat.all {
            var other = format
            other.scaleMode = .fourOverSix
            #expect(other.picksFourOrSix == (format == .nvfp4), "\(format.name)")
        }
    }
}
