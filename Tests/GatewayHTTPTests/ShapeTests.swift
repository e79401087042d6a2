internal import JobSpecs
internal import Serving
internal import Testing

@testable internal import Gateway

/// JSON as it was written, and tokens as OpenAI's API shows them.
struct ShapeTests {
    @Test func sourcesKeepWhatWasWritten() {
        let text = #" { "b" : [1, {"x":"}]\"" } , 2.50 ] ,"a\u0041":{"k": {}, "l" : []}, "e":"" } "#
        let source = JSONSource(bytes: Array(text.utf8)[...])
        let members = source.members
        #expect(members.map(\.key) == ["b", "aA", "e"])
        #expect(
            members.map(\.value.text) == [
                #"[1, {"x":"}]\"" } , 2.50 ]"#, #"{"k": {}, "l" : []}"#, #""""#,
            ]
        )
        #expect(source["b"]?.elements.map(\.text) == ["1", #"{"x":"}]\"" }"#, "2.50"])
        #expect(source["aA"]?["l"]?.elements.isEmpty == true)
        #expect(source["none"] == nil)
        #expect(JSONSource(bytes: Array("[]".utf8)[...]).members.isEmpty)
    }

    /// A character of two bytes in two tokens: both begin where it does.
    @Test func offsetsCountCharacters() {
        let bytes: [[UInt8]] = [[0x61], [0xC3], [0xA9], [0x62, 0x63], [0x64]]
        let tokens = bytes.map { TextToken(bytes: $0, logProbability: -0.5) }
        let whole = Likelihoods.completion(tokens, after: [])
        #expect(whole["text_offset"] == .array([0, 1, 1, 2, 4].map { .number($0) }))
        let rest = Likelihoods.completion(Array(tokens[3...]), after: Array(tokens[..<3]))
        #expect(rest["text_offset"] == .array([2, 4].map { .number($0) }))
    }

    @Test func likelihoodsHaveTheDigitsOfFloats() {
        let token = TextToken(
            bytes: [0x61],
            logProbability: -0.1,
            alternatives: [
                .init(bytes: [0x61], logProbability: -0.1),
                .init(bytes: [0x62], logProbability: -.infinity),
            ]
        )
        let chat = Likelihoods.chat([token]).canonicalText
        #expect(
            chat == #"{"content":[{"bytes":[97],"logprob":-0.1,"token":"a","top_logprobs":["#
                + #"{"bytes":[97],"logprob":-0.1,"token":"a"},{"bytes":[98],"logprob":-9999,"token":"b"}]}],"#
                + #""refusal":null}"#
        )
        let text = Likelihoods.completion([token], after: [])
        #expect(text["top_logprobs"]?.canonicalText == #"[{"a":-0.1,"b":-9999}]"#)
    }
}
