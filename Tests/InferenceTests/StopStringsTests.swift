internal import Testing

@testable internal import Inference

struct StopStringsTests {
    /// What is told of a text that comes in pieces, and which string ended it.
    private static func told(_ pieces: [String], _ stops: [String]) -> (text: String, stop: String?)
    {
        var strings = StopStrings(stops)
        var text = ""
        for piece in pieces {
            let (part, stop) = strings.take(piece)
            text += part
            if let stop { return (text, stop) }
        }
        return (text + strings.finish(), nil)
    }

    @Test func endsWhereAStringBeginsHoweverTheTextIsCut() {
        let text = "one two END three"
        for cut in 1..<text.count {
            var pieces: [String] = []
            var rest = Substring(text)
            while !rest.isEmpty {
                pieces.append(String(rest.prefix(cut)))
                rest = rest.dropFirst(cut)
            }
            let found = Self.told(pieces, ["END", "\n\n"])
            #expect(found.text == "one two " && found.stop == "END", "pieces of \(cut)")
        }
    }

    @Test func tellsWhatOnlyBeganLikeOne() {
        let found = Self.told(["a E", "N", "X b E"], ["END"])
        #expect(found.text == "a ENX b E" && found.stop == nil)
    }

    @Test func tellsAtOnceWhatCannotBeOne() {
        var strings = StopStrings(["</s>"])
        #expect(strings.take("plain").text == "plain")
        #expect(strings.take("x <").text == "x ")
        #expect(strings.take("/").text == "")
        #expect(strings.take("b").text == "</b")
    }

    @Test func takesTheFirstAndThereTheLongest() {
        let found = Self.told(["ab", "cd"], ["cd", "bc", "bcd"])
        #expect(found.text == "a" && found.stop == "bcd")
    }

    @Test func cutsBetweenCharacters() {
        let found = Self.told(["gr", "ü", "ße ", "🙂", "!"], ["🙂"])
        #expect(found.text == "grüße " && found.stop == "🙂")
    }

    @Test func emptyStringsStopNothing() {
        #expect(Self.told(["a", "b"], ["", ""]).text == "ab")
    }
}
