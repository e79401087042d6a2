internal import Foundation
internal import ServiceKit
internal import Testing

struct ResultJSONTests {
    private struct Sample: Encodable {
        var meanError: Double
        var label: String
        @NullIfNone var share: Double?
        var list: [Float]
    }

    @Test func numbersThatJSONLacksAreNull() throws {
        let sample = Sample(
            meanError: .nan,
            label: "nan",
            share: nil,
            list: [.infinity, 1, -.infinity]
        )
        let text = String(decoding: try ResultJSON.data(sample), as: UTF8.self)
        #expect(text == #"{"label":"nan","list":[null,1,null],"mean_error":null,"share":null}"#)
        let measured = Sample(meanError: 1.5, label: "", share: 0.25, list: [])
        let other = String(decoding: try ResultJSON.data(measured), as: UTF8.self)
        #expect(other == #"{"label":"","list":[],"mean_error":1.5,"share":0.25}"#)
    }
}
