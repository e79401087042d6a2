internal import Foundation
internal import Testing

@testable internal import ModelFiles

/// What Megatron-Core wrote and computed; see Fixtures/make_corpus_fixtures.py.
struct CorpusFixture: Decodable {
    struct Corpus: Decodable {
        let name: String
        let sizes: [Int]
        let documents: Int
        let tokens: [Int32]
    }

    struct Order: Decodable {
        let length: Int
        let samples: Int?
        let seed: UInt32
        let split: String
        let part: Int
        let windows: [[Int32]]
    }

    struct Blend: Decodable {
        let weights: [Double]
        let length: Int
        let samples: Int
        let seed: UInt32
        let split: String
        let sources: [Int16]
        let windows: [[Int32]]
    }

    struct Permutation: Decodable {
        let seed: UInt32
        let count: Int
        let order: [Int32]
    }

    struct Shuffle: Decodable {
        let seed: UInt32
        let count: Int
        let orders: [[Int32]]
    }

    let corpora: [Corpus]
    let orders: [Order]
    let blends: [Blend]
    let permutations: [Permutation]
    let shuffles: [Shuffle]

    static var folder: URL {
        get throws { try #require(Bundle.module.resourceURL).appending(path: "Fixtures") }
    }

    static func load() throws -> CorpusFixture {
        let data = try Data(contentsOf: folder.appending(path: "corpus.json"))
        return try JSONDecoder().decode(CorpusFixture.self, from: data)
    }

    static func open(_ name: String) throws -> IndexedCorpus {
        try IndexedCorpus(path: folder.appending(path: name).path(percentEncoded: false))
    }

    static func bytes(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: folder.appending(path: name)))
    }
}

extension CorpusText {
    /// All tokens.
    var tokens: [Int32] {
        get throws {
            var tokens = [Int32](repeating: -1, count: count)
            try copy(0..<count, to: &tokens)
            return tokens
        }
    }
}
