internal import Formats
internal import Foundation
internal import Kernels
internal import Testing

@testable internal import Quantization

/// Codes and scales against ml_dtypes; see `Fixtures/make_mx_fixtures.py`.
struct IndependentReferenceTests {
    private struct Place: Decodable {
        let scales: Int
        let codes: Int
    }

    @Test(arguments: ["mxfp4", "mxfp6_e2m3", "mxfp6_e3m2", "mxfp8", "mxfp8_e5m2"])
    func codesAndScalesEqualMLDTypes(name: String) throws {
        let folder = try #require(Bundle.module.resourceURL).appending(path: "Fixtures")
        let blob = try Data(contentsOf: folder.appending(path: "mx.bin"))
        let json = try Data(contentsOf: folder.appending(path: "mx.json"))
        let index = try #require(try JSONSerialization.jsonObject(with: json) as? [String: Any])
        let place = try JSONDecoder().decode(
            Place.self,
            from: JSONSerialization.data(withJSONObject: try #require(index[name]))
        )
        let blocks = try #require(index["blocks"] as? Int)
        let values = blob.withUnsafeBytes { bytes in
            (0..<blocks * 32).map {
                Float(bitPattern: bytes.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self))
            }
        }
        let format = try #require(QuantizationFormat(algorithm: name))
        #expect(format.name == name)
        let packed = try pack(values, format)
        #expect(packed.scales == [UInt8](blob[place.scales..<place.scales + blocks]))
        var codes = [UInt8](repeating: 0, count: values.count)
        QuantizeKernels.unpack(
            &codes,
            packed: packed.codes,
            count: codes.count,
            codeBits: format.element.bitWidth
        )
        let expected = [UInt8](blob[place.codes..<place.codes + values.count])
        let differences = zip(codes, expected).enumerated().filter { $0.element.0 != $0.element.1 }
        #expect(differences.isEmpty, "\(differences.prefix(5))")
    }
}
