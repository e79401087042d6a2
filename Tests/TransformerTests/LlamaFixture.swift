internal import Foundation
internal import Kernels
internal import Testing

@testable internal import Transformer

/// Golden tensors of a tiny Llama; see `Fixtures/make_llama_fixtures.py`, and
/// `make_divergence_fixtures.py` for `distillation`.
struct LlamaFixture {
    enum Entry: Decodable {
        case numbers([Double])
        case number(Double)

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let number = try? container.decode(Double.self) {
                self = .number(number)
            } else {
                self = .numbers(try container.decode([Double].self))
            }
        }
    }

    let index: [String: Entry]
    let values: [Float]

    init(_ name: String = "llama") throws {
        let folder = try #require(Bundle.module.resourceURL).appending(path: "Fixtures")
        let json = try Data(contentsOf: folder.appending(path: "\(name).json"))
        index = try JSONDecoder().decode([String: Entry].self, from: json)
        let blob = try Data(contentsOf: folder.appending(path: "\(name).bin"))
        values = blob.withUnsafeBytes { bytes in
            (0..<bytes.count / 4).map { index in
                Float(bitPattern: bytes.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self))
            }
        }
    }

    func vector(_ key: String) throws -> ArraySlice<Float> {
        guard case .numbers(let range) = index[key] else {
            throw CocoaError(.coderValueNotFound)
        }
        return values[Int(range[0])..<Int(range[0] + range[1])]
    }

    func number(_ key: String) throws -> Double {
        guard case .number(let number) = index[key] else {
            throw CocoaError(.coderValueNotFound)
        }
        return number
    }

    func tokens(_ key: String) throws -> [Int32] {
        guard case .numbers(let numbers) = index[key] else {
            throw CocoaError(.coderValueNotFound)
        }
        return numbers.map { Int32($0) }
    }

    /// The fixture's model with the parameters of a key.
    func parameters(_ key: String, tied: Bool) throws -> Parameters {
        let configuration = ModelConfiguration(
            vocabularySize: 64,
            hiddenSize: 32,
            intermediateSize: 64,
            layerCount: 2,
            headCount: 4,
            keyValueHeadCount: 2,
            normEpsilon: 1e-5,
            maximumPositions: 64,
            tiedEmbeddings: tied
        )
        let parameters = try Parameters(configuration: configuration)
        let vector = try vector(key)
        try #require(vector.count == parameters.storage.count)
        for (offset, value) in vector.enumerated() {
            parameters.storage.pointer[offset] = value
        }
        return parameters
    }
}

/// The largest difference relative to the largest expected magnitude: entries near zero are judged
/// by the scale of the tensor they stand in.
func relativeError(_ found: some Sequence<Float>, _ expected: some Sequence<Float>) -> Double {
    var difference = 0.0
    var scale = 0.0
    var foundCount = 0
    for (a, b) in zip(found, expected) {
        guard a.isFinite else {
            return .infinity
        }
        difference = max(difference, abs(Double(a) - Double(b)))
        scale = max(scale, abs(Double(b)))
        foundCount += 1
    }
    return foundCount > 0 ? difference / max(scale, 1e-12) : .infinity
}
